"""The content of each certificate's source at the last read. A source is read again only if it may have changed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from clientcert.backoff import Backoff
from clientcert.cache.lazy_index import LazyIndex
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.errors import CertificateError, Reason, SourceError
from clientcert.fair_queueing import FairSemaphore
from clientcert.lifecycle.assessment import Observation, unread
from clientcert.lifecycle.conditions import SOURCE_READABLE
from clientcert.lifecycle.recorded_status import CertificateStatus, SourceGap
from clientcert.lifecycle.renewal.former_cas import FormerCas
from clientcert.lifecycle.source_gap import (
    GONE,
    TEMPORARY_ISSUER,
    alarm_time,
    gap_after,
    is_temporary,
    with_key_gone,
)
from clientcert.lifecycle.spec import ObjectKey, S3Source, SecretKeyRef, SecretSource
from clientcert.loop_budget import LoopBudget
from clientcert.messages.text import name_source
from clientcert.metrics import Metrics
from clientcert.pki.certificate import Certificate
from clientcert.pki.leaf_content import LeafContent, read_leaf
from clientcert.pki.parsing import parse
from clientcert.pki.structure import needs_subprocess
from clientcert.sources.interface import Password, Source

_Parsed = TypeVar("_Parsed")
ReadPassword = Callable[[str, SecretKeyRef], Awaitable[Password]]

_INLINE_BYTES = 16 * 1024
"""Up to this size parsing takes well under a millisecond, less than handing it to a thread."""
_CONTAINERS_AT_ONCE = 2
"""One of them for each namespace, so that there is always one for another."""
_LARGE_AT_ONCE = 4
"""Large contents without a container; fewer than the threads that everything else needs as well."""
_REPORTED_AFTER = 5
"""Failed attempts in a row after which an unavailable source is a problem of the certificate. After a restart the
first one is enough if the status has this problem already: it is not told as if it was over."""
_RETRY = Backoff(5.0, 600.0)
_TOLD_BY_WATCHES = frozenset({Reason.SOURCE_NOT_FOUND, Reason.KEY_MISSING, Reason.STORE_NOT_FOUND})
"""A watch or a poll reports that these are fixed; after any other failure the source is read again."""
_NOTHING_READ = Observation()


@dataclass(frozen=True, slots=True)
class SourceState:
    """The last read of one source."""

    uid: str
    generation: int
    observation: Observation
    failures: int = 0
    failure: Reason | None = None
    read_at: datetime | None = None
    """The time of the next read, if nothing changes before: a retry, or another choice of the certificate."""


@dataclass(frozen=True, slots=True)
class _Signer:
    """The one of several CAs of one name that signed a certificate."""

    fingerprint_sha256: str
    cas: FormerCas
    is_former: bool


class SourceCache:
    """Shared by all certificates."""

    def __init__(
        self,
        cache: ObjectCache,
        sources: Mapping[type[SecretSource] | type[S3Source], Source],
        read_password: ReadPassword,
        clock: Callable[[], datetime],
        metrics: Metrics,
        loop_budget: LoopBudget,
    ) -> None:
        self._cache = cache
        self._sources = sources
        self._read_password = read_password
        self._clock = clock
        self._metrics = metrics
        self._loop_budget = loop_budget
        self._states: dict[ObjectKey, SourceState] = {}
        self._reading: set[ObjectKey] = set()
        self._key_owners = LazyIndex[tuple[str, bytes]]()
        """By namespace, and the beginning of the hash of the public key that was last read."""
        self._signers: dict[ObjectKey, _Signer] = {}
        """Only of certificates under a policy with two CAs of one name."""
        # Separate threads: containers made to be slow must not occupy the threads that everything else needs.
        self._containers = ThreadPoolExecutor(_CONTAINERS_AT_ONCE, "containers")
        self.openings = FairSemaphore(_CONTAINERS_AT_ONCE)
        """Containers that wait for such a thread."""
        self._large = FairSemaphore(_LARGE_AT_ONCE)

    def state(self, record: CertificateRecord) -> SourceState | None:
        """The last read of the source that the record names; None if it was not read yet."""
        state = self._states.get(record.key)
        same = state is not None and state.uid == record.uid and state.generation == record.generation
        return state if same else None

    def observation(self, record: CertificateRecord) -> Observation:
        """The content of the source at the last read, or the problem if nothing is known of it."""
        if record.spec_problem is not None:
            return Observation(problem=record.spec_problem)
        state = self.state(record)
        return state.observation if state else _NOTHING_READ

    async def refresh(self, record: CertificateRecord) -> None:
        """Read the source, if its content may have changed."""
        before = self.state(record)
        changed = self._cache.take_source_change(record.key)
        is_due = before is None or (before.read_at is not None and self._clock() >= before.read_at)
        if record.spec_problem is not None or not (changed or is_due):
            return
        versions: tuple[str, str] | None
        self._reading.add(record.key)
        try:
            state, versions = await self._read(record)
        except SourceError as error:
            state = self._failed(record, before, error)
            versions = None if state.read_at else ("", "")  # what has a time for its next read needs no list
        except BaseException:
            self.forget(record.key)  # the next reconcile reads it
            raise
        finally:
            self._reading.discard(record.key)
        gap = before.observation.gap if before else record.status.source_gap
        seen = state.observation.certificate
        if gap is not None or seen is None or seen.issuer_common_name == TEMPORARY_ISSUER:
            state = self._with_gap(record, state, gap)
        current = self._cache.certificates.get(record.key)
        if current is not None and (current.uid, current.generation) == (record.uid, record.generation):
            if self._key_owners.is_used:
                self._replace_key(record.key, state)
            self._states[record.key] = state
            if versions is not None:
                self._cache.source_was_read(record.key, *versions)

    def is_unread(self, record: CertificateRecord) -> bool:
        """True if its source was not looked at yet, or may have changed since and was not looked at again."""
        if record.spec_problem is not None:
            return False
        return self.state(record) is None or record.key in self._reading or self._cache.is_unread(record.key)

    def unavailable(self, reasons: frozenset[Reason]) -> tuple[ObjectKey, ...]:
        """The certificates whose source could not be read for one of these reasons."""
        return tuple(key for key, state in self._states.items() if state.failure in reasons)

    def retry_now(self) -> None:
        """Make all reads that wait for a time due now, after the clock was set."""
        self._cache.reread_all(key for key, state in self._states.items() if state.read_at is not None)

    def keys(self) -> AbstractSet[ObjectKey]:
        """The certificates of which anything is known here."""
        return self._states.keys()

    def forget(self, key: ObjectKey) -> None:
        """Drop the state of an object that is gone."""
        if self._key_owners.is_used:
            self._replace_key(key, None)
        self._states.pop(key, None)
        self._signers.pop(key, None)

    async def find_signer(self, record: CertificateRecord) -> None:
        """Read the source once more, if only the signature tells whether the CA of the certificate signs no more."""
        cas, seen = self._cache.former_cas(record), self._certificate(record.key)
        if cas is None or seen is None or cas.by_name(seen.issuer_dn) is not None:
            return
        known = self._signers.get(record.key)
        if known is not None and (known.fingerprint_sha256, known.cas) == (seen.fingerprint_sha256, cas):
            return
        try:
            leaf = await self.read_leaf(record)
        except (SourceError, CertificateError):
            return  # the status keeps what it says
        is_former = cas.by_signature(leaf.der)
        self._signers[record.key] = _Signer(leaf.certificate.fingerprint_sha256, cas, is_former)

    def signed_by_former_ca(self, record: CertificateRecord, fingerprint_sha256: str) -> bool | None:
        """True if a CA that signs no more signed this certificate; None until that was found out."""
        known, cas = self._signers.get(record.key), self._cache.former_cas(record)
        if known is None or (known.fingerprint_sha256, known.cas) != (fingerprint_sha256, cas):
            return None
        return known.is_former

    async def index_keys(self) -> None:
        """Make the index of keys, the first time; await it before `owners_of_key`."""
        await self._key_owners.fill(self._states, lambda key: _public_key(key, self._states.get(key)))

    def owners_of_key(self, namespace: str, key_hash: str) -> tuple[ObjectKey, ...]:
        """The ClientCertificates whose certificate has this key; `key_hash` is SHA-256 in hex."""
        return self._key_owners.objects((namespace, bytes.fromhex(key_hash)[:16]))

    def _replace_key(self, key: ObjectKey, state: SourceState | None) -> None:
        """Take over in the index what was read; None: nothing is known any more."""
        self._key_owners.discard(_public_key(key, self._states.get(key)), key)
        self._key_owners.add(_public_key(key, state), key)

    def _certificate(self, key: ObjectKey) -> Certificate | None:
        state = self._states.get(key)
        return state.observation.certificate if state else None

    async def _read(self, record: CertificateRecord) -> tuple[SourceState, tuple[str, str]]:
        """The state, and the resourceVersions of the Secrets with the certificate and with the password.

        Empty if there is none, and for a Secret that has both and changed between its reads.
        """
        source, namespace = record.spec.source, record.key.namespace
        content, read_at = await self._sources[type(source)].read(namespace, source), None
        password = Password()
        try:
            if source.password_ref is not None:
                password = await self._read_password(namespace, source.password_ref)
            parsing = partial(
                parse, content.body, password=password.text, identity=record.spec.identity, now=self._clock()
            )
            certificate = await self.in_turn(namespace, content.body, parsing)
            read_at = certificate.chosen_until
            if record.status.accepted is not None:
                certificate = _with_shared_values(certificate, record)
            observation = Observation(certificate, content.version)
        except CertificateError as error:
            if error.retryable:
                raise SourceError(error.reason, f"{name_source(source)}: {error.message}", retryable=True) from error
            self._metrics.count_source_error(source.kind, error.reason)
            observation = unread(error.reason, f"{name_source(source)}: {error.message}", content.version)
        state = SourceState(record.uid, record.generation, observation, read_at=read_at)
        if isinstance(source, SecretSource) and source.password_ref and source.password_ref.name == source.name:
            return state, (content.revision if content.revision == password.version else "", "")
        return state, (content.revision, password.version)

    def _failed(self, record: CertificateRecord, before: SourceState | None, error: SourceError) -> SourceState:
        self._metrics.count_source_error(record.spec.source.kind, error.reason)
        # While a problem stands, failures for another reason count from the first one on.
        goes_on = before is not None and (before.observation.problem is None or before.failure is error.reason)
        failures = before.failures + 1 if before is not None and goes_on else 1
        observation = before.observation if before else _NOTHING_READ
        recorded = record.status.condition(SOURCE_READABLE) if before is None else None
        lasts = recorded is not None and (recorded.status, recorded.reason) == ("False", error.reason)
        if not error.retryable or failures >= _REPORTED_AFTER or lasts:
            observation = unread(error.reason, error.message)
        retry_at = None
        if error.reason not in _TOLD_BY_WATCHES:
            retry_at = self._clock() + timedelta(seconds=error.retry_after or _RETRY.delay(failures))
        return SourceState(record.uid, record.generation, observation, failures, error.reason, retry_at)

    def _with_gap(self, record: CertificateRecord, state: SourceState, before: SourceGap | None) -> SourceState:
        """The state with the gap of the source. A source that is gone is read once more just before the alarm."""
        observation, now = state.observation, self._clock()
        seen, problem = observation.certificate, observation.problem
        if seen is None and problem is None:
            return replace(state, observation=replace(observation, gap=before))  # nothing is known yet
        found = self._cache.policy_of(record)
        grace = (found.policy if found else self._cache.default_policy).source_grace
        gone = is_temporary(seen) if seen is not None else problem is not None and problem.reason in GONE
        if before is None and gone and not _was_read(record.status):
            before = SourceGap(record.created)  # its Secret may be applied a moment after the object
        gap, read_at = gap_after(before, now, grace, gone=gone), state.read_at
        if gap is not None:
            no_key = problem is not None and problem.reason is Reason.SOURCE_NOT_FOUND
            gap = with_key_gone(gap, now, gone=no_key and isinstance(record.spec.source, S3Source))
        if gap is not None and gone and (alarm := alarm_time(gap, grace)) > now:
            read_at = min(read_at or alarm, alarm)
        return replace(state, observation=replace(observation, gap=gap), read_at=read_at)

    async def read_leaf(self, record: CertificateRecord) -> LeafContent:
        """Read the source anew, with the certificate's own bytes, which are kept nowhere.

        Raises SourceError and CertificateError.
        """
        source, namespace, password = record.spec.source, record.key.namespace, None
        content = await self._sources[type(source)].read(namespace, source)
        if source.password_ref is not None:
            password = (await self._read_password(namespace, source.password_ref)).text
        reading = partial(read_leaf, content.body, password=password, identity=record.spec.identity, now=self._clock())
        return await self.in_turn(namespace, content.body, reading)

    async def in_turn(self, namespace: str, body: bytes, parsing: Callable[[], _Parsed]) -> _Parsed:
        """Parse this content: a small one at once, others in a thread, in which the namespaces take turns."""
        if needs_subprocess(body):
            async with self.openings.slot(namespace):
                return await asyncio.get_running_loop().run_in_executor(self._containers, parsing)
        if len(body) <= _INLINE_BYTES:
            await self._loop_budget.yield_if_spent()
            return parsing()
        async with self._large.slot(namespace):
            return await asyncio.to_thread(parsing)


def _was_read(status: CertificateStatus) -> bool:
    """True if a read of the source is recorded. One that found nothing is recorded with its gap."""
    readable = status.condition(SOURCE_READABLE)
    return status.accepted is not None or (readable is not None and readable.status != "Unknown")


def _with_shared_values(certificate: Certificate, record: CertificateRecord) -> Certificate:
    """The same certificate; if the status has it already, with the same strings and dates in memory."""
    accepted, name = record.status.accepted, certificate.subject_common_name
    if accepted is None or accepted.fingerprint_sha256 != certificate.fingerprint_sha256:
        return certificate
    if (accepted.subject_dn, accepted.issuer_dn) != (certificate.subject_dn, certificate.issuer_dn):
        return certificate
    return replace(
        certificate,
        subject_dn=accepted.subject_dn,
        issuer_dn=accepted.issuer_dn,
        subject_common_name=record.spec.consumer if record.spec.consumer == name else name,
        fingerprint_sha256=accepted.fingerprint_sha256,
        not_before=accepted.not_before,
        not_after=accepted.not_after,
        ends_first=accepted.ends_first if accepted.ends_first == certificate.ends_first else certificate.ends_first,
    )


def _public_key(key: ObjectKey, state: SourceState | None) -> tuple[str, bytes] | None:
    seen = state.observation.certificate if state else None
    return (key.namespace, seen.public_key_hash) if seen and seen.public_key_hash else None
