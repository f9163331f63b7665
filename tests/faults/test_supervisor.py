"""The life of the process: what ends it, what makes its health fail, what is restarted, and how it stops."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from clientcert.cache.informers import Informers
from clientcert.cache.object_cache import ObjectCache
from clientcert.controllers.engine import Engine
from clientcert.controllers.workers import Workers
from clientcert.health import STALLED_SECONDS, HealthServer
from clientcert.kube.leadership import AlwaysLeader
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics
from clientcert.own_secrets import OwnSecrets
from clientcert.settings import Settings
from clientcert.supervisor import Supervisor
from clientcert.workqueue.work_queue import WORKERS, Item, WorkQueue
from tools.control_plane.process import free_port

KIND = "Thing"
WATCHED = ("policies", "stores", "secrets", "certificates", "renewals", "revocations")
Run = Callable[[], Awaitable[None]]


async def never() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    """Returns at once."""


async def ends() -> None:
    """Ends without an error, which no part should do."""


async def fails() -> None:
    raise OSError("broken for good")


async def is_cancelled() -> None:
    raise asyncio.CancelledError


def now() -> datetime:
    return datetime.now(UTC)


def health_server(stalled: Callable[[], float] = lambda: 0.0) -> HealthServer:
    cache = ObjectCache(WorkQueue(now))
    return HealthServer(cache, cast("Any", None), Metrics(), stalled, lambda: True, lambda: True, now, x509=False)


def workers(
    work: Callable[[ObjectKey], Awaitable[datetime | None]], longest: float = 900.0
) -> tuple[Workers, WorkQueue]:
    """Workers that reconcile one kind of object with this function, and their queue."""
    queue = WorkQueue(now)
    queue.open()
    reconciler: Any = SimpleNamespace(reconcile=work, urgency=lambda _: 0.0, begin_term=lambda: None)
    return Workers(queue, {KIND: reconciler}, cast("Any", None), (), now, Metrics(), longest_reconcile=longest), queue


def thing(name: str) -> Item:
    return Item(KIND, ObjectKey("team", name))


def supervisor(*, lease: Run = never, engine: Run = never, **watches: Run) -> Supervisor:
    """A supervisor with these parts."""
    leadership: Any = AlwaysLeader()
    leadership.run = lease
    engine_part: Any = SimpleNamespace(
        leadership=leadership,
        run=lambda *_: engine(),
        take_over=lambda _: nothing(),
        workers=workers(_nothing_due)[0],
        depth=0,
        resync=SimpleNamespace(refused=set(), primed=lambda _: nothing()),
    )

    async def watching(part: Run) -> AsyncIterator[None]:
        await part()
        for returned in ():
            yield returned

    informers: Any = SimpleNamespace(
        namespaces=("",),
        **{f"watch_{kind}": partial(lambda run, _: watching(run), watches.get(kind, never)) for kind in WATCHED},
        are_established=lambda _: False,
    )
    versions: Any = SimpleNamespace(run=lambda _: never())
    return Supervisor(engine_part, cast("Informers", informers), Metrics(), OwnSecrets(Settings()), versions)


async def _nothing_due(_: ObjectKey) -> None:
    return None


@pytest.mark.parametrize("part", ["lease", "engine", *WATCHED])
@pytest.mark.parametrize(
    ("how", "error"), [(ends, RuntimeError), (fails, OSError), (is_cancelled, asyncio.CancelledError)]
)
async def test_the_process_ends_with_any_of_its_parts(part: str, how: Run, error: type[BaseException]) -> None:
    """Whichever part ends, and however: no operator continues without one of its parts."""
    running = asyncio.create_task(supervisor(**{part: how}).run(health_server(), "127.0.0.1", free_port(), 600))
    done, _ = await asyncio.wait([running], timeout=5)
    assert done == {running}
    with pytest.raises(error):
        running.result()


@pytest.mark.parametrize(("stalled", "status"), [(STALLED_SECONDS - 2, 200), (STALLED_SECONDS + 1, 503)])
async def test_health_fails_when_a_part_stalls(stalled: float, status: int) -> None:
    """A stalled loop gives no answer at all."""
    port, health = free_port(), health_server(lambda: stalled)
    await health.start("127.0.0.1", port)
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == status
    finally:
        await health.stop()


class Term:
    """A leadership that a test controls."""

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

    def resign(self) -> None:
        self.is_leader = False

    async def release(self) -> None:
        pass


@pytest.mark.parametrize(
    ("leads", "begins", "freshening", "moves"),
    [
        (True, True, nothing, True),
        (True, False, nothing, False),  # the leadership has not begun for it
        (True, True, never, True),  # the API server is unavailable, and is retried
        (False, False, nothing, True),  # there is nothing to do for it
    ],
    ids=("works", "idle", "begins", "standby"),
)
async def test_stalled_leadership_is_detected(leads: bool, begins: bool, freshening: Run, moves: bool) -> None:
    """A leader that does not work is as bad as none, even with a valid Lease."""
    working, queue = workers(_nothing_due)
    cache, unused = ObjectCache(queue), cast("Any", None)
    poller = cast("Any", SimpleNamespace(run=lambda _: never()))
    resync = cast("Any", SimpleNamespace(freshen=freshening, run=lambda *_: never()))
    recovery = cast("Any", SimpleNamespace(watch_outages=lambda *_: never(), watch_resync=lambda *_: never()))
    lists = cast("Any", SimpleNamespace(run=never))
    term = Term(leads=leads, begins=begins)
    engine = Engine(cache, queue, working, poller, resync, recovery, lists, term, unused)
    running = asyncio.create_task(engine.run([""], 600))
    await asyncio.sleep(1.5)
    assert (engine.stalled_seconds() < 1) == moves
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_hanging_reconcile_releases_its_worker() -> None:
    """All workers hang; a new object is reconciled nevertheless, and the others are retried."""
    reconciled: list[str] = []

    async def work(key: ObjectKey) -> None:
        reconciled.append(key.name)
        if key.name != "last":
            await asyncio.Event().wait()

    working, queue = workers(work, longest=0.5)
    running = asyncio.create_task(working.run())
    for number in range(WORKERS):
        queue.enqueue(Item(KIND, ObjectKey(f"team-{number}", f"hangs-{number}")))
    await asyncio.sleep(0.1)
    queue.enqueue(thing("last"))
    async with asyncio.timeout(5):
        while "last" not in reconciled or reconciled.count("hangs-0") < 2:
            await asyncio.sleep(0.01)
        working.stop()
        await running


async def test_a_cancelled_reconcile_ends_no_worker() -> None:
    """More cancellations than workers: the next object is still reconciled."""
    reconciled: list[str] = []

    async def work(key: ObjectKey) -> None:
        reconciled.append(key.name)
        if key.name != "last":
            raise asyncio.CancelledError

    working, queue = workers(work)
    running = asyncio.create_task(working.run())
    for number in range(WORKERS + 1):
        queue.enqueue(thing(f"cancelled-{number}"))
    async with asyncio.timeout(5):
        while len(reconciled) <= WORKERS:
            await asyncio.sleep(0.01)
        queue.enqueue(thing("last"))
        while "last" not in reconciled:
            await asyncio.sleep(0.01)
        working.stop()
        await running
