"""The turns of test alerts: one a minute in a namespace, in the order in which they were asked for; a few at once.

A test waits for the minute of its namespace, and then for one of the places that all namespaces share in turns. No
worker waits meanwhile: the test is due when its minute comes, and is enqueued when it has its place.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from clientcert.fair_queueing import FairQueue
from clientcert.lifecycle.alert_test import INTERVAL
from clientcert.workqueue.work_queue import Item, WorkQueue

AT_ONCE = 16
"""Tests that are sent at the same time; one namespace alone has half of them. Most workers are left to alerts."""


@dataclass(slots=True)
class _Line:
    """The tests of one namespace."""

    waiting: dict[Item, datetime] = field(default_factory=dict)
    """The tests that wait for their minute, and its beginning: in the order of both, a minute apart."""
    holder: Item | None = None
    """The test that has the present minute, and has not begun."""
    last: datetime | None = None
    """The time when the last test began; only that of the last minute matters."""

    def first(self, now: datetime) -> datetime:
        """The time from which the next test may begin."""
        if self.holder is not None:
            return now + INTERVAL
        if self.last is None:
            return now
        self.last = min(self.last, now)  # the clock may have been set back since
        return max(now, self.last + INTERVAL)

    def join(self, item: Item, first: datetime) -> None:
        """Have a test wait behind all others."""
        if item not in self.waiting:
            before = next(reversed(self.waiting.values()), None)
            self.waiting[item] = first if before is None else max(first, before + INTERVAL)

    def plan(self, item: Item, first: datetime, now: datetime) -> None:
        """Give the tests their minutes anew, if the next began late, others have left, or the clock was set back."""
        is_late = now < first and next(iter(self.waiting.values())) < first
        if is_late or self.waiting[item] > first + INTERVAL * (len(self.waiting) - 1):
            self.waiting = {each: first + INTERVAL * position for position, each in enumerate(self.waiting)}


class AlertTestSlots:
    """Use it from the event loop only. After a restart it begins with the times that the statuses record."""

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue
        self._lines: dict[str, _Line] = {}
        """By namespace."""
        self._places: FairQueue[Item] = FairQueue(AT_ONCE)
        self._placed: set[Item] = set()
        """The tests that have a place."""

    @property
    def waiting(self) -> int:
        """The number of tests that wait only for a place."""
        return len(self._places)

    @property
    def oldest_wait(self) -> float:
        """The seconds for which the first of them has waited."""
        return self._places.oldest_wait

    def begin_term(self, begun: Iterable[tuple[str, datetime]]) -> None:
        """Forget what waits: `begun` are the namespaces and the times of all tests that statuses record."""
        self._places, self._placed = FairQueue(AT_ONCE), set()
        lasts = {namespace: line.last for namespace, line in self._lines.items() if line.last is not None}
        for namespace, moment in begun:
            lasts[namespace] = max(moment, lasts.get(namespace, moment))
        self._lines = {namespace: _Line(last=moment) for namespace, moment in lasts.items()}

    def reserve(self, item: Item, now: datetime) -> datetime:
        """The time from which the test may begin. If that is now, no other one of its namespace may until it has."""
        line = self._lines.setdefault(item.key.namespace, _Line())
        if line.holder == item:
            return now
        first = line.first(now)
        line.join(item, first)
        line.plan(item, first, now)
        due = line.waiting[item]
        if due <= now:
            del line.waiting[item]
            line.holder = item
        return due

    def acquire(self, item: Item) -> bool:
        """Take a place, which `leave` gives back. False if none is free: the item is enqueued when it has one."""
        if item not in self._placed:
            self._places.push(item.key.namespace, item)
            self._grant(item)
        return item in self._placed

    def leave(self, item: Item) -> None:
        """Give back the place, or no longer wait for it; the minute stays."""
        self._places.discard(item)
        if item in self._placed:
            self._placed.discard(item)
            self._places.release(item.key.namespace)
            self._grant()

    def begin(self, item: Item, now: datetime) -> None:
        """The test begins, in its minute and with a place."""
        self._lines = {name: line for name, line in self._lines.items() if _matters(line, now)}
        line = self._lines.setdefault(item.key.namespace, _Line())
        line.holder, line.last = None, now

    def drop(self, item: Item) -> None:
        """The test is not wanted any more."""
        self.leave(item)
        line = self._lines.get(item.key.namespace)
        if line is None:
            return
        line.waiting.pop(item, None)
        if line.holder == item:
            line.holder = None
        if not (line.waiting or line.holder or line.last):
            del self._lines[item.key.namespace]

    def _grant(self, asking: Item | None = None) -> None:
        while (found := self._places.pop()) is not None:
            self._placed.add(found[1])
            if found[1] != asking:
                self._queue.enqueue(found[1])


def _matters(line: _Line, now: datetime) -> bool:
    is_recent = line.last is not None and abs(now - line.last) < INTERVAL
    return bool(line.waiting or line.holder or is_recent)
