"""The engine: workers that reconcile while this replica holds the Lease, and the comparisons with the API server."""

import asyncio
import time
from collections.abc import Iterable

from clientcert.cache.client_lists import ClientLists
from clientcert.cache.decoding import Body
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.resync import Resync
from clientcert.controllers.certificate_store import StorePoller
from clientcert.controllers.recovery import Recovery
from clientcert.controllers.workers import Workers
from clientcert.kube.client import KubeClient
from clientcert.kube.leader_election import Leadership
from clientcert.lifecycle.spec import ObjectKey
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

    async def repair(self, namespace: str) -> None:
        """Compare all keys of a namespace until that succeeds, after an interruption of its watches."""
        await self.resync.repair(namespace)

    def policy_seen(self, body: Body) -> None:
        """Take over a new or changed CertificatePolicy."""
        self.cache.upsert_policy(body)

    def policy_deleted(self, key: ObjectKey, uid: str) -> None:
        """Remove a deleted CertificatePolicy."""
        self.cache.remove_policy(key, uid)

    def store_seen(self, body: Body) -> None:
        """Take over a new or changed CertificateStore."""
        self.cache.upsert_store(body)

    async def store_deleted(self, key: ObjectKey, uid: str) -> None:
        """Remove a deleted CertificateStore."""
        self.cache.remove_store(key, uid)
        await self._poller.forget(key)

    def has_store(self, key: ObjectKey, uid: str) -> bool:
        """True if exactly this store (uid) exists."""
        record = self.cache.stores.get(key)
        return record is not None and record.uid == uid

    async def poll(self, key: ObjectKey) -> None:
        """Poll a store if a poll is due and this replica is the leader."""
        if self.leadership.is_leader:
            await self._poller.poll_if_due(key)
