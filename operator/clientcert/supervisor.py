"""Runs all tasks in one event loop, restarts kopf if it ends, and shuts down cleanly."""

import asyncio
import logging
import signal
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from clientcert import garbage_collection
from clientcert.cache.informers import Informers
from clientcert.controllers.engine import Engine
from clientcert.handlers.kopf_registry import KOPF_IDENTITY, kopf, kopf_settings
from clientcert.health import HealthServer
from clientcert.heartbeat import Heartbeat
from clientcert.metrics import Metrics

STOP_SECONDS = 10.0
"""Time after SIGTERM for reconciles in progress to finish, and for statuses to record what was sent."""
_RESTART_SECONDS = 2.0
_SLOWEST_RESTART = 30.0
_LIVED_SECONDS = 60.0
"""After a run of kopf that lasted longer, the restart delay is reset."""
_KOPF_ENDS_SECONDS = 10.0
"""Twice the time that kopf gives its own tasks to end."""
_STALL_SAMPLE_SECONDS = 0.02

logger = logging.getLogger(__name__)


class Supervisor:
    """The concurrent tasks of the process, from its start to its end."""

    def __init__(
        self,
        engine: Engine,
        informers: Informers,
        new_registry: Callable[[], kopf.OperatorRegistry],
        metrics: Metrics,
    ) -> None:
        self._engine = engine
        self._informers = informers
        self._new_registry = new_registry
        self._metrics = metrics
        self._kopf_up: set[str] = set()
        self._stop = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """True if every watch is established, and has delivered the initial objects.

        A namespace whose rights were revoked does not count: its metric reports it, and the others go on.
        """
        served = set(self._informers.namespaces) - self._engine.resync.refused
        return bool(served) and served <= self._kopf_up and self._informers.are_established(served)

    async def run(
        self, health: HealthServer, host: str, port: int, resync_seconds: float, heartbeat: Heartbeat | None = None
    ) -> None:
        """Run until SIGTERM or SIGINT. Raises the error that ended any task: the operator needs all of them."""
        async with AsyncExitStack() as stack:
            await health.start(host, port)
            stack.push_async_callback(health.stop)
            stack.push_async_callback(self._engine.leadership.release)
            tasks = [
                asyncio.create_task(self._engine.leadership.run(), name="lease"),
                asyncio.create_task(self._engine.run(self._informers.namespaces, resync_seconds), name="engine"),
                asyncio.create_task(self._measure_stalls(), name="stalls"),
                *([asyncio.create_task(heartbeat.run(), name="heartbeat")] if heartbeat else []),
                asyncio.create_task(garbage_collection.keep_short(), name="garbage collection"),
                *(
                    asyncio.create_task(part(namespace), name=f"{part.__name__} {namespace}")
                    for part in (self._watch_secrets, self._watch_certificates, self._keep_kopf)
                    for namespace in self._informers.namespaces
                ),
            ]
            self._listen_for_signals()
            stopping = asyncio.create_task(self._stop.wait(), name="stop")
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            logger.info("Stopping: reconciles in progress are finished, the rest stays due")
            await self._finish(tasks)
            for task in done - {stopping}:
                task.result()
                if not self._stop.is_set():
                    raise RuntimeError(f"the task {task.get_name()} has ended unexpectedly")

    async def _finish(self, tasks: list[asyncio.Task[None]]) -> None:
        self._engine.leadership.resign()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._engine.workers.drain()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch_secrets(self, namespace: str) -> None:
        async for _ in self._informers.watch_secrets(namespace):
            self._engine.resync.ask(namespace)

    async def _watch_certificates(self, namespace: str) -> None:
        await self._engine.resync.primed(namespace)
        async for _ in self._informers.watch_certificates(namespace):
            self._engine.resync.ask(namespace)

    async def _keep_kopf(self, namespace: str) -> None:
        """Run kopf, and start it again if it ends, as it does after an unknown watch error. The cache is kept."""
        await self._engine.take_over(namespace)
        loop, delay = asyncio.get_running_loop(), _RESTART_SECONDS
        while not self._stop.is_set():
            began = loop.time()
            ready = asyncio.Event()
            waiting = asyncio.create_task(self._note_ready(ready, namespace))
            try:
                tasks = await kopf.spawn_tasks(
                    registry=self._new_registry(),
                    settings=kopf_settings(),
                    identity=KOPF_IDENTITY,
                    clusterwide=not namespace,
                    namespaces=[namespace] if namespace else (),
                    ready_flag=ready,
                    stop_flag=self._stop,
                )
                self._listen_for_signals()  # kopf has installed its own handlers
                await self._until_kopf_ends(tasks)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - an error that ends kopf must not end the alerts
                logger.warning("The watches ended with %s and are started again", type(error).__name__)
            finally:
                waiting.cancel()
                self._kopf_up.discard(namespace)
            if not self._stop.is_set():
                delay = _RESTART_SECONDS if loop.time() - began > _LIVED_SECONDS else min(2 * delay, _SLOWEST_RESTART)
                await asyncio.sleep(delay)
                await self._engine.repair(namespace)

    async def _until_kopf_ends(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Wait for its end, and raise its error. kopf would wait for ever for a task that swallows its cancellation."""

        async def run() -> None:  # our own coroutine, so that the kopf of another namespace does not cancel it
            await kopf.run_tasks(tasks, ignored=_NotOfKopf())

        running = asyncio.create_task(run(), name="running kopf")
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(_KOPF_ENDS_SECONDS):
                await asyncio.shield(running)
        finally:
            running.cancel()

    def _listen_for_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)

    async def _note_ready(self, ready: asyncio.Event, namespace: str) -> None:
        await ready.wait()
        self._kopf_up.add(namespace)

    async def _measure_stalls(self) -> None:
        """Measure the longest time that the event loop was blocked."""
        loop, longest = asyncio.get_running_loop(), 0.0
        while True:
            before = loop.time()
            await asyncio.sleep(_STALL_SAMPLE_SECONDS)
            stall = loop.time() - before - _STALL_SAMPLE_SECONDS
            if stall > longest:
                longest = stall
                self._metrics.loop_stall_seconds.set(longest)


class _NotOfKopf(Collection[Any]):
    """Every task except kopf's own: when kopf ends, it cancels all tasks that were started after it, also ours."""

    _FOLDER = str(Path(kopf.__file__).parent)

    def __contains__(self, task: object) -> bool:
        if not isinstance(task, asyncio.Task):
            return True
        code = getattr(task.get_coro(), "cr_code", None)
        return code is None or not code.co_filename.startswith(self._FOLDER)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0
