"""A probe at a start waits for the watches: kubelet makes an Event of each one that fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import aiohttp

from clientcert.cache.object_cache import ObjectCache
from clientcert.health import HealthServer
from clientcert.metrics import Metrics
from clientcert.workqueue.work_queue import WorkQueue
from tools.control_plane.process import free_port


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Probed:
    session: aiohttp.ClientSession
    url: str
    is_ready: bool = False

    async def probe(self) -> int:
        async with self.session.get(self.url) as answer:
            return answer.status


@asynccontextmanager
async def served(start_seconds: float) -> AsyncIterator[Probed]:
    port, cache = free_port(), ObjectCache(WorkQueue(now))
    async with aiohttp.ClientSession() as session:
        probed = Probed(session, f"http://127.0.0.1:{port}/readyz")
        health = HealthServer(
            cache,
            cast("Any", None),
            Metrics(),
            lambda: 0.0,
            lambda: probed.is_ready,
            lambda: False,
            now,
            x509=False,
            start_seconds=start_seconds,
        )
        await health.start("127.0.0.1", port)
        try:
            yield probed
        finally:
            await health.stop()


async def test_a_probe_at_a_start_is_answered_once_the_watches_are_established() -> None:
    async with served(60.0) as probed:
        probing = asyncio.create_task(probed.probe())
        done, _ = await asyncio.wait([probing], timeout=0.3)
        assert not done
        probed.is_ready = True
        assert await probing == 200


async def test_a_probe_does_not_wait_for_ever() -> None:
    async with served(0.0) as probed:
        assert await probed.probe() == 503


async def test_a_replica_that_is_no_longer_ready_says_so_at_once() -> None:
    async with served(60.0) as probed:
        probed.is_ready = True
        assert await probed.probe() == 200
        probed.is_ready = False
        assert await asyncio.wait_for(probed.probe(), 5) == 503
