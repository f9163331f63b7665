"""Runs all tasks in one event loop, and shuts down cleanly."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack, suppress

from clientcert import garbage_collection
from clientcert.cache.informers import Informers
from clientcert.controllers.engine import Engine
from clientcert.controllers.version_check import VersionCheck
from clientcert.health import HealthServer
from clientcert.heartbeat import Heartbeat
from clientcert.metrics import Metrics
from clientcert.own_secrets import OwnSecrets

STOP_SECONDS = 10.0
"""Time after SIGTERM for reconciles in progress to finish, and for statuses to record what was sent."""
_STALL_SAMPLE_SECONDS = 0.02

logger = logging.getLogger(__name__)


class Supervisor:
    """The concurrent tasks of the process, from its start to its end."""

    def __init__(
        self,
        engine: Engine,
        informers: Informers,
        metrics: Metrics,
        own_secrets: OwnSecrets,
        version_check: VersionCheck,
    ) -> None:
        self._engine = engine
        self._informers = informers
        self._metrics = metrics
        self._own_secrets = own_secrets
        self._version_check = version_check
        self._stop = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        """True if every watch is established, and has delivered the initial objects.

        A namespace whose rights were revoked does not count: its metric reports it, and the others go on.
        """
        served = set(self._informers.namespaces) - self._engine.resync.refused
        return bool(served) and self._informers.are_established(served)

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
                asyncio.create_task(self._own_secrets.follow(), name="own secrets"),
                asyncio.create_task(self._version_check.run(resync_seconds), name="versions"),
                *([asyncio.create_task(heartbeat.run(), name="heartbeat")] if heartbeat else []),
                asyncio.create_task(garbage_collection.keep_short(), name="garbage collection"),
                *(
                    asyncio.create_task(part(namespace), name=f"{part.__name__} {namespace}")
                    for part in (
                        self._watch_policies,
                        self._watch_stores,
                        self._watch_secrets,
                        self._watch_certificates,
                        self._watch_renewals,
                        self._watch_revocations,
                    )
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

    async def _watch_policies(self, namespace: str) -> None:
        await self._engine.take_over(namespace)
        async for _ in self._informers.watch_policies(namespace):
            self._engine.resync.ask(namespace)

    async def _watch_stores(self, namespace: str) -> None:
        await self._engine.resync.primed(namespace)
        async for _ in self._informers.watch_stores(namespace):
            self._engine.resync.ask(namespace)

    async def _watch_secrets(self, namespace: str) -> None:
        await self._engine.resync.primed(namespace)  # so that the first list has the Secrets of policies and stores
        async for _ in self._informers.watch_secrets(namespace):
            self._engine.resync.ask(namespace)

    async def _watch_certificates(self, namespace: str) -> None:
        await self._engine.resync.primed(namespace)
        async for _ in self._informers.watch_certificates(namespace):
            self._engine.resync.ask(namespace)

    async def _watch_renewals(self, namespace: str) -> None:
        await self._engine.resync.primed(namespace)
        async for _ in self._informers.watch_renewals(namespace):
            self._engine.resync.ask(namespace)

    async def _watch_revocations(self, namespace: str) -> None:
        await self._engine.resync.primed(namespace)
        async for _ in self._informers.watch_revocations(namespace):
            self._engine.resync.ask(namespace)

    def _listen_for_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)

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
