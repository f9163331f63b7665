"""The one work queue of all kinds: the order of its items, and the time when each is due again.

    queue.enqueue(Item(kind, key), urgency)          # the object may have changed
    item = await queue.take()                        # a worker reconciles it
    queue.done(item, due)                            # it is due again at this time

The most urgent item is next. But an item that has waited for a minute comes first, and no namespace may occupy all
workers: a reconcile may take long for external reasons, such as a bucket that answers in fourteen seconds.

The queue is open only while this replica leads. While closed it keeps nothing: the next term begins with all items.
"""

import asyncio
import heapq
import itertools
import math
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from clientcert.backoff import Backoff
from clientcert.lifecycle.spec import ObjectKey

IN_FLIGHT_PER_NAMESPACE = 32
"""Items of one kind. Equal to the number of connections to the API server, so it does not slow a single namespace."""
LONGEST_WAIT_SECONDS = 60.0
RETRY = Backoff(1.0, 300.0)
_DUE_AT_ONCE = 500
"""Items that become due in one iteration of the event loop; more would block it."""
_COMPACT_FROM = 100


class Item(NamedTuple):
    """One object to reconcile: its kind, namespace and name."""

    kind: str
    key: ObjectKey

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


_Entry = tuple[float, int, Item]
"""Urgency (or, in the order of arrival, the time), the number of the arrival, and the item."""


class WorkQueue:
    """Items that wait for a worker, have one, or are due later. Use it from the event loop only."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        in_flight_per_namespace: int = IN_FLIGHT_PER_NAMESPACE,
        longest_wait: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        self._clock = clock
        self._in_flight_per_namespace = in_flight_per_namespace
        self._longest_wait = longest_wait
        self._waiting: dict[Item, int] = {}
        """The number of the arrival. An entry with another number in the other collections is out of date."""
        self._urgent: list[_Entry] = []
        self._held_back: dict[tuple[str, str], list[_Entry]] = {}
        """By kind and namespace: the next items, while as many as allowed are in flight."""
        self._arrived: deque[_Entry] = deque()
        self._active: dict[Item, float | None] = {}
        """Items that workers have; with an urgency if they were enqueued meanwhile."""
        self._in_flight: Counter[tuple[str, str]] = Counter()
        self._due: dict[Item, float] = {}
        """The time when each item is due, in seconds since the epoch."""
        self._heap: list[tuple[float, Item]] = []
        self._failures: dict[Item, int] = {}
        self._unanswered: set[Item] = set()
        """The items that failed because the API server did not answer."""
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        self._is_open = False

    def open(self) -> None:
        """Begin a term with nothing in the queue; the caller enqueues all items."""
        for waiting in (self._waiting, self._urgent, self._held_back, self._arrived):
            waiting.clear()
        for later in (self._due, self._heap, self._failures, self._unanswered):
            later.clear()
        self._is_open = True

    def close(self) -> None:
        """Hand out no more items, and accept none."""
        self._is_open = False
        self._changed.set()

    @property
    def depth(self) -> int:
        """Items that wait for a worker or have one."""
        return len(self._waiting) + len(self._active)

    def enqueue(self, item: Item, urgency: float = math.inf) -> None:
        """Reconcile the item as soon as a worker is free; the lower `urgency`, the sooner."""
        if not self._is_open:
            return
        if item in self._active:
            self._active[item] = urgency
        elif item not in self._waiting:
            self._due.pop(item, None)
            number = self._waiting[item] = next(self._numbers)
            heapq.heappush(self._urgent, (urgency, number, item))
            self._arrived.append((asyncio.get_running_loop().time(), number, item))
            self._changed.set()

    def schedule(self, item: Item, seconds: float) -> None:
        """Reconcile the item after this number of seconds, unless it is enqueued or has a worker already."""
        if item not in self._active:
            self._schedule_at(item, self._clock().timestamp() + seconds)

    async def take(self) -> Item | None:
        """Return the next item, which is in flight until `done` or `retry`; None once the queue is closed."""
        while self._is_open:
            item = self._longest_waiting() or self._most_urgent()
            if item is not None:
                del self._waiting[item]
                self._active[item] = None
                self._in_flight[item.kind, item.key.namespace] += 1
                return item
            self._changed.clear()
            await self._changed.wait()
        return None

    def done(self, item: Item, due: datetime | None) -> None:
        """Finish a successful reconcile. The item is due again at `due`; None: only when it is enqueued."""
        if self._failures.pop(item, None):
            self._unanswered.discard(item)
        self._release(item)
        if due is not None:
            self._schedule_at(item, max(due, self._clock()).timestamp())

    def retry(self, item: Item, seconds: float | None, *, unanswered: bool = False) -> None:
        """Finish a failed reconcile. It is retried after this number of seconds; None: after a backoff.

        `unanswered`: it failed because the API server did not answer.
        """
        failures = self._failures[item] = self._failures.get(item, 0) + 1
        (self._unanswered.add if unanswered else self._unanswered.discard)(item)
        self._release(item)
        delay = RETRY.delay(failures) if seconds is None else seconds
        self._schedule_at(item, self._clock().timestamp() + delay)

    def failed_items(self, *, unanswered: bool) -> tuple[Item, ...]:
        """Items whose last reconcile failed; with `unanswered`, only those that the API server did not answer."""
        return tuple(self._unanswered if unanswered else self._failures)

    def forget(self, item: Item) -> None:
        """Drop an item whose object is gone or needs no more reconciles."""
        self._due.pop(item, None)
        self._failures.pop(item, None)
        self._unanswered.discard(item)

    def pop_due(self) -> list[Item]:
        """Return the items that are due now, a limited number at once."""
        now = self._clock().timestamp()
        found: list[Item] = []
        while self._heap and self._heap[0][0] <= now and len(found) < _DUE_AT_ONCE:
            moment, item = heapq.heappop(self._heap)
            if self._due.get(item) == moment:
                found.append(item)
        return found

    def scheduled_items(self) -> tuple[Item, ...]:
        """All items that are due later."""
        return tuple(self._due)

    def seconds_until_due(self) -> float:
        """Seconds until the next item is due; infinite if there is none."""
        return self._heap[0][0] - self._clock().timestamp() if self._heap else math.inf

    def _schedule_at(self, item: Item, moment: float) -> None:
        if not self._is_open or item in self._waiting:
            return
        self._due[item] = moment
        heapq.heappush(self._heap, (moment, item))
        if len(self._heap) > 2 * len(self._due) + _COMPACT_FROM:
            # The heap still contains items that were enqueued or forgotten.
            self._heap = [(due, each) for each, due in self._due.items()]
            heapq.heapify(self._heap)

    def _release(self, item: Item) -> None:
        place = (item.kind, item.key.namespace)
        urgency = self._active.pop(item)
        self._in_flight[place] -= 1
        if not self._in_flight[place]:
            del self._in_flight[place]
        held_back = self._held_back.get(place, [])
        while held_back:
            entry = heapq.heappop(held_back)
            if not self._is_out_of_date(entry):
                heapq.heappush(self._urgent, entry)
                self._changed.set()
                break
        else:
            self._held_back.pop(place, None)
        if urgency is not None:
            self.enqueue(item, urgency)

    def _most_urgent(self) -> Item | None:
        while self._urgent:
            entry = heapq.heappop(self._urgent)
            if self._is_out_of_date(entry):
                continue
            place = (entry[2].kind, entry[2].key.namespace)
            if self._in_flight[place] < self._in_flight_per_namespace:
                return entry[2]
            heapq.heappush(self._held_back.setdefault(place, []), entry)
        return None

    def _longest_waiting(self) -> Item | None:
        """The item that has waited for too long, if there is one."""
        now = asyncio.get_running_loop().time()
        while self._arrived:
            entry = self._arrived[0]
            _, number, item = entry
            if self._is_out_of_date(entry):
                self._arrived.popleft()
            elif now - entry[0] <= self._longest_wait:
                return None
            elif self._in_flight[item.kind, item.key.namespace] < self._in_flight_per_namespace:
                return item
            else:  # its namespace has its maximum in flight: it must not hold up the items behind it
                self._arrived.popleft()
                self._arrived.append((now, number, item))
        return None

    def _is_out_of_date(self, entry: _Entry) -> bool:
        return self._waiting.get(entry[2]) != entry[1]
