"""The life of the process: what ends it, what turns its health red, what is restarted, and how it stops."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import aiohttp
import kopf
import pytest

from clientcert.health import STANDSTILL_SECONDS, HealthServer
from clientcert.kube.lease import AlwaysLeads
from clientcert.lifecycle.declaration import ObjectKey
from clientcert.metrics import Metrics
from clientcert.reconcile.scheduler import WORKERS, Scheduler
from clientcert.reconcile.store import Store
from clientcert.supervisor import Supervisor
from tools.control_plane.process import free_port

Run = Callable[[], Awaitable[None]]


async def never() -> None:
    await asyncio.Event().wait()


async def ends() -> None:
    """Without a word, as nothing here should."""


async def fails() -> None:
    raise OSError("broken for good")


async def is_cancelled() -> None:
    raise asyncio.CancelledError


def health_server(*, last_tick: Callable[[], float] = time.monotonic, leads: bool = True) -> HealthServer:
    return HealthServer(Store(lambda _: None), Metrics(), last_tick, lambda: True, lambda: leads, x509=False)


def supervisor(*, lease: Run = never, engine: Run = never, watch: Run = never) -> Supervisor:
    """One whose parts do that; kopf waits for the engine, and is never started."""
    leadership: Any = AlwaysLeads()
    leadership.run = lease
    engine_part: Any = SimpleNamespace(
        leadership=leadership,
        run=lambda *_: engine(),
        take_over=lambda _: never(),
        scheduler=Scheduler(_nothing_due, lambda _: 0.0, lambda: datetime.now(UTC), lambda: None, Metrics()),
        resync=SimpleNamespace(refused=set()),
        caught_up=False,
    )
    watch_part: Any = SimpleNamespace(run=watch, established=asyncio.Event())
    return Supervisor(engine_part, {"": watch_part}, kopf.OperatorRegistry, Metrics())


async def _nothing_due(_: ObjectKey) -> None:
    return None


@pytest.mark.parametrize("part", ["lease", "engine", "watch"])
@pytest.mark.parametrize(
    ("how", "error"), [(ends, RuntimeError), (fails, OSError), (is_cancelled, asyncio.CancelledError)]
)
async def test_the_process_ends_with_any_of_its_parts(part: str, how: Run, error: type[BaseException]) -> None:
    """Whatever has ended, and however: no operator goes on that only looks like one."""
    running = asyncio.create_task(supervisor(**{part: how}).run(health_server(), "127.0.0.1", free_port(), 600))
    done, _ = await asyncio.wait([running], timeout=5)
    assert done == {running}
    with pytest.raises(error):
        running.result()


@pytest.mark.parametrize(
    ("standing", "leads", "status"),
    [
        (STANDSTILL_SECONDS - 2, True, 200),
        (STANDSTILL_SECONDS + 1, True, 503),
        (STANDSTILL_SECONDS + 1, False, 200),
    ],
)
async def test_health_is_red_when_the_scheduler_of_a_leader_stands_still(
    standing: float, leads: bool, status: int
) -> None:
    """That of a standby has nothing to do. A loop that stands still gives no answer at all."""
    stopped = time.monotonic() - standing
    port, health = free_port(), health_server(last_tick=lambda: stopped, leads=leads)
    await health.start("127.0.0.1", port)
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == status
    finally:
        await health.stop()


async def test_what_is_cancelled_in_one_look_ends_no_worker() -> None:
    """More often than there are workers: the next certificate is still looked at."""
    looked: list[str] = []

    async def look(key: ObjectKey) -> None:
        looked.append(key.name)
        if key.name != "last":
            raise asyncio.CancelledError

    scheduler = Scheduler(look, lambda _: 0.0, lambda: datetime.now(UTC), lambda: None, Metrics())
    running = asyncio.create_task(scheduler.run())
    for number in range(WORKERS + 1):
        scheduler.wake(ObjectKey("team", f"cancelled-{number}"))
    async with asyncio.timeout(5):
        while len(looked) <= WORKERS:
            await asyncio.sleep(0.01)
        scheduler.wake(ObjectKey("team", "last"))
        while "last" not in looked:
            await asyncio.sleep(0.01)
        scheduler.stop()
        await running
