"""The minute of each test alert: one in a namespace, in the order in which they were asked for."""

from collections.abc import Iterable
from datetime import datetime

from clientcert.lifecycle.alert_test import INTERVAL
from clientcert.workqueue.work_queue import Item


class AlertTestSlots:
    """Use it from the event loop only. After a restart it begins with the times that the statuses record."""

    def __init__(self) -> None:
        self._reserved: dict[str, dict[Item, datetime]] = {}
        """By namespace: the tests that wait, and the time of each, in this order."""
        self._taken: dict[str, datetime] = {}
        """By namespace: when the last test began; only those of the last minute matter."""

    def begin_term(self, begun: Iterable[tuple[str, datetime]]) -> None:
        """Forget what waits: `begun` are the namespaces and the times of all tests that statuses record."""
        self._reserved.clear()
        for namespace, moment in begun:
            self._taken[namespace] = max(moment, self._taken.get(namespace, moment))

    def reserve(self, item: Item, now: datetime) -> datetime:
        """The time from which the test may be sent; it stays the same until `take` or `drop`."""
        namespace = item.key.namespace
        reserved = self._reserved.setdefault(namespace, {})
        if item not in reserved:
            before = [next(reversed(reserved.values()))] if reserved else []
            before += [self._taken[namespace]] if namespace in self._taken else []
            reserved[item] = max((now, *(moment + INTERVAL for moment in before)))
        # The clock may have been set back since.
        return min(reserved[item], now + INTERVAL * len(reserved))

    def take(self, item: Item, now: datetime) -> None:
        """The test begins."""
        self.drop(item)
        self._taken = {name: moment for name, moment in self._taken.items() if abs(now - moment) < INTERVAL}
        self._taken[item.key.namespace] = now

    def drop(self, item: Item) -> None:
        """The test is not wanted any more; those that wait keep their times."""
        reserved = self._reserved.get(item.key.namespace, {})
        reserved.pop(item, None)
        if not reserved:
            self._reserved.pop(item.key.namespace, None)
