"""The workers: each takes items from the work queue, and calls the reconciler of the item's kind."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from clientcert.cache.policies import POLICY
from clientcert.controllers.recovery import Recovery
from clientcert.errors import ClientCertError, Reason, where
from clientcert.fair_queueing import served_namespace
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.workqueue.work_queue import WORKERS, Item, WorkQueue

LONGEST_SLEEP_SECONDS = 0.25
CLOCK_JUMP_SECONDS = 30.0
LONGEST_RECONCILE_SECONDS = 900.0
"""Several times the longest time of all requests of a reconcile. A longer reconcile hangs, and is cancelled."""
_DRAIN_SECONDS = 0.1

logger = logging.getLogger(__name__)


class Reconciler(Protocol):
    """Brings the objects of one kind to their desired state. Never called for the same object twice at once."""

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Reconcile the object; returns the time when it is due again, or None.

        After a ClientCertError or any other exception it is retried, after the error's `retry_after` or a backoff.
        """

    def begin_term(self) -> None:
        """Enqueue all objects at the start of a term, and drop the state of those that are gone by now."""

    def urgency(self, key: ObjectKey) -> float:
        """The urgency of the object; the lowest of a namespace is reconciled first."""


class Unrecorded(Protocol):
    """An outbox: the messages of one kind of objects that were sent and that no status records yet."""

    def unrecorded_items(self) -> Iterable[Item]:
        """The objects with such messages."""


class Workers:
    """A fixed number of workers, and the loop that enqueues due items."""

    def __init__(
        self,
        queue: WorkQueue,
        reconcilers: Mapping[str, Reconciler],
        recovery: Recovery,
        outboxes: tuple[Unrecorded, ...],
        clock: Callable[[], datetime],
        metrics: Metrics,
        longest_reconcile: float = LONGEST_RECONCILE_SECONDS,
        loop_budget: LoopBudget | None = None,
    ) -> None:
        """`reconcilers` by the kind of the items; `loop_budget` is asked for a turn before each reconcile."""
        self._queue = queue
        self._reconcilers = reconcilers
        self._recovery = recovery
        self._outboxes = outboxes
        self._clock = clock
        self._metrics = metrics
        self._longest_reconcile = longest_reconcile
        self._loop_budget = loop_budget or LoopBudget()
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_time, self._last_loop_time = clock(), 0.0
        self._last_tick = float("-inf")

    @property
    def last_tick(self) -> float:
        """The time.monotonic() of the last search for due items, for the health check."""
        return self._last_tick

    async def run(self) -> None:
        """Work until `stop`. Reconciles in progress are finished. It may be called again afterwards."""
        self._stopping = False
        self._last_time, self._last_loop_time = self._clock(), asyncio.get_running_loop().time()
        self._idle.clear()
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())
            while not self._stopping:
                self._notice_clock_changes()
                for item in self._queue.pop_due():
                    self._queue.enqueue(item, self._reconcilers[item.kind].urgency(item.key))
                await asyncio.sleep(max(0.0, min(self._queue.seconds_until_due(), LONGEST_SLEEP_SECONDS)))
        self._idle.set()

    def begin_term(self) -> None:
        """Open the queue, and begin with all objects as they are now: another replica may have led meanwhile."""
        self._queue.open()
        for reconciler in self._reconcilers.values():
            reconciler.begin_term()

    def stop(self) -> None:
        """Take no new items; waiting items stay due."""
        self._stopping = True
        self._queue.close()

    async def drain(self) -> None:
        """Stop, and wait until no reconcile is in progress and the statuses record everything that was sent.

        Call it when no more messages may be sent. An item whose status could not be written is reconciled again and
        again; the caller has to limit the time.
        """
        self.stop()
        recorded, recording = set[Item](), dict[Item, asyncio.Task[bool]]()
        try:
            while (unrecorded := self._unrecorded() - recorded) or not self._idle.is_set():
                # Policies first: the record of a digest counts for all its members.
                for item in sorted(unrecorded.difference(self._queue.active_items(), recording), key=_policies_first):
                    recording[item] = asyncio.create_task(self._record(item))
                await asyncio.sleep(_DRAIN_SECONDS)
                ended = {item: task.result() for item, task in recording.items() if task.done()}
                recording = {item: task for item, task in recording.items() if item not in ended}
                # A certificate may have met a conflict, and is recorded next time; a policy may be gone, and never is.
                recorded |= {item for item, succeeded in ended.items() if succeeded and item.kind == POLICY}
        finally:
            for task in recording.values():
                task.cancel()
            await asyncio.gather(*recording.values(), return_exceptions=True)

    def _unrecorded(self) -> set[Item]:
        return {item for each in self._outboxes for item in each.unrecorded_items()}

    async def _record(self, item: Item) -> bool:
        """Reconcile once more; True if that did not fail."""
        try:
            await self._reconcilers[item.kind].reconcile(item.key)
        except ClientCertError as error:
            logger.warning("%s: %s: %s; it is not recorded yet", item.key, error.reason, error.message)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            # It must not prevent the others.
            logger.error("%s: unexpected %s; it is not recorded yet", item.key, where(error))  # noqa: TRY400
        else:
            return True
        return False

    def _notice_clock_changes(self) -> None:
        """Reconcile everything if the wall clock and the loop's clock differ: otherwise items might wait for ever."""
        now, loop_time = self._clock(), asyncio.get_running_loop().time()
        moved = (now - self._last_time).total_seconds() - (loop_time - self._last_loop_time)
        self._last_tick, self._last_time, self._last_loop_time = time.monotonic(), now, loop_time
        if abs(moved) > CLOCK_JUMP_SECONDS:
            logger.warning("The clock was set by %.0f s; everything is reconciled", moved)
            self._recovery.clock_was_set()

    async def _work(self) -> None:
        while (item := await self._queue.take()) is not None:
            served_namespace.set(item.key.namespace)
            try:
                # Else a worker whose reconciles wait for nothing goes from one to the next.
                await self._loop_budget.yield_if_spent()
                with self._metrics.reconcile_seconds.time():
                    async with asyncio.timeout(self._longest_reconcile):
                        due = await self._reconcilers[item.kind].reconcile(item.key)
            except ClientCertError as error:
                logger.warning("%s: %s: %s; it is retried", item.key, error.reason, error.message)
                self._metrics.reconcile_errors.inc()
                self._queue.retry(item, error.retry_after, unanswered=error.reason is Reason.API_UNAVAILABLE)
            except (Exception, asyncio.CancelledError) as error:
                # A failure of one object must not affect others; a cancellation inside it is not that of the worker.
                self._metrics.reconcile_errors.inc()
                self._queue.retry(item, None)
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    raise
                logger.error("%s: unexpected %s; it is retried", item.key, where(error))  # noqa: TRY400
            else:
                self._queue.done(item, due)


def _policies_first(item: Item) -> bool:
    return item.kind != POLICY


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
