"""The requests in the orders in which decisions look at them.

Of thousands about one certificate, which a requester can make, a look-up sees a few.
"""

from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime

from clientcert.cache.renewal_records import KEY_DIGITS, RenewalRecord
from clientcert.lifecycle.renewal.due_notices import WINDOW_OPEN
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.lifecycle.renewal.status import State
from clientcert.lifecycle.spec import ObjectKey

_Order = tuple[str | int | datetime, ...]
"""Of a record in a view: namespace, certificate or key, and what the view is sorted by."""
_AFTER_ALL = "\0"
"""No name has it: of all names that begin with this one, only the name itself is smaller."""


class RequestIndex:
    """All requests. The owner of `records`."""

    def __init__(self) -> None:
        self.records: dict[ObjectKey, RenewalRecord] = {}
        self._opened, self._waiting = _View(self.records, _opened), _View(self.records, _waiting)
        self._ended, self._delivered = _View(self.records, _ended), _View(self.records, _delivered)
        self._with_key, self._told = _View(self.records, _with_key), _View(self.records, _told)
        self._retirable, self._refused = _View(self.records, _retirable), _View(self.records, _refused)
        self._following, self._certified = _View(self.records, _following), _View(self.records, _certified)
        self._views = (
            *(self._opened, self._waiting, self._ended, self._delivered),
            *(self._with_key, self._told, self._retirable, self._refused, self._following, self._certified),
        )
        self._refusals: dict[_Order, list[tuple[_Order, datetime]]] = {}
        """Refusals by certificate and serial number, where they were asked for, the oldest request first.

        Without those of requests that were made later and refused before: so the last one before a request ended last.
        """

    def put(self, record: RenewalRecord) -> None:
        """Take over a record, in place of the one before."""
        self._change(record.key, record)

    def remove(self, key: ObjectKey) -> None:
        """Drop a record that is known."""
        self._change(key, None)

    def decisive(self, certificate: ObjectKey) -> tuple[RenewalRecord, ...]:
        """Of the requests about a certificate: the oldest that is open, the last that ended, the last delivered."""
        every = (self._opened.at(certificate, 0), self._ended.last(certificate), self._delivered.last(certificate))
        return tuple(self.records[key] for key in every if key is not None)

    def last_delivered(self, certificate: ObjectKey) -> RenewalRecord | None:
        """The last request about a certificate that was delivered."""
        key = self._delivered.last(certificate)
        return None if key is None else self.records[key]

    def following_policy(self, certificate: ObjectKey) -> list[ObjectKey]:
        """The requests about a certificate that are open, or of which somebody was not told; the oldest first."""
        return self._following.between(certificate)

    def retirable_of(self, certificate: ObjectKey) -> list[ObjectKey]:
        """The requests whose old certificate may be retired."""
        return self._retirable.between(certificate)

    def open_in(self, namespace: str) -> list[ObjectKey]:
        """The open requests of a namespace."""
        return self._opened.in_namespace(namespace)

    def waiting_before(self, record: RenewalRecord) -> int:
        """The number of older requests about its certificate that wait for approval."""
        return self._waiting.count(_certificate(record), (), _age(record))

    def waiting_at(self, certificate: ObjectKey, place: int) -> ObjectKey | None:
        """The request about a certificate that waits for approval with this number of older ones."""
        return self._waiting.at(certificate, place)

    def refusals_told(self, certificate: ObjectKey, since: datetime) -> list[ObjectKey]:
        """The requests about a certificate whose refusal was told after `since`."""
        return [key for key in self._told.between(certificate, (since,)) if self.records[key].refusal_told != since]

    def last_with_key_before(self, record: RenewalRecord) -> RenewalRecord | None:
        """The last request about its certificate, of those made before it, that brought one by a CSR or public key."""
        key = self._with_key.last(_certificate(record), _age(record))
        return None if key is None else self.records[key]

    def certifying(self, namespace: str, key_hash: str) -> list[ObjectKey]:
        """The requests of a namespace that have certified this key of a consumer, or are about to."""
        return self._certified.between((namespace, key_hash[:KEY_DIGITS]))

    def last_refusal_before(self, record: RenewalRecord, last_known: int | None = None) -> datetime | None:
        """The time of the last refusal to renew its certificate, of the requests made before it.

        `last_known` is the serial number of that certificate, if the request names none.
        """
        old_serial = last_known if record.old_serial is None else record.old_serial
        if old_serial is None:
            return None
        group = (*_certificate(record), old_serial)
        found = self._refusals.get(group)
        if found is None:
            found = []
            for key in self._refused.between(group):
                _add_refusal(found, self.records[key])
            if found:  # else whoever asks with ever another serial number would have each of them kept
                self._refusals[group] = found
        position = bisect_left(found, (_age(record),))
        return found[position - 1][1] if position else None

    def _change(self, key: ObjectKey, after: RenewalRecord | None) -> None:
        before = self.records.get(key)
        places = [
            (each, each.order(before) if before else None, each.order(after) if after else None) for each in self._views
        ]
        changed = [(view, old, new) for view, old, new in places if old != new]
        for view, old, _ in changed:
            if old is not None:
                view.remove(old)
        if after is not None:
            self.records[key] = after
        else:
            del self.records[key]
        for view, _, new in changed:
            if new is not None:
                view.insert(new, key)
        for view, old, new in changed:
            if view is self._refused:
                self._refusal_changed(old, new, after)

    def _refusal_changed(self, old: _Order | None, new: _Order | None, record: RenewalRecord | None) -> None:
        if old is not None:
            self._refusals.pop(old[:3], None)  # it is made anew when it is asked for
        if new is not None and record is not None and new[:3] in self._refusals:
            _add_refusal(self._refusals[new[:3]], record)


class _View:
    """Some of the records, sorted. They are looked up by a binary search."""

    def __init__(
        self, records: dict[ObjectKey, RenewalRecord], order: Callable[[RenewalRecord], _Order | None]
    ) -> None:
        """`order` is None for a record that is not in this view."""
        self._records = records
        self.order = order
        self._keys: list[ObjectKey] = []

    def insert(self, order: _Order, key: ObjectKey) -> None:
        self._keys.insert(self._position(order), key)

    def remove(self, order: _Order) -> None:
        del self._keys[self._position(order)]

    def last(self, prefix: _Order, before: _Order = ()) -> ObjectKey | None:
        """The last one, or the last before this."""
        found = self._position((*prefix, *before)) if before else self._end(prefix)
        return self._keys[found - 1] if found > self._position(prefix) else None

    def at(self, prefix: _Order, place: int) -> ObjectKey | None:
        found = self._position(prefix) + place
        return self._keys[found] if found < self._end(prefix) else None

    def between(self, prefix: _Order, since: _Order = ()) -> list[ObjectKey]:
        return self._keys[self._position((*prefix, *since)) : self._end(prefix)]

    def count(self, prefix: _Order, since: _Order, before: _Order) -> int:
        return self._position((*prefix, *before)) - self._position((*prefix, *since))

    def in_namespace(self, namespace: str) -> list[ObjectKey]:
        return self._keys[self._position((namespace,)) : self._position((namespace + _AFTER_ALL,))]

    def _end(self, prefix: _Order) -> int:
        last = prefix[-1]
        return self._position((*prefix[:-1], last + 1 if isinstance(last, int) else f"{last}{_AFTER_ALL}"))

    def _position(self, order: _Order) -> int:
        return bisect_left(self._keys, order, key=self._order_of)

    def _order_of(self, key: ObjectKey) -> _Order:
        order = self.order(self._records[key])
        assert order is not None  # noqa: S101 - those without are in no view
        return order


def _certificate(record: RenewalRecord) -> ObjectKey:
    return ObjectKey(record.key.namespace, record.certificate)


def _age(record: RenewalRecord) -> tuple[datetime, str]:
    """The order in which requests were made; the API server gives whole seconds."""
    return record.created, record.key.name


def _opened(record: RenewalRecord) -> _Order | None:
    return (*_certificate(record), *_age(record)) if record.is_open else None


def _following(record: RenewalRecord) -> _Order | None:
    return (*_certificate(record), *_age(record)) if record.follows_policy else None


def _waiting(record: RenewalRecord) -> _Order | None:
    return _opened(record) if record.state is State.AWAITING_APPROVAL else None


def _retirable(record: RenewalRecord) -> _Order | None:
    return (*_certificate(record), *_age(record)) if record.may_retire else None


def _ended(record: RenewalRecord) -> _Order | None:
    ended = record.ended
    return (*_certificate(record), ended, *_age(record)) if ended else None


def _delivered(record: RenewalRecord) -> _Order | None:
    delivered = record.delivered
    return (*_certificate(record), delivered, *_age(record)) if delivered else None


def _with_key(record: RenewalRecord) -> _Order | None:
    return (*_certificate(record), *_age(record)) if record.names_key and record.delivered else None


def _certified(record: RenewalRecord) -> _Order | None:
    return (record.key.namespace, record.certified_key, *_age(record)) if record.certified_key else None


def _told(record: RenewalRecord) -> _Order | None:
    told = record.refusal_told
    return (*_certificate(record), told, record.key.name) if told else None


def _refused(record: RenewalRecord) -> _Order | None:
    """One that was only too early is asked again, and a Reissue that was refused opens nothing to the next."""
    if record.state is not State.REFUSED or record.ended is None or record.old_serial is None:
        return None
    if record.mode != Mode.RENEW or record.reason == WINDOW_OPEN:
        return None
    return (*_certificate(record), record.old_serial, *_age(record), record.ended)


def _add_refusal(found: list[tuple[_Order, datetime]], record: RenewalRecord) -> None:
    """Add it, unless one of an older request ended later; drop those of later requests that ended before."""
    age, ended = _age(record), record.ended
    assert ended is not None  # noqa: S101 - see `_refused`
    position = bisect_left(found, (age,))
    if position and found[position - 1][1] >= ended:
        return
    end = position
    while end < len(found) and found[end][1] <= ended:
        end += 1
    found[position:end] = [(age, ended)]
