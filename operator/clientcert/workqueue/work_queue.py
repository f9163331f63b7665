"""The one work queue of all kinds: the order of its items, and the time when each is due again.

    queue.enqueue(Item(kind, key), urgency)          # the object may have changed
    item = await queue.take()                        # a worker reconciles it
    queue.done(item, due)                            # it is due again at this time

Namespaces take turns. Within one, the most urgent item is next, in turns with those that have waited for a minute.
No namespace may occupy all workers, with all its kinds together: a reconcile may take long for external reasons, such
as a bucket that answers in fourteen seconds. A kind may be limited to few workers: it has a queue of its own, and the
others share the rest, so that a worker is left in each for a namespace that has none. These queues take turns.

The queue is open only while this replica leads. While closed it keeps nothing: the next term begins with all items.
"""

import asyncio
import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol

from clientcert.backoff import Backoff
from clientcert.fair_queueing import FairQueue
from clientcert.garbage_collection import unscanned_tuple
from clientcert.lifecycle.spec import ObjectKey

WORKERS = 64
"""More than the API server serves at once: a worker that waits for a slow Slack or bucket holds up no other item. One
namespace alone may have half of them."""
LONGEST_WAIT_SECONDS = 60.0
RETRY = Backoff(1.0, 300.0)
_DUE_AT_ONCE = 500
"""Items that become due in one iteration of the event loop; more would block it."""
_SORTED_AT_ONCE = 2_000
"""Items of `enqueue_all` that join the backlog in one iteration, for the same reason."""
_COMPACT_FROM = 100
_ENTRIES_EACH = 1.5
"""The most entries of the heap for each item that is due; the others do not count any more."""
_MOVED_AT_ONCE = 4
"""Entries of the old heap that each new entry moves. To rebuild a heap of 100,000 at once takes a fifth of a second."""


class Item(NamedTuple):
    """One object to reconcile: its kind, namespace and name."""

    kind: str
    key: ObjectKey

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Items(Protocol):
    """Many items, whose number is known, and which do not change."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Item]: ...


@dataclass(frozen=True, slots=True)
class ItemsOf:
    """Items of one kind, each of which is made when it is needed: a hundred thousand at once would stall the loop."""

    kind: str
    keys: tuple[ObjectKey, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Item]:
        return (Item(self.kind, key) for key in self.keys)


class WorkQueue:
    """Items that wait for a worker, have one, or are due later. Use it from the event loop only."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        workers: int = WORKERS,
        longest_wait: float = LONGEST_WAIT_SECONDS,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        """`limits`: the workers of the kinds that have few; the other kinds share those that are left."""
        self._clock = clock
        limits = limits or {}
        self._unlimited: FairQueue[Item] = FairQueue(workers - sum(limits.values()), longest_wait)
        self._limited = {kind: FairQueue[Item](most, longest_wait) for kind, most in limits.items()}
        self._waiting = deque((self._unlimited, *self._limited.values()))
        """All items that wait for a worker; the queue whose turn it is comes first."""
        self._active: dict[Item, float | None] = {}
        """Items that workers have; with an urgency if they were enqueued meanwhile."""
        self._due: dict[Item, tuple[float, Item]] = {}
        """The entry of each item in a heap: the time when it is due, in seconds since the epoch, and the item."""
        self._heap: list[tuple[float, Item]] = []
        """Also entries of items that were enqueued or forgotten: only those count that are in `_due` as well."""
        self._old_heap: list[tuple[float, Item]] = []
        """Most of its entries do not count any more; the others move to `_heap`, a few at a time, from its end."""
        self._backlog: OrderedDict[Item, None] = OrderedDict()
        """Items of `enqueue_all` that are still to be enqueued, each once."""
        self._arriving: deque[Iterator[Item]] = deque()
        """Items of `enqueue_all` that are still to join the backlog."""
        self._arriving_count = 0
        self._failures: dict[Item, int] = {}
        self._unanswered: set[Item] = set()
        """The items that failed because the API server did not answer."""
        self._idle: list[asyncio.Future[None]] = []
        """One future for each worker without an item, which wakes it."""
        self._is_open = False

    def open(self) -> None:
        """Begin a term with nothing in the queue; the caller enqueues all items."""
        for waiting in self._waiting:
            waiting.clear()
        self._backlog.clear()
        self._arriving.clear()
        self._arriving_count = 0
        for later in (self._due, self._heap, self._old_heap, self._failures, self._unanswered):
            later.clear()
        self._is_open = True

    def close(self) -> None:
        """Hand out no more items, and accept none."""
        self._is_open = False
        while self._idle:
            self._wake_worker()

    @property
    def depth(self) -> int:
        """Items that wait for a worker or have one."""
        return sum(map(len, self._waiting)) + len(self._active) + len(self._backlog) + self._arriving_count

    def enqueue(self, item: Item, urgency: float = math.inf) -> None:
        """Reconcile the item as soon as a worker is free; the lower `urgency`, the sooner."""
        if not self._is_open:
            return
        if item in self._active:
            enqueued = self._active[item]
            self._active[item] = urgency if enqueued is None else min(urgency, enqueued)
            return
        scheduled = self._due.pop(item, None)
        if scheduled is not None:
            item = scheduled[1]  # known already: else each event would keep a copy of its key
        self._limited.get(item.kind, self._unlimited).push(item.key.namespace, item, (urgency,))
        self._wake_worker()

    def enqueue_all(self, items: Items) -> None:
        """Reconcile all these items. `pop_due` returns a few hundred at once, so thousands do not stall the loop."""
        if self._is_open:
            self._arriving.append(iter(items))
            self._arriving_count += len(items)
            self._sort_arriving()

    def schedule(self, item: Item, seconds: float) -> None:
        """Reconcile the item after this number of seconds, unless it is enqueued or has a worker already."""
        if item not in self._active and item not in self._limited.get(item.kind, self._unlimited):
            self._schedule_at(item, self._clock().timestamp() + seconds)

    async def take(self) -> Item | None:
        """Return the next item, which is in flight until `done` or `retry`; None once the queue is closed."""
        while self._is_open:
            for _ in range(len(self._waiting)):
                self._waiting.rotate(-1)
                found = self._waiting[-1].pop()
                if found is not None:
                    self._active[found[1]] = None
                    return found[1]
            woken = asyncio.get_running_loop().create_future()
            self._idle.append(woken)
            try:
                await woken
            except asyncio.CancelledError:
                if not woken.cancelled():
                    self._wake_worker()  # in place of this one
                raise
        return None

    def done(self, item: Item, due: datetime | None) -> None:
        """Finish a successful reconcile. The item is due again at `due`; None: only when it is enqueued."""
        if self._failures.pop(item, None):
            self._unanswered.discard(item)
        is_enqueued = self._release(item)
        if due is not None and not is_enqueued:
            self._schedule_at(item, max(due, self._clock()).timestamp())

    def retry(self, item: Item, seconds: float | None, *, unanswered: bool = False) -> None:
        """Finish a failed reconcile. It is retried after this number of seconds; None: after a backoff.

        `unanswered`: it failed because the API server did not answer.
        """
        failures = self._failures[item] = self._failures.get(item, 0) + 1
        (self._unanswered.add if unanswered else self._unanswered.discard)(item)
        is_enqueued = self._release(item)
        delay = RETRY.delay(failures) if seconds is None else seconds
        if not is_enqueued:
            self._schedule_at(item, self._clock().timestamp() + delay)

    def failed_items(self, *, unanswered: bool) -> tuple[Item, ...]:
        """Items whose last reconcile failed; with `unanswered`, only those that the API server did not answer."""
        return unscanned_tuple(self._unanswered if unanswered else self._failures)

    def forget(self, item: Item) -> None:
        """Drop an item whose object is gone or needs no more reconciles."""
        self._due.pop(item, None)
        self._failures.pop(item, None)
        self._unanswered.discard(item)

    def pop_due(self) -> list[Item]:
        """Return the items to enqueue now, a limited number at once."""
        if self._arriving:
            self._sort_arriving()
        now = self._clock().timestamp()
        found: list[Item] = []
        # Neither what is due nor the backlog holds up the other, though one of them may never end.
        room = _DUE_AT_ONCE // 2 if self._backlog else _DUE_AT_ONCE
        for heap in (self._heap, self._old_heap):
            while heap and heap[0][0] <= now and room:
                room -= 1
                entry = heapq.heappop(heap)
                if self._due.get(entry[1]) is entry:
                    found.append(entry[1])
        while self._backlog and len(found) < _DUE_AT_ONCE:
            found.append(self._backlog.popitem(last=False)[0])
        if not self._backlog:
            self._backlog.clear()  # an empty dictionary keeps the memory of its largest size
        return found

    def active_items(self) -> tuple[Item, ...]:
        """The items that are in flight."""
        return tuple(self._active)

    def scheduled_items(self) -> tuple[Item, ...]:
        """All items that are due later."""
        return unscanned_tuple(self._due)

    def seconds_until_due(self) -> float:
        """Seconds until `pop_due` returns an item; infinite if there is none."""
        if self._backlog:
            return 0.0
        first = min((heap[0][0] for heap in (self._heap, self._old_heap) if heap), default=math.inf)
        return first - self._clock().timestamp()

    def _sort_arriving(self) -> None:
        """Have some of the arriving items join the backlog, where each is once."""
        room = _SORTED_AT_ONCE
        while self._arriving and room:
            batch = list(islice(self._arriving[0], room))
            if len(batch) < room:
                self._arriving.popleft()
            room -= len(batch)
            self._arriving_count -= len(batch)
            self._backlog.update(dict.fromkeys(batch))

    def _schedule_at(self, item: Item, moment: float) -> None:
        if not self._is_open:
            return
        entry = self._due[item] = (moment, item)
        heapq.heappush(self._heap, entry)
        if not self._old_heap and len(self._heap) > _ENTRIES_EACH * len(self._due) + _COMPACT_FROM:
            self._heap, self._old_heap = [], self._heap
        for _ in range(min(_MOVED_AT_ONCE, len(self._old_heap))):
            entry = self._old_heap.pop()
            if self._due.get(entry[1]) is entry:
                heapq.heappush(self._heap, entry)

    def _release(self, item: Item) -> bool:
        """Free the worker's place; True if the item was enqueued while it was in flight."""
        urgency = self._active.pop(item)
        self._limited.get(item.kind, self._unlimited).release(item.key.namespace)
        self._wake_worker()
        if urgency is None:
            return False
        self.enqueue(item, urgency)
        return True

    def _wake_worker(self) -> None:
        """Have one idle worker look for an item. To wake all of them would cost more than many a reconcile.

        One is enough also after a release, which makes room for two items at most: the worker that released takes one.
        """
        while self._idle:
            woken = self._idle.pop()
            if not woken.done():  # else the worker was cancelled
                woken.set_result(None)
                return
