"""The decisions of discovery: the objects to create, to leave out and to delete. Pure."""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clientcert.api.discovery import key_problem, object_names
from clientcert.api.store_discovery import DISCOVERED as DISCOVERED_LABEL
from clientcert.api.store_discovery import Discovery, Outcome, Skipped
from clientcert.cache.objects import CertificateRecord
from clientcert.controllers.store_discovery.candidates import Candidate
from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.observing import withheld
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.spec import ObjectKey, S3Source
from clientcert.messages.text import sanitize_line
from clientcert.sources.interface import Listing

DISCOVERED = "Discovered"
FIELD_MANAGER = "clientcert-discovery"
"""As the API server notes it in the objects that discovery makes."""
PRUNE_AFTER = timedelta(days=7)
FIRST_GENERATION = 1
SAMPLE, SKIPPED_SAMPLE = 10, 3
_LONGEST_KEY = 256
_LONGEST_ANSWER = 300


def reason_to_skip(candidate: Candidate, discovery: Discovery, now: datetime) -> Reason | None:
    """The reason for which a key needs no read; None if there is none."""
    if key_problem(candidate.key):
        return Reason.KEY_UNUSABLE
    return Reason.IGNORED if discovery.ignores(candidate.folder, now) else None


def free_key(
    candidate: Candidate, store: ObjectKey, discovery: Discovery, is_taken: Callable[[ObjectKey], bool]
) -> ObjectKey | None:
    """The first name that no object has; None if others have both."""
    source = S3Source(store.name, candidate.key)
    names = object_names(candidate.folder, discovery.environment, source)
    keys = [ObjectKey(store.namespace, each) for each in names]
    return next((each for each in keys if not is_taken(each)), None)


def usual_name(candidate: Candidate, store: ObjectKey, discovery: Discovery) -> str:
    """The name that its ClientCertificate would have, if no other object has it."""
    return object_names(candidate.folder, discovery.environment, S3Source(store.name, candidate.key)).usual


def may_be_pruned(record: CertificateRecord, store: ObjectKey, listing: Listing, now: datetime) -> bool:
    """True if discovery made it and its key has vanished for seven days. Whether it was changed is another question."""
    source, gap = record.spec.source, record.status.source_gap
    if record.discovered_by != store.name or not isinstance(source, S3Source) or source.store != store.name:
        return False
    if not listing.covers(source.key) or source.key in listing.etags:
        return False
    return gap is not None and gap.end is None and gap.key_gone is not None and now - gap.key_gone >= PRUNE_AFTER


def is_unchanged(record: CertificateRecord, managers: frozenset[str], labels: Mapping[str, str]) -> bool:
    """True if nobody but discovery has written the object, apart from its status.

    Whoever removes a field is no manager of it: without its label it is no longer one of discovery.
    """
    is_first = record.generation == FIRST_GENERATION and managers == {FIELD_MANAGER}
    return is_first and labels == {DISCOVERED_LABEL: "true"}


@dataclass(slots=True)
class Findings:
    """The counts and samples of one pass so far. A sample has the first keys of the alphabet."""

    would_create: int = 0
    _sample: list[tuple[str, str]] = field(default_factory=list)
    """Keys and names."""
    _counts: Counter[Reason] = field(default_factory=Counter)
    _samples: dict[Reason, list[str]] = field(default_factory=dict)
    _failures: set[Reason] = field(default_factory=set)

    def would_make(self, name: str, candidate: Candidate) -> None:
        """Count an object that is not made."""
        self.would_create += 1
        insort(self._sample, (candidate.key, name))
        del self._sample[SAMPLE:]

    def skip(self, reason: Reason, candidate: Candidate) -> None:
        """Count a key for which none is made."""
        self.skip_many(reason, 1)
        found = self._samples.setdefault(reason, [])
        insort(found, candidate.key)
        del found[SKIPPED_SAMPLE:]

    def skip_many(self, reason: Reason, number: int) -> None:
        """Count keys of which no example is known."""
        if number:
            self._counts[reason] += number

    def fail(self, reason: Reason) -> None:
        """Note that what was skipped for this reason may be a certificate."""
        self._failures.add(reason)

    @property
    def failures(self) -> list[Reason]:
        """The reasons for which certificates may be watched by nobody, in a fixed order."""
        return sorted(self._failures)

    def has_skipped(self, reason: Reason) -> bool:
        """True if a key was skipped for this reason."""
        return bool(self._counts[reason])

    def outcome(self) -> Outcome:
        """As the status says it."""
        skipped = [
            Skipped(reason, count, tuple(map(_shown, self._samples.get(reason, ()))))
            for reason, count in sorted(self._counts.items())
        ]
        return Outcome(self.would_create, tuple((name, _shown(key)) for key, name in self._sample), tuple(skipped))


def _shown(key: str) -> str:
    return sanitize_line(key, _LONGEST_KEY)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server, or the settings, keep the operator from a part of it."""

    verb: str
    """create or delete."""
    reason: Reason
    message: str


def discovered(
    discovery: Discovery, findings: Findings, refusals: Iterable[Refusal], roles: Mapping[str, str]
) -> Condition:
    """The condition Discovered, with the most important of several problems. `roles` grant create and delete."""
    for refusal in refusals:
        if refusal.reason is Reason.OBSERVE_ONLY:
            return Condition(DISCOVERED, "Unknown", Reason.OBSERVE_ONLY, withheld("no ClientCertificate is made"))
        return Condition(DISCOVERED, "False", refusal.reason, _refused(refusal, roles[refusal.verb]))
    would = "makes" if discovery.creates else "would make"
    if findings.has_skipped(Reason.LIMIT_REACHED):
        words = f"discovery {would} {discovery.limit} ClientCertificates, and no more: increase spec.discovery.limit,"
        words += " or have spec.s3.prefix and spec.discovery.keyPattern match fewer keys"
        return Condition(DISCOVERED, "False", Reason.LIMIT_REACHED, words)
    if findings.has_skipped(Reason.TOO_MANY_KEYS):
        words = "too many keys match that no ClientCertificate watches, so some are not looked at: have spec.s3.prefix"
        words += " and spec.discovery.keyPattern match fewer keys"
        return Condition(DISCOVERED, "False", Reason.TOO_MANY_KEYS, words)
    if findings.failures:
        return incomplete(findings.failures)
    if not discovery.creates:
        words = "status.wouldCreate has what discovery would make: to have it made, set spec.discovery.mode to Create"
        return Condition(DISCOVERED, "True", "Reported", words)
    words = "every certificate that matches has a ClientCertificate; status.skipped has what is none"
    return Condition(DISCOVERED, "True", "Discovered", words)


def _refused(refusal: Refusal, role: str) -> str:
    answer = sanitize_line(refusal.message, _LONGEST_ANSWER)
    if refusal.reason is not Reason.FORBIDDEN:
        return f"the API server does not {refusal.verb} a ClientCertificate: {answer}"
    other = "set spec.discovery.mode to Report" if refusal.verb == "create" else "set spec.discovery.prune to false"
    return (
        f"the operator may not {refusal.verb} ClientCertificates in this namespace: bind the ClusterRole {role} to its"
        f" ServiceAccount by a RoleBinding there, or {other} ({answer})"
    )


def pending() -> Condition:
    """The condition Discovered until the first pass after a change of the spec has ended."""
    return Condition(
        DISCOVERED, "Unknown", "Pending", "the spec has changed, and not all that matches is looked at yet"
    )


def incomplete(reasons: Sequence[Reason]) -> Condition:
    """The condition Discovered if objects could not be looked at, or what they need could not be made."""
    words = "some objects that match, as in status.skipped, may be certificates that nobody watches: the runbook says"
    return Condition(DISCOVERED, "False", reasons[0], f"{words} what to do about {', '.join(reasons)}")


def unanswered(reasons: Sequence[Reason]) -> Condition:
    """The condition Discovered if a pass was given up."""
    words = "the bucket can be listed, but it does not answer reads of its objects: the runbook says what to do about"
    return Condition(DISCOVERED, "False", reasons[0], f"{words} {', '.join(reasons)}")


def unusable(error: ClientCertError) -> Condition:
    """The condition Discovered if spec.discovery cannot be used."""
    return Condition(DISCOVERED, "False", error.reason, f"spec.discovery: {error.message}")
