"""The life of the process: what ends it, what turns its health red, what is restarted, and how it stops."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import kopf
import pytest

from clientcert.cache.client_lists import ClientLists
from clientcert.cache.object_cache import ObjectCache
from clientcert.controllers.engine import Engine
from clientcert.health import STANDSTILL_SECONDS, HealthServer
from clientcert.kube.leader_election import AlwaysLeader
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics
from clientcert.supervisor import Supervisor
from clientcert.workqueue.scheduler import WORKERS, Scheduler
from tools.control_plane.process import free_port

Run = Callable[[], Awaitable[None]]


async def never() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    """Done at once."""


async def ends() -> None:
    """Without a word, as nothing here should."""


async def fails() -> None:
    raise OSError("broken for good")


async def is_cancelled() -> None:
    raise asyncio.CancelledError


def health_server(standing: Callable[[], float] = lambda: 0.0) -> HealthServer:
    return HealthServer(ObjectCache(lambda _: None), Metrics(), standing, lambda: True, lambda: True, x509=False)


def supervisor(
    *, lease: Run = never, engine: Run = never, certificates: Run = never, secrets: Run = never
) -> Supervisor:
    """One whose parts do that; kopf waits for the engine, and is never started."""
    leadership: Any = AlwaysLeader()
    leadership.run = lease
    engine_part: Any = SimpleNamespace(
        leadership=leadership,
        run=lambda *_: engine(),
        take_over=lambda _: never(),
        scheduler=Scheduler(_nothing_due, lambda _: 0.0, lambda: datetime.now(UTC), lambda: None, Metrics()),
        resync=SimpleNamespace(refused=set(), primed=lambda _: nothing()),
    )
    parts: Any = [SimpleNamespace(run=run, established=asyncio.Event()) for run in (certificates, secrets)]
    return Supervisor(engine_part, {"": parts[0]}, {"": parts[1]}, kopf.OperatorRegistry, Metrics())


async def _nothing_due(_: ObjectKey) -> None:
    return None


@pytest.mark.parametrize("part", ["lease", "engine", "certificates", "secrets"])
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


@pytest.mark.parametrize(("standing", "status"), [(STANDSTILL_SECONDS - 2, 200), (STANDSTILL_SECONDS + 1, 503)])
async def test_health_is_red_when_nothing_moves_that_should(standing: float, status: int) -> None:
    """A loop that stands still gives no answer at all."""
    port, health = free_port(), health_server(lambda: standing)
    await health.start("127.0.0.1", port)
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == status
    finally:
        await health.stop()


class Term:
    """A leadership of which a test says how it stands."""

    def __init__(self, *, leads: bool, begins: bool) -> None:
        self.is_leader = leads
        self.since = time.monotonic()
        self._begins = begins

    def allows(self, seconds: float) -> bool:
        return self.is_leader

    async def terms(self) -> AsyncIterator[asyncio.Event]:
        if self._begins:
            yield asyncio.Event()
        await asyncio.Event().wait()

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def release(self) -> None:
        pass


@pytest.mark.parametrize(
    ("leads", "begins", "freshening", "moves"),
    [
        (True, True, nothing, True),
        (True, False, nothing, False),  # nobody told it that it leads
        (True, True, never, True),  # the API server is away, and is asked again and again
        (False, False, nothing, True),  # there is nothing to do for it
    ],
    ids=("works", "idle", "begins", "standby"),
)
async def test_what_stands_still(leads: bool, begins: bool, freshening: Run, moves: bool) -> None:
    """A leader that does not work is as bad as none, whatever its Lease says."""
    scheduler = Scheduler(_nothing_due, lambda _: 0.0, lambda: datetime.now(UTC), lambda: None, Metrics())
    store, unused = ObjectCache(scheduler.wake), cast("Any", None)
    resync = cast("Any", SimpleNamespace(freshen=freshening, say_of_policies=nothing, run=lambda *_: never()))
    outage = cast("Any", SimpleNamespace(run=never))
    term = Term(leads=leads, begins=begins)
    lists = ClientLists(nothing)
    engine = Engine(store, scheduler, unused, resync, outage, unused, lists, term, unused, lambda: datetime.now(UTC))
    running = asyncio.create_task(engine.run([""], 600))
    await asyncio.sleep(1.5)
    assert (engine.standing() < 1) == moves
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_look_that_hangs_gives_its_worker_back() -> None:
    """All workers hang; whoever comes then is looked at all the same, and they are tried again."""
    looked: list[str] = []

    async def look(key: ObjectKey) -> None:
        looked.append(key.name)
        if key.name != "last":
            await asyncio.Event().wait()

    scheduler = Scheduler(look, lambda _: 0.0, lambda: datetime.now(UTC), lambda: None, Metrics(), longest_look=0.5)
    running = asyncio.create_task(scheduler.run())
    for number in range(WORKERS):
        scheduler.wake(ObjectKey("team", f"hangs-{number}"))
    await asyncio.sleep(0.1)
    scheduler.wake(ObjectKey("team", "last"))
    async with asyncio.timeout(5):
        while "last" not in looked or looked.count("hangs-0") < 2:
            await asyncio.sleep(0.01)
        scheduler.stop()
        await running


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
