"""What was sent or failed and no status says yet. It is the only state that nobody else has.

Deliveries stay here until a status has recorded them; failures until the notification was sent or is not owed any more.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clientcert.cache.objects import CertificateRecord
from clientcert.errors import Reason
from clientcert.kube.events import EventSpec
from clientcert.lifecycle.delivery_log import DeliveryFailure, DeliveryLog, UnrecordedDelivery
from clientcert.lifecycle.recorded_status import ChannelStatus, DigestRecord
from clientcert.lifecycle.spec import ObjectKey

_WRITE_SECONDS = 5.0
"""A status write that takes longer may never be answered."""
_NO_FAILURES: Mapping[str, DeliveryFailure] = {}


@dataclass(slots=True)
class _Entry:
    """Of one certificate."""

    uid: str
    generation: int
    deliveries: tuple[UnrecordedDelivery, ...] = ()
    failures: dict[str, DeliveryFailure] = field(default_factory=dict)
    """By the channel's name; of this generation of the spec."""
    events: tuple[EventSpec, ...] = ()


class Outbox:
    """Shared by all certificates. From the event loop only."""

    def __init__(self) -> None:
        self._entries: dict[ObjectKey, _Entry] = {}
        self._digests: dict[ObjectKey, tuple[DigestRecord, ...]] = {}
        """By the policy's key, newest first."""
        self._writes: dict[ObjectKey, float] = {}
        """Deliveries that are being written into statuses: since when on the loop's clock, the oldest first."""
        self._unanswered: set[ObjectKey] = set()
        """Deliveries whose last write the API server did not answer."""

    # Deliveries

    def log(self, record: CertificateRecord, digests: tuple[DigestRecord, ...]) -> DeliveryLog:
        """What each channel was told; `digests` are those that the policy's status records."""
        entry, policy = self._entry(record), ObjectKey(record.key.namespace, record.spec.policy)
        unrecorded = self._digests.get(policy, ()) if self._digests else ()
        log = DeliveryLog.of(record.uid, record.status, (*unrecorded, *digests), entry.deliveries if entry else ())
        return log.with_failures(entry.failures) if entry and entry.failures else log

    def record_delivery(self, record: CertificateRecord, told: ChannelStatus) -> None:
        """A notification was sent; the status shall say so."""
        entry = self._entry(record) or self._new_entry(record)
        others = tuple(each for each in entry.deliveries if each.after.name != told.name)
        entry.deliveries = (*others, UnrecordedDelivery(DeliveryLog(record.status.channels).channel(told.name), told))
        entry.failures = {name: failure for name, failure in entry.failures.items() if name != told.name}

    def begin_write(self, record: CertificateRecord) -> tuple[UnrecordedDelivery, ...]:
        """The status is about to be written; returns the deliveries that it has to record."""
        entry = self._entry(record)
        if entry is None:
            return ()
        if entry.deliveries:
            self._writes.setdefault(record.key, asyncio.get_running_loop().time())
        return entry.deliveries

    def write_failed(self, record: CertificateRecord, *, unanswered: bool) -> None:
        """The status was not written; what was sent stays here. `unanswered`: the API server did not answer."""
        self._writes.pop(record.key, None)
        entry = self._entry(record)
        if unanswered and entry is not None and entry.deliveries:
            self._unanswered.add(record.key)
        else:
            self._unanswered.discard(record.key)

    def written(self, record: CertificateRecord, deliveries: Iterable[UnrecordedDelivery]) -> None:
        """The status says these now."""
        entry, done = self._entry(record), tuple(deliveries)
        if entry is not None:
            entry.deliveries = tuple(each for each in entry.deliveries if each not in done)
            self._writes.pop(record.key, None)
            self._unanswered.discard(record.key)
            self._drop_if_empty(record.key, entry)

    def is_blocked(self) -> bool:
        """True while status writes go unanswered; sending pauses, or the next leader would repeat it all."""
        if self._unanswered:
            return True
        oldest = next(iter(self._writes.values()), math.inf)
        return oldest < asyncio.get_running_loop().time() - _WRITE_SECONDS

    # Failures

    def failures(self, record: CertificateRecord) -> Mapping[str, DeliveryFailure]:
        """The channels that could not be told, by name; none that a change of the spec may have fixed."""
        entry = self._entry(record)
        return entry.failures if entry and entry.generation == record.generation else _NO_FAILURES

    def set_failures(self, record: CertificateRecord, failures: Mapping[str, DeliveryFailure]) -> None:
        """These failures, and no others, still matter."""
        entry = self._entry(record)
        if entry is None:
            if not failures:
                return
            entry = self._new_entry(record)
        entry.generation, entry.failures = record.generation, dict(failures)
        self._drop_if_empty(record.key, entry)

    def forget_failures(self, key: ObjectKey, reason: Reason | None = None) -> bool:
        """Have what failed, for this reason or for any, tried at once; returns whether anything had."""
        entry = self._entries.get(key)
        if entry is None or not entry.failures:
            return False
        kept = {name: each for name, each in entry.failures.items() if reason not in {None, each.reason}}
        forgotten, entry.failures = len(kept) < len(entry.failures), kept
        self._drop_if_empty(key, entry)
        return forgotten

    def failing(self, reason: Reason | None = None) -> tuple[ObjectKey, ...]:
        """The certificates with a channel that failed, for this reason or for any."""
        return tuple(
            key
            for key, entry in self._entries.items()
            if any(reason in {None, failure.reason} for failure in entry.failures.values())
        )

    # Events

    def events(self, record: CertificateRecord) -> tuple[EventSpec, ...]:
        """Events about changes that are in the status already, and could not be written yet."""
        entry = self._entry(record)
        return entry.events if entry else ()

    def set_events(self, record: CertificateRecord, events: tuple[EventSpec, ...]) -> None:
        """These Events are still to be written."""
        entry = self._entry(record)
        if entry is None:
            if not events:
                return
            entry = self._new_entry(record)
        entry.events = events
        self._drop_if_empty(record.key, entry)

    # Digests

    def add_digests(self, policy: ObjectKey, digests: tuple[DigestRecord, ...]) -> None:
        """A digest was sent; the policy's status shall say so."""
        self._digests[policy] = (*digests, *self._digests.get(policy, ()))

    def digests(self, policy: ObjectKey) -> tuple[DigestRecord, ...]:
        """The digests that the policy's status does not record yet."""
        return self._digests.get(policy, ())

    def digests_written(self, policy: ObjectKey, digests: Iterable[DigestRecord]) -> None:
        """The policy's status records these now, or nobody needs them any more."""
        done = tuple(digests)
        kept = tuple(each for each in self._digests.get(policy, ()) if each not in done)
        if kept:
            self._digests[policy] = kept
        else:
            self._digests.pop(policy, None)

    def forget(self, key: ObjectKey) -> None:
        """The certificate is gone."""
        self._entries.pop(key, None)
        self._writes.pop(key, None)
        self._unanswered.discard(key)

    def _entry(self, record: CertificateRecord) -> _Entry | None:
        """The entry of this very object: a namesake inherits nothing."""
        entry = self._entries.get(record.key)
        return entry if entry is not None and entry.uid == record.uid else None

    def _new_entry(self, record: CertificateRecord) -> _Entry:
        self._writes.pop(record.key, None)
        self._unanswered.discard(record.key)
        entry = self._entries[record.key] = _Entry(record.uid, record.generation)
        return entry

    def _drop_if_empty(self, key: ObjectKey, entry: _Entry) -> None:
        if not entry.deliveries and not entry.failures and not entry.events:
            self._entries.pop(key, None)
