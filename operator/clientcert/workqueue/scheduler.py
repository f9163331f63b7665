"""Decides when each certificate is looked at.

One queue, one clock, a bound on how many at once, and never the same one twice at once.
The wall clock is read again four times a second: a machine that slept, or a clock that was set, is noticed at once.
"""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from clientcert.errors import ClientCertError, Reason, where
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics
from clientcert.workqueue.work_queue import WorkQueue

WORKERS = 64
"""More than the API server serves at once: one that waits for a slow Slack or bucket keeps nobody else waiting."""
LONGEST_SLEEP_SECONDS = 0.25
CLOCK_JUMP_SECONDS = 30.0
ROUNDING = timedelta(seconds=1)
"""What falls due at an instant is done just after it, when everything that changes at that instant has changed."""
LONGEST_LOOK_SECONDS = 900.0
"""Several times what all that a look waits for may take together: one that takes longer hangs, and is ended."""
_SLOWEST_RETRY_SECONDS = 300.0
_FEW = 100

Work = Callable[[ObjectKey], Awaitable[datetime | None]]

logger = logging.getLogger(__name__)


class Scheduler:
    """Calls `work` for each key that is woken or has fallen due; it returns when the key is due again."""

    def __init__(
        self,
        work: Work,
        urgency: Callable[[ObjectKey], float],
        clock: Callable[[], datetime],
        clock_was_set: Callable[[], None],
        metrics: Metrics,
        longest_look: float = LONGEST_LOOK_SECONDS,
    ) -> None:
        """Of those that wait, the one with the lowest `urgency` has its turn first.

        A look that takes longer than `longest_look` seconds is ended, and counts as failed.
        """
        self._work = work
        self._urgency = urgency
        self._clock_was_set = clock_was_set
        self._clock = clock
        self._metrics = metrics
        self._longest_look = longest_look
        self._due: dict[ObjectKey, datetime] = {}
        self._heap: list[tuple[datetime, ObjectKey]] = []
        self._queue = WorkQueue()
        self._active: set[ObjectKey] = set()
        self._again: set[ObjectKey] = set()
        self._failures: dict[ObjectKey, int] = {}
        self._unanswered: set[ObjectKey] = set()
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_time = clock()
        self._last_tick = 0.0

    def wake(self, key: ObjectKey) -> None:
        """Look at it as soon as a worker is free. From the event loop only."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._queue:
            self._queue.put(key, self._urgency(key))
            self._due.pop(key, None)

    def forget(self, key: ObjectKey) -> None:
        """Never mind it any more."""
        self._due.pop(key, None)
        self._again.discard(key)
        self._failures.pop(key, None)
        self._unanswered.discard(key)

    def try_again(self, *, refused: bool = False) -> None:
        """Look at once at what the API server did not answer; and at what it `refused`, if its mind has changed."""
        for key in tuple(self._failures if refused else self._unanswered):
            self.wake(key)

    @property
    def depth(self) -> int:
        """How many wait for a worker or have one."""
        return len(self._queue) + len(self._active)

    async def run(self) -> None:
        """Work until `stop`; what is under way then is finished first. May be called again after it has returned."""
        self._stopping, self._last_tick, self._last_time = False, _now(), self._clock()
        self._idle.clear()
        self._queue.open()
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._worker())
            while not self._stopping:
                self._watch_the_clock()
                self._collect_due(self._clock())
                await asyncio.sleep(self._until_next())
        self._idle.set()

    def stop(self) -> None:
        """Take no new work; whatever waits is left due."""
        self._stopping = True
        self._queue.close()

    async def idle(self) -> None:
        """Wait until nothing is under way any more."""
        await self._idle.wait()

    @property
    def last_tick(self) -> float:
        """When it last moved, on the event loop's clock, which is time.monotonic(); health asks."""
        return self._last_tick

    def _watch_the_clock(self) -> None:
        """Look at everything anew when the wall clock did not go as far as time did: what waits may wait for ever."""
        moved = (self._clock() - self._last_time).total_seconds() - (_now() - self._last_tick)
        self._last_tick, self._last_time = _now(), self._clock()
        if abs(moved) > CLOCK_JUMP_SECONDS:
            logger.warning("The clock was set by %.0f s; everything is looked at anew", moved)
            self._clock_was_set()
            for key in tuple(self._due):
                self.wake(key)

    def _collect_due(self, now: datetime) -> None:
        while self._heap and self._heap[0][0] <= now:
            moment, key = heapq.heappop(self._heap)
            if self._due.get(key) == moment:
                self.wake(key)

    def _until_next(self) -> float:
        if not self._heap:
            return LONGEST_SLEEP_SECONDS
        until = (self._heap[0][0] - self._clock()).total_seconds()
        return max(0.0, min(until, LONGEST_SLEEP_SECONDS))

    async def _worker(self) -> None:
        while (key := await self._queue.take()) is not None:
            self._active.add(key)
            try:
                await self._one(key)
            finally:
                self._active.discard(key)
                self._queue.done(key)
            if key in self._again:
                self._again.discard(key)
                self.wake(key)

    async def _one(self, key: ObjectKey) -> None:
        with self._metrics.reconcile_seconds.time():
            try:
                async with asyncio.timeout(self._longest_look):
                    due = await self._work(key)
            except ClientCertError as error:
                self._retry(key, error.retry_after, unanswered=error.reason is Reason.API_UNAVAILABLE)
                logger.warning("%s: %s: %s; it is tried again", key, error.reason, error.message)
                return
            except (Exception, asyncio.CancelledError) as error:
                # One object's failure must never become another's; and what was cancelled in there is not this worker.
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    raise
                self._retry(key, None, unanswered=False)
                logger.error("%s: unexpected %s; it is tried again", key, where(error))  # noqa: TRY400
                return
        self._failures.pop(key, None)
        self._unanswered.discard(key)
        if due is not None:
            self._schedule(key, max(due, self._clock()) + ROUNDING)

    def _retry(self, key: ObjectKey, seconds: float | None, *, unanswered: bool) -> None:
        (self._unanswered.add if unanswered else self._unanswered.discard)(key)
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._metrics.reconcile_errors.inc()
        delay = seconds if seconds is not None else min(2.0 ** min(failures - 1, 10), _SLOWEST_RETRY_SECONDS)
        self._schedule(key, self._clock() + timedelta(seconds=delay))

    def _schedule(self, key: ObjectKey, moment: datetime) -> None:
        self._due[key] = moment
        heapq.heappush(self._heap, (moment, key))
        if len(self._heap) > 2 * len(self._due) + _FEW:
            # What was woken or forgotten is still in there, until the time that it once waited for.
            self._heap = [(due, waiting) for waiting, due in self._due.items()]
            heapq.heapify(self._heap)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
