"""The one work queue of all kinds: the order of its items, and the time when each is due again.

    queue.enqueue(Item(kind, key), urgency)          # the object may have changed
    item = await queue.take()                        # a worker reconciles it
    queue.done(item, due)                            # it is due again at this time

Namespaces take turns. Within one, the most urgent item is next, but an item that has waited for a minute comes first.
No namespace may occupy all workers, with all its kinds together: a reconcile may take long for external reasons, such
as a bucket that answers in fourteen seconds.

The queue is open only while this replica leads. While closed it keeps nothing: the next term begins with all items.
"""

import asyncio
import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from clientcert.backoff import Backoff
from clientcert.fair_queueing import FairQueue
from clientcert.lifecycle.spec import ObjectKey

WORKERS = 64
"""More than the API server serves at once: a worker that waits for a slow Slack or bucket holds up no other item. One
namespace alone may have half of them."""
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


class WorkQueue:
    """Items that wait for a worker, have one, or are due later. Use it from the event loop only."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        workers: int = WORKERS,
        longest_wait: float = LONGEST_WAIT_SECONDS,
    ) -> None:
        self._clock = clock
        self._waiting: FairQueue[Item] = FairQueue(workers, longest_wait)
        self._active: dict[Item, float | None] = {}
        """Items that workers have; with an urgency if they were enqueued meanwhile."""
        self._due: dict[Item, float] = {}
        """The time when each item is due, in seconds since the epoch."""
        self._heap: list[tuple[float, Item]] = []
        self._backlog: OrderedDict[Item, None] = OrderedDict()
        """Items of `enqueue_all` that are still to be enqueued, each once."""
        self._failures: dict[Item, int] = {}
        self._unanswered: set[Item] = set()
        """The items that failed because the API server did not answer."""
        self._changed = asyncio.Event()
        self._is_open = False

    def open(self) -> None:
        """Begin a term with nothing in the queue; the caller enqueues all items."""
        self._waiting.clear()
        self._backlog.clear()
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
        return len(self._waiting) + len(self._active) + len(self._backlog)

    def enqueue(self, item: Item, urgency: float = math.inf) -> None:
        """Reconcile the item as soon as a worker is free; the lower `urgency`, the sooner."""
        if not self._is_open:
            return
        if item in self._active:
            enqueued = self._active[item]
            self._active[item] = urgency if enqueued is None else min(urgency, enqueued)
            return
        self._due.pop(item, None)
        self._waiting.push(item.key.namespace, item, (urgency,))
        self._changed.set()

    def enqueue_all(self, items: Iterable[Item]) -> None:
        """Reconcile all these items. `pop_due` returns a few hundred at once, so thousands do not stall the loop."""
        if self._is_open:
            self._backlog.update(dict.fromkeys(items))

    def schedule(self, item: Item, seconds: float) -> None:
        """Reconcile the item after this number of seconds, unless it is enqueued or has a worker already."""
        if item not in self._active and item not in self._waiting:
            self._schedule_at(item, self._clock().timestamp() + seconds)

    async def take(self) -> Item | None:
        """Return the next item, which is in flight until `done` or `retry`; None once the queue is closed."""
        while self._is_open:
            found = self._waiting.pop()
            if found is not None:
                self._active[found[1]] = None
                return found[1]
            self._changed.clear()
            await self._changed.wait()
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
        return tuple(self._unanswered if unanswered else self._failures)

    def forget(self, item: Item) -> None:
        """Drop an item whose object is gone or needs no more reconciles."""
        self._due.pop(item, None)
        self._failures.pop(item, None)
        self._unanswered.discard(item)

    def pop_due(self) -> list[Item]:
        """Return the items to enqueue now, a limited number at once."""
        now = self._clock().timestamp()
        found: list[Item] = []
        # Neither what is due nor the backlog holds up the other, though one of them may never end.
        most = _DUE_AT_ONCE // 2 if self._backlog else _DUE_AT_ONCE
        while self._heap and self._heap[0][0] <= now and len(found) < most:
            moment, item = heapq.heappop(self._heap)
            if self._due.get(item) == moment:
                found.append(item)
        while self._backlog and len(found) < _DUE_AT_ONCE:
            found.append(self._backlog.popitem(last=False)[0])
        return found

    def active_items(self) -> tuple[Item, ...]:
        """The items that are in flight."""
        return tuple(self._active)

    def scheduled_items(self) -> tuple[Item, ...]:
        """All items that are due later."""
        return tuple(self._due)

    def seconds_until_due(self) -> float:
        """Seconds until `pop_due` returns an item; infinite if there is none."""
        if self._backlog:
            return 0.0
        return self._heap[0][0] - self._clock().timestamp() if self._heap else math.inf

    def _schedule_at(self, item: Item, moment: float) -> None:
        if not self._is_open:
            return
        self._due[item] = moment
        heapq.heappush(self._heap, (moment, item))
        if len(self._heap) > 2 * len(self._due) + _COMPACT_FROM:
            # The heap still contains items that were enqueued or forgotten.
            self._heap = [(due, each) for each, due in self._due.items()]
            heapq.heapify(self._heap)

    def _release(self, item: Item) -> bool:
        """Free the worker's place; True if the item was enqueued while it was in flight."""
        urgency = self._active.pop(item)
        self._waiting.release(item.key.namespace)
        self._changed.set()
        if urgency is None:
            return False
        self.enqueue(item, urgency)
        return True
