"""The engine: workers that reconcile while this replica holds the Lease, and the comparisons with the API server."""

import asyncio
import time
from collections.abc import Iterable

from clientcert.cache.client_lists import ClientLists
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.resync import Resync
from clientcert.controllers.certificate_store import StorePoller
from clientcert.controllers.recovery import Recovery
from clientcert.controllers.workers import Workers
from clientcert.kube.client import KubeClient
from clientcert.kube.leadership import Leadership
from clientcert.workqueue.work_queue import WorkQueue


class Engine:
    """Everything that runs except the watches."""

    def __init__(
        self,
        cache: ObjectCache,
        queue: WorkQueue,
        workers: Workers,
        poller: StorePoller,
        resync: Resync,
        recovery: Recovery,
        client_lists: ClientLists,
        leadership: Leadership,
        client: KubeClient,
    ) -> None:
        self.cache = cache
        self.workers = workers
        self.resync = resync
        self.leadership = leadership
        self._queue = queue
        self._poller = poller
        self._recovery = recovery
        self._client_lists = client_lists
        self._client = client
        self._begins_term = False

    @property
    def depth(self) -> int:
        """Items that wait for a worker or have one."""
        return self._queue.depth

    async def run(self, namespaces: Iterable[str], resync_seconds: float) -> None:
        """Compare these namespaces regularly, and reconcile while this replica is the leader, until cancelled."""
        served = tuple(namespaces)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work_while_leading())
            group.create_task(self._recovery.watch_outages(self._client, self.resync, served[0]))
            group.create_task(self._recovery.watch_resync(self.resync))
            group.create_task(self._client_lists.run())
            group.create_task(self._poller.run(lambda: self.leadership.is_leader))
            for namespace in served:
                group.create_task(self.resync.run(namespace, resync_seconds))

    def stalled_seconds(self) -> float:
        """The seconds since the last sign of progress of the workers.

        0 for a replica that is not the leader, and for one that still reads its predecessor's writes.
        """
        if self._begins_term or not self.leadership.is_leader:
            return 0.0
        return time.monotonic() - max(self.leadership.since, self.workers.last_tick)

    async def take_over(self, namespace: str) -> None:
        """Wait until a namespace's policies and stores are known: its certificates may be evaluated from then on."""
        await self.resync.prime(namespace)

    async def _work_while_leading(self) -> None:
        """Begin every term with the current state of all objects: another replica may have led meanwhile."""
        async for lost in self.leadership.terms():
            losing = asyncio.create_task(lost.wait())
            self._begins_term = True
            working = asyncio.create_task(self.resync.freshen())
            try:
                await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
                if lost.is_set():
                    continue
                await working
                self._begins_term = False
                self.workers.begin_term()
                working = asyncio.create_task(self.workers.run())
                await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
                self.workers.stop()
                await working
            finally:
                self._begins_term = False
                working.cancel()
                losing.cancel()
