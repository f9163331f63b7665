"""Workers reconcile queued objects, one reconcile of an object at a time, and retry failures."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.controllers.recovery import Recovery
from clientcert.controllers.workers import LONGEST_SLEEP_SECONDS, Workers
from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import SLICE_SECONDS
from clientcert.metrics import Metrics
from clientcert.workqueue.work_queue import WORKERS, Item, WorkQueue
from tests.builders import NOW

KIND = "Thing"
A, B = ObjectKey("team", "a"), ObjectKey("team", "b")
Work = Callable[[ObjectKey], Awaitable[datetime | None]]


class Clock:
    """A wall clock that follows the loop's time, unless a test sets it."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time()) + self.offset


class Running:
    """A queue with workers, and one kind whose reconciler is a function."""

    def __init__(self, work: Work, clock: Clock, urgency: Callable[[ObjectKey], float]) -> None:
        self.queue = WorkQueue(clock)
        self.queue.open()
        self.urgency = urgency
        reconciler = SimpleNamespace(reconcile=work, urgency=urgency)
        outside = SimpleNamespace(
            unavailable=lambda _: (),
            failing=lambda _=None: (),
            retry_now=lambda: None,
            poll_all_now=lambda: None,
            retry_writes=lambda: None,
            policies=SimpleNamespace(enqueue_all=lambda: None),
            enqueue_all=lambda _: None,
            reread_all=lambda _: None,
        )
        cache = sources = outbox = poller = cast("Any", outside)
        self.recovery = Recovery(self.queue, cache, sources, outbox, RenewalOutbox(), (), poller)
        self.workers = Workers(self.queue, {KIND: cast("Any", reconciler)}, self.recovery, (), clock, Metrics())

    def enqueue(self, key: ObjectKey) -> None:
        self.queue.enqueue(Item(KIND, key), self.urgency(key))


@asynccontextmanager
async def running(
    work: Work, clock: Clock | None = None, urgency: Callable[[ObjectKey], float] = lambda _: 0.0
) -> AsyncIterator[Running]:
    found = Running(work, clock or Clock(), urgency)
    task = asyncio.create_task(found.workers.run())
    try:
        yield found
    finally:
        found.workers.stop()
        await asyncio.wait_for(task, 5)


async def test_an_object_is_reconciled_once_however_often_it_is_enqueued() -> None:
    seen = []

    async def work(key: ObjectKey) -> None:
        seen.append(key)

    async with running(work) as engine:
        for _ in range(10):
            engine.enqueue(A)
        engine.enqueue(B)
        await asyncio.sleep(0.1)
    assert sorted(seen) == [A, B]


async def test_the_most_urgent_is_reconciled_first() -> None:
    """If more are due than there are workers, the one that expires next is first."""
    keys = [ObjectKey("team", f"c{number:04d}") for number in range(5 * WORKERS)]
    urgency = {key: float(-number) for number, key in enumerate(keys)}
    seen = []

    async def work(key: ObjectKey) -> None:
        seen.append(key)
        await asyncio.sleep(0)

    async with running(work, urgency=urgency.__getitem__) as engine:
        for key in keys:
            engine.enqueue(key)
        async with asyncio.timeout(10):
            while len(seen) < len(keys):
                await asyncio.sleep(0.01)
    assert seen == keys[::-1]


@pytest.mark.real_time
async def test_reconciles_that_wait_for_nothing_leave_the_loop_to_others() -> None:
    """A policy may enqueue thousands of requests that have ended: a worker would take one after the other."""
    iteration, computed = 0, Counter[int]()

    async def work(_key: ObjectKey) -> None:
        time.sleep(SLICE_SECONDS / 4)  # as if it computed
        computed[iteration] += 1

    async with running(work) as engine:
        for number in range(100):
            engine.enqueue(ObjectKey(f"team-{number % 10}", f"c{number}"))
        while computed.total() < 100:
            iteration += 1
            await asyncio.sleep(0)
    assert max(computed.values()) <= 6


async def test_a_change_during_a_reconcile_leads_to_another_one_after_it() -> None:
    """No change is lost, and no object is reconciled twice at the same time."""
    at_once, most, reconciles = 0, 0, 0

    async def work(_key: ObjectKey) -> None:
        nonlocal at_once, most, reconciles
        at_once, reconciles = at_once + 1, reconciles + 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1

    async with running(work) as engine:
        engine.enqueue(A)
        await asyncio.sleep(0.01)
        engine.enqueue(A)
        engine.enqueue(A)
        await asyncio.sleep(0.3)
    assert (most, reconciles) == (1, 2)


async def test_an_object_is_reconciled_again_when_it_is_due() -> None:
    clock, seen = Clock(), []

    async def work(_key: ObjectKey) -> datetime | None:
        seen.append(clock())
        return clock() + timedelta(seconds=1.5) if len(seen) == 1 else None

    async with running(work, clock) as engine:
        engine.enqueue(A)
        async with asyncio.timeout(20):
            while len(seen) < 2:
                await asyncio.sleep(0.05)
    assert timedelta(seconds=1.4) < seen[1] - seen[0] < timedelta(seconds=2)


async def test_a_failure_is_retried_and_stops_nothing_else() -> None:
    """Unexpected and expected errors alike."""
    tries = {A: 0, B: 0}

    async def work(key: ObjectKey) -> None:
        tries[key] += 1
        if key == A and tries[A] == 1:
            raise RuntimeError("secret words")
        if key == A and tries[A] == 2:
            raise KubeError(Reason.API_UNAVAILABLE, "away", retryable=True, retry_after=0.1)

    async with running(work) as engine:
        engine.enqueue(A)
        engine.enqueue(B)
        await asyncio.sleep(2)
    assert tries == {A: 3, B: 1}


async def test_the_end_of_an_outage_does_not_retry_refusals() -> None:
    """The end of an outage retries the objects that failed by it; a refusal waits, unless the rights are back."""
    tries = {A: 0, B: 0}

    async def work(key: ObjectKey) -> None:
        tries[key] += 1
        raise KubeError(Reason.API_UNAVAILABLE if key == A else Reason.FORBIDDEN, "no", retry_after=60)

    async with running(work) as engine:
        engine.enqueue(A)
        engine.enqueue(B)
        await asyncio.sleep(0.1)
        engine.recovery.api_answers("", refused=False)
        await asyncio.sleep(LONGEST_SLEEP_SECONDS)
        assert tries == {A: 2, B: 1}
        engine.recovery.api_answers("", refused=True)
        await asyncio.sleep(LONGEST_SLEEP_SECONDS)
        assert tries == {A: 3, B: 2}


async def test_the_message_of_an_unexpected_error_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work(_key: ObjectKey) -> None:
        raise ValueError("-----BEGIN PRIVATE KEY-----")

    async with running(work) as engine:
        engine.enqueue(A)
        await asyncio.sleep(0.1)
    assert "unexpected ValueError at work:" in caplog.text
    assert "PRIVATE" not in caplog.text


async def test_the_number_of_concurrent_reconciles_is_limited() -> None:
    at_once, most = 0, 0

    async def work(_key: ObjectKey) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1

    async with running(work) as engine:
        for number in range(WORKERS * 3):
            engine.enqueue(ObjectKey(f"team-{number % WORKERS}", str(number)))
        await asyncio.sleep(0.3)
    assert most == WORKERS


async def test_a_clock_that_was_set_causes_a_reconcile_of_everything() -> None:
    """faults.md row 17: an object does not wait for a time that a wrong clock has set."""
    clock, reconciles = Clock(), 0

    async def work(_key: ObjectKey) -> datetime | None:
        nonlocal reconciles
        reconciles += 1
        return clock() + timedelta(hours=1)

    async with running(work, clock) as engine:
        engine.enqueue(A)
        await asyncio.sleep(0.3)
        clock.offset = timedelta(days=-400)
        await asyncio.sleep(0.6)
    assert reconciles == 2


async def test_a_clock_that_is_set_back_during_a_reconcile_delays_its_object_by_nothing() -> None:
    """The reconcile returns a time that it calculated under the wrong clock; the object is reconciled again at once."""
    clock, reconciles = Clock(), 0

    async def work(_key: ObjectKey) -> datetime | None:
        nonlocal reconciles
        reconciles += 1
        due = clock() + timedelta(hours=1)
        await asyncio.sleep(5)  # a message is being sent
        return due

    async with running(work, clock) as engine:
        engine.enqueue(A)
        await asyncio.sleep(1)
        clock.offset = timedelta(days=-400)
        await asyncio.sleep(6)
        assert reconciles == 2
        await asyncio.sleep(2.5 * 3600)
    assert reconciles == 4


async def test_after_an_outage_the_most_urgent_is_reconciled_first() -> None:
    """More objects than are enqueued at once have failed in it, and the most urgent of them was the last to fail."""
    failed: set[ObjectKey] = set()
    order: list[ObjectKey] = []
    keys = [ObjectKey(f"team-{number % 4}", str(number)) for number in range(1_000)]
    urgency = {key: float(number) for number, key in enumerate(keys)}

    async def work(key: ObjectKey) -> None:
        if key not in failed:
            failed.add(key)
            raise KubeError(Reason.API_UNAVAILABLE, "away", status=503, retry_after=300)
        order.append(key)
        await asyncio.sleep(0.01)

    async with running(work, urgency=urgency.__getitem__) as engine:
        for position, key in enumerate(reversed(keys)):
            engine.queue.enqueue(Item(KIND, key), position)
        await asyncio.sleep(1)
        assert (len(failed), order) == (len(keys), [])
        engine.recovery.api_answers("", refused=False)
        await asyncio.sleep(5)
    assert len(order) == len(keys)
    assert order.index(keys[0]) < 2 * WORKERS


async def test_stop_finishes_reconciles_in_progress_and_leaves_the_rest() -> None:
    done = []

    async def work(key: ObjectKey) -> None:
        await asyncio.sleep(0.1)
        done.append(key)

    async with running(work) as engine:
        for number in range(WORKERS * 2):
            engine.enqueue(ObjectKey(f"team-{number % WORKERS}", str(number)))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(engine.workers.drain(), 2)
        assert len(done) == WORKERS
