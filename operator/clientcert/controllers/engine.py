"""The engine as the outside sees it: what was seen goes in, and it runs."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime

from clientcert.cache.api_recovery import ApiRecovery
from clientcert.cache.client_lists import ClientLists
from clientcert.cache.decoding import Body
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.resync import Resync
from clientcert.controllers.certificate_policy import write_policy_status
from clientcert.controllers.certificate_store import StorePoller
from clientcert.errors import KubeError
from clientcert.kube.client import KubeClient
from clientcert.kube.leader_election import Leadership
from clientcert.lifecycle.spec import ObjectKey
from clientcert.sources.interface import StoreLister
from clientcert.workqueue.scheduler import Scheduler

logger = logging.getLogger(__name__)


class Engine:
    """ObjectCache, scheduler, poller and resync, wired together; made by the composition root."""

    def __init__(
        self,
        store: ObjectCache,
        scheduler: Scheduler,
        poller: StorePoller,
        resync: Resync,
        outage: ApiRecovery,
        lists: StoreLister,
        client_lists: ClientLists,
        leadership: Leadership,
        client: KubeClient,
        clock: Callable[[], datetime],
    ) -> None:
        self.store = store
        self.leadership = leadership
        self.scheduler = scheduler
        self.resync = resync
        self._outage = outage
        self._poller = poller
        self._lists = lists
        self._client_lists = client_lists
        self._client = client
        self._clock = clock
        self._is_beginning = False

    async def run(self, namespaces: Iterable[str], resync_seconds: float) -> None:
        """Compare each of these namespaces now and then, and work whenever this replica leads, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work_while_leading())
            group.create_task(self._outage.run())
            group.create_task(self._client_lists.run())
            for namespace in namespaces:
                group.create_task(self.resync.run(namespace, resync_seconds))

    def standing(self) -> float:
        """For how many seconds nothing has moved that should.

        0 for a replica that does not lead, and for one that asks the API server what its predecessor has left.
        """
        if self._is_beginning or not self.leadership.is_leader:
            return 0.0
        return time.monotonic() - max(self.leadership.since, self.scheduler.last_tick)

    async def take_over(self, namespace: str) -> None:
        """Wait until a namespace's policies and stores are known: its certificates may be judged from then on."""
        await self.resync.prime(namespace)

    async def _work_while_leading(self) -> None:
        """Everything is judged anew at the beginning of a term, and as it is now: another may have led meanwhile."""
        async for lost in self.leadership.terms():
            losing = asyncio.create_task(lost.wait())
            self._is_beginning = True
            working = asyncio.create_task(self.resync.freshen())
            saying = asyncio.create_task(self.resync.say_of_policies())
            try:
                await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
                if lost.is_set():
                    continue
                await working
                self._is_beginning = False
                for key in tuple(self.store.certificates):
                    self.scheduler.wake(key)
                working = asyncio.create_task(self.scheduler.run())
                await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
                self.scheduler.stop()
                await working
            finally:
                self._is_beginning = False
                working.cancel()
                losing.cancel()
                saying.cancel()

    async def repair(self, namespace: str) -> None:
        """Compare all keys of a namespace, until that has succeeded: its watches were away."""
        await self.resync.repair(namespace)

    async def policy_seen(self, body: Body) -> None:
        """A CertificatePolicy is there, or has changed."""
        key = self.store.upsert_policy(body)
        if key is None or not self.leadership.is_leader:
            return
        try:
            await write_policy_status(self.store, self._client, key, self._clock())
        except KubeError as error:
            logger.warning("CertificatePolicy %s: its status cannot be written: %s", key, error.message)

    def policy_deleted(self, key: ObjectKey, uid: str) -> None:
        """A CertificatePolicy is gone."""
        self.store.remove_policy(key, uid)

    def store_seen(self, body: Body) -> None:
        """A CertificateStore is there, or has changed."""
        self.store.upsert_store(body)

    async def store_deleted(self, key: ObjectKey, uid: str) -> None:
        """A CertificateStore is gone."""
        self.store.remove_store(key, uid)
        await self._lists.forget(*key)

    def has_store(self, key: ObjectKey, uid: str) -> bool:
        """Whether that very store is there."""
        record = self.store.stores.get(key)
        return record is not None and record.uid == uid

    async def poll(self, key: ObjectKey) -> None:
        """Poll a store if its time has come, and this replica leads."""
        if self.leadership.is_leader:
            await self._poller.poll_if_due(key)
