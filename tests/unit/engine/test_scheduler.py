"""One queue, one clock, never two looks at the same certificate at once."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics
from clientcert.workqueue.scheduler import WORKERS, Scheduler
from tests.builders import NOW

A, B = ObjectKey("team", "a"), ObjectKey("team", "b")


class Clock:
    """A wall clock that a test can set; it goes on by itself otherwise."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def __call__(self):
        return NOW + timedelta(seconds=asyncio.get_event_loop().time()) + self.offset


@asynccontextmanager
async def running(work, clock=None, clock_was_set=lambda: None, urgency=lambda _: 0.0):
    clock = clock or Clock()
    scheduler = Scheduler(work, urgency, clock, clock_was_set, Metrics())
    task = asyncio.create_task(scheduler.run())
    try:
        yield scheduler
    finally:
        scheduler.stop()
        await asyncio.wait_for(task, 5)


async def test_a_key_is_looked_at_once_however_often_it_was_woken():
    seen = []

    async def work(key):
        seen.append(key)

    async with running(work) as scheduler:
        for _ in range(10):
            scheduler.wake(A)
        scheduler.wake(B)
        await asyncio.sleep(0.1)
    assert sorted(seen) == [A, B]


async def test_the_most_urgent_is_looked_at_first():
    """When more are due than there are workers, whoever expires next does not wait behind the others."""
    keys = [ObjectKey("team", f"c{number:04d}") for number in range(5 * WORKERS)]
    urgency = {key: float(-number) for number, key in enumerate(keys)}
    seen = []

    async def work(key):
        seen.append(key)
        await asyncio.sleep(0)

    async with running(work, urgency=urgency.__getitem__) as scheduler:
        for key in keys:
            scheduler.wake(key)
        async with asyncio.timeout(10):
            while len(seen) < len(keys):
                await asyncio.sleep(0.01)
    assert seen == keys[::-1]


async def test_what_is_woken_during_a_look_is_looked_at_again_after_it():
    """No change is lost, and no key has two looks at once."""
    at_once, most, looks = 0, 0, 0

    async def work(key):
        nonlocal at_once, most, looks
        at_once, looks = at_once + 1, looks + 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1

    async with running(work) as scheduler:
        scheduler.wake(A)
        await asyncio.sleep(0.01)
        scheduler.wake(A)
        scheduler.wake(A)
        await asyncio.sleep(0.3)
    assert (most, looks) == (1, 2)


async def test_a_look_comes_back_when_it_is_due():
    clock, seen = Clock(), []

    async def work(key):
        seen.append(clock())
        return clock() + timedelta(seconds=0.5) if len(seen) == 1 else None

    async with running(work, clock) as scheduler:
        scheduler.wake(A)
        async with asyncio.timeout(20):
            while len(seen) < 2:
                await asyncio.sleep(0.05)
    assert timedelta(seconds=1.4) < seen[1] - seen[0] < timedelta(seconds=20)


async def test_a_failure_is_tried_again_and_stops_nobody_else():
    """An unexpected error and a named one alike."""
    tries = {A: 0, B: 0}

    async def work(key):
        tries[key] += 1
        if key == A and tries[A] == 1:
            raise RuntimeError("secret words")
        if key == A and tries[A] == 2:
            raise KubeError(Reason.API_UNAVAILABLE, "away", retryable=True, retry_after=0.1)

    async with running(work) as scheduler:
        scheduler.wake(A)
        scheduler.wake(B)
        await asyncio.sleep(2)
    assert tries == {A: 3, B: 1}


async def test_what_was_refused_waits_for_its_time_when_the_api_server_is_back():
    """An outage is over for those that it has met; who was refused is refused still, unless the rights are back."""
    tries = {A: 0, B: 0}

    async def work(key):
        tries[key] += 1
        raise KubeError(Reason.API_UNAVAILABLE if key == A else Reason.FORBIDDEN, "no", retry_after=60)

    async with running(work) as scheduler:
        scheduler.wake(A)
        scheduler.wake(B)
        await asyncio.sleep(0.1)
        scheduler.try_again()
        await asyncio.sleep(0.1)
        assert tries == {A: 2, B: 1}
        scheduler.try_again(refused=True)
        await asyncio.sleep(0.1)
        assert tries == {A: 3, B: 2}


async def test_the_words_of_an_unexpected_error_are_not_logged(caplog):
    async def work(key):
        raise ValueError("-----BEGIN PRIVATE KEY-----")

    async with running(work) as scheduler:
        scheduler.wake(A)
        await asyncio.sleep(0.1)
    assert "unexpected ValueError at work:" in caplog.text
    assert "PRIVATE" not in caplog.text


async def test_a_bound_on_how_many_at_once():
    at_once, most = 0, 0

    async def work(key):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1

    async with running(work) as scheduler:
        for number in range(WORKERS * 3):
            scheduler.wake(ObjectKey(f"team-{number % 3}", str(number)))
        await asyncio.sleep(0.3)
    assert most == WORKERS


async def test_a_clock_that_was_set_wakes_everything():
    """faults.md row 17: what waited for a time under the wrong clock must not wait for it under the right one."""
    clock, looks, told = Clock(), 0, []

    async def work(key):
        nonlocal looks
        looks += 1
        return clock() + timedelta(hours=1)

    async with running(work, clock, lambda: told.append(True)) as scheduler:
        scheduler.wake(A)
        await asyncio.sleep(0.3)
        clock.offset = timedelta(days=-400)
        await asyncio.sleep(0.6)
    assert (looks, told) == (2, [True])


async def test_stop_finishes_what_is_under_way_and_leaves_the_rest():
    done = []

    async def work(key):
        await asyncio.sleep(0.1)
        done.append(key)

    async with running(work) as scheduler:
        for number in range(WORKERS * 2):
            scheduler.wake(ObjectKey(f"team-{number % 3}", str(number)))
        await asyncio.sleep(0.05)
        scheduler.stop()
        await asyncio.wait_for(scheduler.idle(), 2)
        assert len(done) == WORKERS


async def test_what_was_woken_early_leaves_nothing_behind():
    """However often it is, and however far away its time was: one entry is enough."""

    async def work(key):
        return NOW + timedelta(days=300)

    async with running(work) as scheduler:
        for _ in range(1_000):
            scheduler.wake(A)
            while scheduler.depth:
                await asyncio.sleep(0)
        assert len(scheduler._heap) < 110
        scheduler.wake(B)
        scheduler.forget(A)
        while scheduler.depth:
            await asyncio.sleep(0)
        assert scheduler._due == {B: NOW + timedelta(days=300, seconds=1)}
