"""Runs everything in one event loop, restarts what may be restarted, and stops cleanly."""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from clientcert.cache.informers import Informers
from clientcert.controllers.engine import Engine
from clientcert.handlers.kopf_registry import KOPF_IDENTITY, kopf, kopf_settings
from clientcert.health import HealthServer
from clientcert.heartbeat import Heartbeat
from clientcert.metrics import Metrics

STOP_SECONDS = 10.0
"""Time for reconciles in progress to finish after SIGTERM."""
_RESTART_SECONDS = 2.0
_SLOWEST_RESTART = 30.0
_LIVED_SECONDS = 60.0
"""A kopf that ran for so long had nothing wrong with it from the start."""
_KOPF_ENDS_SECONDS = 10.0
"""Twice what kopf gives its own tasks."""
_STALL_SAMPLE_SECONDS = 0.02
_COLLECTION_SECONDS = 1.0
_COLLECTIONS_OF_YOUNG_OBJECTS = 3
"""So many mean that about 20,000 objects more have stayed."""

logger = logging.getLogger(__name__)


class Supervisor:
    """The life of the process: everything that runs side by side."""

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
        """Whether every watch is established, and has brought what was there at the start.

        A namespace whose rights were taken is told of by its metric: it keeps the others from nothing.
        """
        served = set(self._informers.namespaces) - self._engine.resync.refused
        return bool(served) and served <= self._kopf_up and self._informers.are_established(served)

    async def run(
        self, health: HealthServer, host: str, port: int, resync_seconds: float, heartbeat: Heartbeat | None = None
    ) -> None:
        """Until SIGTERM or SIGINT. Raises what ended any part for good: without one of them the rest is no operator."""
        async with AsyncExitStack() as stack:
            await health.start(host, port)
            stack.push_async_callback(health.stop)
            stack.push_async_callback(self._engine.leadership.release)
            tasks = [
                asyncio.create_task(self._engine.leadership.run(), name="lease"),
                asyncio.create_task(self._engine.run(self._informers.namespaces, resync_seconds), name="engine"),
                asyncio.create_task(self._measure_stalls(), name="stalls"),
                *([asyncio.create_task(heartbeat.run(), name="heartbeat")] if heartbeat else []),
                asyncio.create_task(self._keep_records_from_collection(), name="records"),
                *(
                    asyncio.create_task(part(namespace), name=f"{part.__name__} {namespace}")
                    for part in (self._watch_secrets, self._watch_certificates, self._keep_kopf)
                    for namespace in self._informers.namespaces
                ),
            ]
            self._listen_for_signals()
            stopping = asyncio.create_task(self._stop.wait(), name="stop")
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            logger.info("Stopping: what is under way is finished, the rest stays due")
            await self._finish(tasks)
            for task in done - {stopping}:
                task.result()
                if not self._stop.is_set():
                    raise RuntimeError(f"the part {task.get_name()} has ended, and nobody told it to")

    async def _finish(self, tasks: list[asyncio.Task[None]]) -> None:
        self._engine.workers.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._engine.workers.idle()
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
        """Kopf ends itself at an error of a watch it does not know; it is started again, and the store stays."""
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
                self._listen_for_signals()  # kopf has put its own in place
                await self._until_kopf_ends(tasks)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever ends kopf must not end the alerts
                logger.warning("The watches ended with %s and are started again", type(error).__name__)
            finally:
                waiting.cancel()
                self._kopf_up.discard(namespace)
            if not self._stop.is_set():
                delay = _RESTART_SECONDS if loop.time() - began > _LIVED_SECONDS else min(2 * delay, _SLOWEST_RESTART)
                await asyncio.sleep(delay)
                await self._engine.repair(namespace)

    async def _until_kopf_ends(self, tasks: Collection[asyncio.Task[None]]) -> None:
        """Raises what ended it. One of its tasks may swallow its cancellation, and kopf would wait for it for ever."""

        async def run() -> None:  # ours, so that the kopf of another namespace leaves it alone
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

    async def _keep_records_from_collection(self) -> None:
        """Take what stays out of later garbage collections: passing over 100,000 records stalls the loop for long.

        A collection looks only at objects that were made since the last one here, so it is short.
        """
        while True:
            await asyncio.sleep(_COLLECTION_SECONDS)
            if gc.get_count()[2] >= _COLLECTIONS_OF_YOUNG_OBJECTS:
                gc.collect()
                gc.freeze()

    async def _measure_stalls(self) -> None:
        """How long the loop could not run anything, at its worst."""
        loop, longest = asyncio.get_running_loop(), 0.0
        while True:
            before = loop.time()
            await asyncio.sleep(_STALL_SAMPLE_SECONDS)
            stall = loop.time() - before - _STALL_SAMPLE_SECONDS
            if stall > longest:
                longest = stall
                self._metrics.loop_stall_seconds.set(longest)


class _NotOfKopf(Collection[Any]):
    """Every task but kopf's own: when kopf ends it cancels all that came after it, and ours came, too."""

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
