"""Messages about requests that were sent and that no status records yet, and those that failed.

After a conflict a message is not sent again. A failure stays here until its message is sent or is no longer due.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from clientcert.api.kinds import CERTIFICATE_RENEWAL
from clientcert.lifecycle.delivery_log import DeliveryFailure
from clientcert.lifecycle.renewal.notices import Notice
from clientcert.lifecycle.renewal.status import DeliveryRecord, NoticeRecord, RenewalStatus
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item

_NO_FAILURES: Mapping[str, DeliveryFailure] = {}


@dataclass(slots=True)
class _Entry:
    """Of one request."""

    uid: str
    notices: dict[tuple[str, int], NoticeRecord] = field(default_factory=dict)
    """By name and number of the notice."""
    delivery: DeliveryRecord | None = None
    failures: dict[str, DeliveryFailure] = field(default_factory=dict)
    """By the name of the notice."""

    @property
    def is_unrecorded(self) -> bool:
        return bool(self.notices) or self.delivery is not None


class RenewalOutbox:
    """Shared by all requests. Use it from the event loop only."""

    def __init__(self) -> None:
        self._entries: dict[ObjectKey, _Entry] = {}

    # Deliveries

    def notice(self, key: ObjectKey, uid: str, notice: Notice) -> NoticeRecord | None:
        """The record of this message, if it was sent."""
        entry = self._entry(key, uid)
        return entry.notices.get((notice.name, notice.number)) if entry else None

    def notices(self, key: ObjectKey, uid: str, status: RenewalStatus) -> tuple[NoticeRecord, ...]:
        """The records of all messages that this status does not have, whether they are still due or not."""
        entry = self._entry(key, uid)
        return tuple(_missing(entry.notices.values(), status)) if entry else ()

    def delivery(self, key: ObjectKey, uid: str) -> DeliveryRecord | None:
        """The record of the mail with the certificate, if it was sent."""
        entry = self._entry(key, uid)
        return entry.delivery if entry else None

    def has_unrecorded(self, key: ObjectKey, uid: str) -> bool:
        """True if anything was sent that no status records yet."""
        entry = self._entry(key, uid)
        return entry is not None and entry.is_unrecorded

    def notice_was_sent(self, key: ObjectKey, uid: str, notice: Notice, record: NoticeRecord) -> None:
        """Keep the record of a message until the status has it."""
        entry = self._made(key, uid)
        others = {known: each for known, each in entry.notices.items() if known[0] != notice.name}
        entry.notices = {**others, (notice.name, notice.number): record}
        entry.failures.pop(notice.name, None)

    def certificate_was_sent(self, key: ObjectKey, uid: str, record: DeliveryRecord) -> None:
        """Keep the record of the mail with the certificate until the status has it."""
        self._made(key, uid).delivery = record

    def written(self, key: ObjectKey, status: RenewalStatus, sent: Collection[NoticeRecord] = ()) -> None:
        """Forget what this status records, and `sent`, of which it keeps only what matters."""
        entry = self._entries.get(key)
        if entry is None:
            return
        missing = set(_missing(entry.notices.values(), status)).difference(sent)
        entry.notices = {known: each for known, each in entry.notices.items() if each in missing}
        if status.delivery is not None:
            entry.delivery = None
        self._drop_if_empty(key, entry)

    def keys(self) -> tuple[ObjectKey, ...]:
        """The requests about which anything is kept here."""
        return tuple(self._entries)

    def unrecorded_items(self) -> tuple[Item, ...]:
        """The requests whose statuses do not record everything yet that was sent."""
        found = (key for key, each in self._entries.items() if each.is_unrecorded)
        return tuple(Item(CERTIFICATE_RENEWAL.name, key) for key in found)

    # Failures

    def failures(self, key: ObjectKey, uid: str = "") -> Mapping[str, DeliveryFailure]:
        """The failures by the name of the notice; with an empty `uid`, of any object of this name."""
        entry = self._entry(key, uid) if uid else self._entries.get(key)
        return entry.failures if entry else _NO_FAILURES

    def set_failure(self, key: ObjectKey, uid: str, name: str, failure: DeliveryFailure | None) -> None:
        """Replace the failure of one message; None: it has none any more."""
        entry = self._entry(key, uid)
        if failure is not None:
            self._made(key, uid).failures[name] = failure
        elif entry is not None:
            entry.failures.pop(name, None)
            self._drop_if_empty(key, entry)

    def keep_failures(self, key: ObjectKey, uid: str, names: Collection[str]) -> None:
        """Forget the failures of messages that are no longer due, and all that is known of another object."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if entry.uid != uid:
            del self._entries[key]
            return
        entry.failures = {name: each for name, each in entry.failures.items() if name in names}
        self._drop_if_empty(key, entry)

    def forget_failures(self, keys: Iterable[ObjectKey] | None = None) -> None:
        """Forget the failures of these requests (None: of all), so that their messages are retried at once."""
        for key in tuple(self._entries) if keys is None else keys:
            entry = self._entries.get(key)
            if entry is not None:
                entry.failures = {}
                self._drop_if_empty(key, entry)

    def forget(self, key: ObjectKey) -> None:
        """Forget a request that is gone, or about which everything was told."""
        self._entries.pop(key, None)

    def _entry(self, key: ObjectKey, uid: str) -> _Entry | None:
        """The entry of exactly this object, not of an earlier one with the same name."""
        entry = self._entries.get(key)
        return entry if entry is not None and entry.uid == uid else None

    def _made(self, key: ObjectKey, uid: str) -> _Entry:
        entry = self._entry(key, uid)
        if entry is None:
            entry = self._entries[key] = _Entry(uid)
        return entry

    def _drop_if_empty(self, key: ObjectKey, entry: _Entry) -> None:
        if not entry.is_unrecorded and not entry.failures:
            self._entries.pop(key, None)


def _missing(records: Iterable[NoticeRecord], status: RenewalStatus) -> list[NoticeRecord]:
    """Those that this status does not have: neither itself, nor a later one of the same notice."""
    times = {each.name: each.sent for each in status.notices}
    return [each for each in records if each.name not in times or times[each.name] < each.sent]
