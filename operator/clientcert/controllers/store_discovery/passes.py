"""One pass of discovery over the keys of a LIST, and what earlier passes have found out about the same content."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clientcert.api.store_discovery import NOTHING, Discovery, Outcome
from clientcert.cache.objects import StoreRecord
from clientcert.controllers.store_discovery.candidates import Candidate, MatchingKeys
from clientcert.controllers.store_discovery.decisions import Findings, Refusal
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.spec import ObjectKey
from clientcert.sources.interface import Listing

_READ_AGAIN = timedelta(hours=1)
"""For what may be corrected without a new ETag, such as a right to read the object."""
_FAILURES = frozenset({Reason.INTERNAL_ERROR, Reason.NAME_TAKEN})
_GIVE_UP_AFTER = 16
"""Reads in a row that fail in passing; then the bucket is looked at again with the next LIST."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one candidate."""

    reason: Reason | None = None
    """The reason why no ClientCertificate is made."""
    is_watched: bool = False
    """It has one by now."""
    is_made: bool = False
    """By this pass."""
    is_transient: bool = False
    """True if the same read may succeed soon."""
    until: datetime | None = None
    """When it is read again; None: not before its ETag changes."""

    @property
    def is_failure(self) -> bool:
        """True if it may be a certificate all the same. One that is gone since the LIST is none."""
        if self.reason is Reason.SOURCE_NOT_FOUND:
            return False
        return self.is_transient or self.until is not None or self.reason in _FAILURES


WOULD_MAKE, WATCHED, MADE = Verdict(), Verdict(is_watched=True), Verdict(is_watched=True, is_made=True)


def unreadable(error: ClientCertError, now: datetime, *, by_content: bool) -> Verdict:
    """The verdict about an object that cannot be used. `by_content`: only other content would change that."""
    return Verdict(error.reason, is_transient=error.retryable, until=None if by_content else now + _READ_AGAIN)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a finished pass."""

    outcome: Outcome = NOTHING
    condition: Condition | None = None


Basis = tuple[str, int, Discovery | None]


def basis_of(record: StoreRecord) -> Basis:
    """Equal while a LIST of the store counts: for the same object, bucket, credentials and spec.discovery."""
    return record.uid, record.configuration, record.discovery


@dataclass(slots=True)
class Pass:
    """The state of one pass; the reconciler goes on with it until all candidates are looked at."""

    store: ObjectKey
    basis: Basis
    discovery: Discovery
    keys: MatchingKeys
    listing: Listing
    listed_at: datetime
    findings: Findings = field(default_factory=Findings)
    refusals: list[Refusal] = field(default_factory=list)
    is_pruned: bool = False
    changes: int = 0
    """Turns in which an object changed while it was being deleted, as by the write of its status."""
    has_made: bool = False
    """One object at least: so the rights are there."""
    first: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the first object is made: without the rights, there is one refusal."""
    _at: int = 0
    _again: list[Candidate] = field(default_factory=list)
    _failed_in_a_row: list[Reason] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """True if no candidate is left."""
        return self._at >= len(self.keys.candidates) and not self._again

    @property
    def makes(self) -> bool:
        """False if what would be made is only counted."""
        return self.discovery.creates and not any(each.verb == "create" for each in self.refusals)

    @property
    def is_hopeless(self) -> bool:
        """True if the bucket does not answer any more."""
        return len(self._failed_in_a_row) >= _GIVE_UP_AFTER

    @property
    def failures(self) -> list[Reason]:
        """The reasons of the reads in a row that have failed in passing."""
        return sorted(set(self._failed_in_a_row))

    def rest(self) -> Iterator[Candidate]:
        """The candidates that are left; one that is yielded is not left any more."""
        while not self.is_over:
            if self._again:
                yield self._again.pop()
            else:
                self._at += 1
                yield self.keys.candidates[self._at - 1]

    def put_back(self, candidate: Candidate) -> None:
        """Leave a candidate for later."""
        self._again.append(candidate)

    def refuse(self, verb: str, error: ClientCertError) -> None:
        """Note that the operator may not do this, once."""
        if all(each.verb != verb for each in self.refusals):
            self.refusals.append(Refusal(verb, error.reason, error.message))

    def was_made(self) -> None:
        """Note that an object was made."""
        self.has_made = True

    def was_pruned(self) -> None:
        """Note that nothing is left to be deleted."""
        self.is_pruned = True

    def has_changed(self) -> None:
        """Note that an object changed while it was being deleted."""
        self.changes += 1

    def note(self, candidate: Candidate, verdict: Verdict, name: str) -> None:
        """Count what became of a candidate; `name` is that of its object, if one would be made."""
        if verdict.reason is None or not verdict.is_transient:
            self._failed_in_a_row.clear()
        else:
            self._failed_in_a_row.append(verdict.reason)
        if verdict.reason is not None:
            self.findings.skip(verdict.reason, candidate)
            if verdict.is_failure:
                self.findings.fail(verdict.reason)
        elif not verdict.is_watched:
            self.findings.would_make(name, candidate)


@dataclass(slots=True)
class Knowledge:
    """The verdicts about objects by their ETags, so that none is read twice."""

    _most: int
    _verdicts: dict[bytes, Verdict] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._verdicts)

    def verdict(self, candidate: Candidate, now: datetime) -> Verdict | None:
        """That of an earlier pass, if the object is still the same."""
        found = self._verdicts.get(candidate.fingerprint)
        return found if found is None or found.until is None or now < found.until else None

    def note(self, candidate: Candidate, verdict: Verdict) -> None:
        """Take over what a read has shown."""
        if not verdict.is_watched and not verdict.is_transient:
            self._verdicts[candidate.fingerprint] = verdict
        if len(self._verdicts) > self._most:  # no pass was finished, which would have forgotten what is gone
            del self._verdicts[next(iter(self._verdicts))]

    def forget_failures(self) -> None:
        """Have read again what other credentials may be able to read."""
        self._verdicts = {each: verdict for each, verdict in self._verdicts.items() if verdict.until is None}

    def keep(self, fingerprints: set[bytes]) -> None:
        """Forget all other objects."""
        self._verdicts = {each: verdict for each, verdict in self._verdicts.items() if each in fingerprints}
