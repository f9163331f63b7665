"""Deliveries and failures that no status records yet: the only state that exists nowhere else.

A delivery stays here until a status records it; a failure until its notification is sent or is no longer due.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from clientcert.cache.object_cache import CERTIFICATE
from clientcert.cache.objects import CertificateRecord
from clientcert.cache.policies import POLICY
from clientcert.errors import Reason
from clientcert.kube.events import EventSpec
from clientcert.lifecycle.delivery_log import DeliveryFailure, DeliveryLog, UnrecordedDelivery
from clientcert.lifecycle.recorded_status import ChannelStatus, DigestRecord
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item

_WRITE_SECONDS = 5.0
"""A status write that takes longer is considered unanswered."""
_NO_FAILURES: Mapping[str, DeliveryFailure] = {}


@dataclass(slots=True)
class _Entry:
    """The entry of one certificate."""

    uid: str
    generation: int
    deliveries: tuple[UnrecordedDelivery, ...] = ()
    failures: dict[str, DeliveryFailure] = field(default_factory=dict)
    """By the channel's name, for this generation of the spec."""
    events: tuple[EventSpec, ...] = ()


class Outbox:
    """Shared by all certificates. Use it from the event loop only."""

    def __init__(self) -> None:
        self._entries: dict[ObjectKey, _Entry] = {}
        self._digests: dict[ObjectKey, tuple[DigestRecord, ...]] = {}
        """By the policy's key, newest first."""
        self._writes: dict[tuple[ObjectKey, str], float] = {}
        """The start of each status write in progress that records deliveries, on the loop's clock, the oldest first."""
        self._unanswered: set[tuple[ObjectKey, str]] = set()
        """Certificates with deliveries whose last status write the API server did not answer."""

    # Deliveries

    def log(self, record: CertificateRecord, digests: tuple[DigestRecord, ...]) -> DeliveryLog:
        """The deliveries of each channel; `digests` are those that the policy's status records."""
        entry, policy = self._entry(record), ObjectKey(record.key.namespace, record.spec.policy)
        if entry is None and record.key in self._entries:
            self.forget(record.key)  # the entry is of a deleted object of the same name
        unrecorded = self._digests.get(policy, ()) if self._digests else ()
        log = DeliveryLog.of(record.uid, record.status, (*unrecorded, *digests), entry.deliveries if entry else ())
        return log.with_failures(entry.failures) if entry and entry.failures else log

    def record_delivery(self, record: CertificateRecord, told: ChannelStatus, decided_by: DeliveryLog) -> None:
        """Record that a notification was sent; the status has to say so. `decided_by` is the log that made it due."""
        entry = self._entry(record) or self._new_entry(record)
        others = tuple(each for each in entry.deliveries if each.after.name != told.name)
        before = (DeliveryLog(record.status.channels).channel(told.name), decided_by.channel(told.name))
        entry.deliveries = (*others, UnrecordedDelivery(before, told))
        entry.failures = {name: failure for name, failure in entry.failures.items() if name != told.name}

    def unrecorded(self, record: CertificateRecord) -> tuple[UnrecordedDelivery, ...]:
        """The deliveries that the status does not record yet."""
        entry = self._entry(record)
        return entry.deliveries if entry else ()

    def begin_write(self, record: CertificateRecord) -> None:
        """The PATCH of the status is sent now; `written` or `write_failed` must follow."""
        if self.unrecorded(record):
            self._writes.setdefault((record.key, record.uid), asyncio.get_running_loop().time())

    def write_failed(self, record: CertificateRecord, *, unanswered: bool) -> None:
        """The status was not written; what was sent stays here. `unanswered`: the API server did not answer."""
        mark = (record.key, record.uid)
        self._writes.pop(mark, None)
        if unanswered and self.unrecorded(record):
            self._unanswered.add(mark)
        else:
            self._unanswered.discard(mark)

    def written(self, record: CertificateRecord, deliveries: Iterable[UnrecordedDelivery]) -> None:
        """The status says these now."""
        entry, done, mark = self._entry(record), tuple(deliveries), (record.key, record.uid)
        self._writes.pop(mark, None)
        self._unanswered.discard(mark)
        if entry is not None:
            entry.deliveries = tuple(each for each in entry.deliveries if each not in done)
            self._drop_if_empty(record.key, entry)

    def is_blocked(self) -> bool:
        """True while status writes go unanswered; sending pauses, or the next leader would repeat it all."""
        if self._unanswered:
            return True
        oldest = next(iter(self._writes.values()), math.inf)
        return oldest < asyncio.get_running_loop().time() - _WRITE_SECONDS

    def unrecorded_items(self) -> tuple[Item, ...]:
        """The certificates and policies whose statuses do not record everything yet that was sent."""
        certificates = (Item(CERTIFICATE, key) for key, entry in self._entries.items() if entry.deliveries)
        return (*certificates, *(Item(POLICY, key) for key in self._digests))

    # Failures

    def failures(self, record: CertificateRecord) -> Mapping[str, DeliveryFailure]:
        """The failures by channel name; none from before the last change of the spec, which may have fixed them."""
        entry = self._entry(record)
        return entry.failures if entry and entry.generation == record.generation else _NO_FAILURES

    def set_failures(self, record: CertificateRecord, failures: Mapping[str, DeliveryFailure]) -> None:
        """Replace the failures of the certificate."""
        entry = self._entry(record)
        if entry is None:
            if not failures:
                return
            entry = self._new_entry(record)
        entry.generation, entry.failures = record.generation, dict(failures)
        self._drop_if_empty(record.key, entry)

    def forget_failures(self, key: ObjectKey, reason: Reason | None = None) -> bool:
        """Drop the failures with this reason, or all, so that they are retried at once; returns True if any were."""
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
        """Events that could not be written yet, about changes that are in the status already."""
        entry = self._entry(record)
        return entry.events if entry else ()

    def set_events(self, record: CertificateRecord, events: tuple[EventSpec, ...]) -> None:
        """Replace the Events that are still to be written."""
        entry = self._entry(record)
        if entry is None:
            if not events:
                return
            entry = self._new_entry(record)
        entry.events = events
        self._drop_if_empty(record.key, entry)

    # Digests

    def add_digests(self, policy: ObjectKey, digests: tuple[DigestRecord, ...]) -> None:
        """Keep a sent digest until the policy's status records it."""
        self._digests[policy] = (*digests, *self._digests.get(policy, ()))

    def digests(self, policy: ObjectKey) -> tuple[DigestRecord, ...]:
        """The digests that the policy's status does not record yet."""
        return self._digests.get(policy, ())

    def digests_written(self, policy: ObjectKey, digests: Iterable[DigestRecord]) -> None:
        """Drop digests that the policy's status records now, or that are no longer needed."""
        done = tuple(digests)
        kept = tuple(each for each in self._digests.get(policy, ()) if each not in done)
        if kept:
            self._digests[policy] = kept
        else:
            self._digests.pop(policy, None)

    def keys(self) -> AbstractSet[ObjectKey]:
        """The certificates that have an entry."""
        return self._entries.keys()

    def forget(self, key: ObjectKey) -> None:
        """Remove the entry of a certificate that is gone."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._writes.pop((key, entry.uid), None)
            self._unanswered.discard((key, entry.uid))

    def _entry(self, record: CertificateRecord) -> _Entry | None:
        """The entry of exactly this object (uid), not of an earlier one with the same name."""
        entry = self._entries.get(record.key)
        return entry if entry is not None and entry.uid == record.uid else None

    def _new_entry(self, record: CertificateRecord) -> _Entry:
        if record.key in self._entries:
            self.forget(record.key)
        entry = self._entries[record.key] = _Entry(record.uid, record.generation)
        return entry

    def _drop_if_empty(self, key: ObjectKey, entry: _Entry) -> None:
        if not entry.deliveries and not entry.failures and not entry.events:
            self._entries.pop(key, None)
