"""A comparison waits while many items are due: at a start over 100,000 certificates its lists would be in the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clientcert.cache.informers import Informers, Watches
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.resync import Resync
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import Page
from clientcert.kube.list_watch import ListWatch
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from tests.unit.engine.test_object_cache import RecordingQueue, policy_body

EVERY, MUCH, FEW = 600.0, 5_000, 100


class Place:
    """A namespace with one policy, and the times of its comparisons."""

    def __init__(self, depth: int) -> None:
        self.began = asyncio.get_running_loop().time()
        self.times: list[float] = []
        self.refuses = False
        self.enqueued = RecordingQueue()
        self.queue = SimpleNamespace(depth=depth)
        cache = ObjectCache(cast("Any", self.enqueued))
        others = ListWatch(cast("Any", self), "/others", LoopBudget())
        informers = Informers(cache, {"": Watches(others, others, *[others] * 4)}, LoopBudget())
        self.resync = Resync(cache, cast("Any", self), informers, cast("Any", self.queue), Metrics())

    async def pages(self, path: str, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        if path.endswith("/certificatepolicies"):
            self.times.append(asyncio.get_running_loop().time() - self.began)
            if self.refuses:
                raise KubeError(Reason.FORBIDDEN, "no rights")
            yield Page("1", [policy_body("5")])
        yield Page("1", [])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.resync.prime("")
        task = asyncio.create_task(self.resync.run("", EVERY))
        self.times.clear()
        self.enqueued.clear()
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()


@pytest.mark.parametrize(("depth", "seconds"), [(FEW, EVERY), (MUCH, 2 * EVERY)])
async def test_for_ten_minutes_more_at_most(depth: int, seconds: float) -> None:
    """A namespace that floods the queue keeps no other from its comparison."""
    place = Place(depth)
    async with place.running():
        await asyncio.sleep(2 * EVERY + 10)
    assert place.times[0] == pytest.approx(seconds, abs=1)


async def test_until_little_is_due() -> None:
    """The policies prove in time what they have to prove."""
    place = Place(MUCH)
    async with place.running():
        await asyncio.sleep(EVERY + 100)
        assert (place.times, len(place.enqueued)) == ([], 1)
        place.queue.depth = FEW
        await asyncio.sleep(6)
    assert len(place.times) == 1


async def test_not_if_somebody_asks() -> None:
    """A watch was interrupted: what it has missed is looked for at once."""
    place = Place(MUCH)
    async with place.running():
        await asyncio.sleep(EVERY + 100)
        place.resync.ask("")
        await asyncio.sleep(1)
        assert place.times == pytest.approx([EVERY + 100], abs=1)


async def test_not_after_a_failure() -> None:
    """The next try is one of its own retries."""
    place = Place(FEW)
    async with place.running():
        await asyncio.sleep(EVERY - 1)
        place.refuses = True
        await asyncio.sleep(2)
        place.queue.depth = MUCH
        await asyncio.sleep(3)
    assert len(place.times) > 1
