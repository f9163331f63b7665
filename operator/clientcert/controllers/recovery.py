"""Retries at once all work that failed or waits, when the API server answers again or the clock was set.

By then retries have backed off for minutes. Watches do not show a recovery: they may go on while all other calls fail.
"""

import asyncio
from typing import Any

from clientcert.alerting.groups import Groups
from clientcert.alerting.outbox import Outbox
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.backoff import Backoff
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.resync import Resync
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.certificate_store import StorePoller
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.workqueue.work_queue import WorkQueue

_PROBE = Backoff(0.5, 5.0)
_QUIET_SECONDS = 60.0
"""An outage that begins within this time after the last one continues its backoff, so that probes come no faster."""


class Recovery:
    """Detects the end of outages, and enqueues the items that wait for it."""

    def __init__(
        self,
        queue: WorkQueue,
        cache: ObjectCache,
        sources: SourceCache,
        outbox: Outbox,
        renewal_outbox: RenewalOutbox,
        groups: tuple[Groups[Any], ...],
        poller: StorePoller,
    ) -> None:
        """`groups` are those of all kinds."""
        self._queue = queue
        self._cache = cache
        self._sources = sources
        self._outbox = outbox
        self._renewal_outbox = renewal_outbox
        self._groups = groups
        self._poller = poller

    async def watch_outages(self, client: KubeClient, resync: Resync, namespace: str) -> None:
        """Wait for outages of the API server and for their ends, until cancelled.

        One small request about `namespace` (empty: all) is the probe for all waiting items.
        """
        loop, probes, ended = asyncio.get_running_loop(), 0, float("-inf")
        while True:
            await client.outage()
            if loop.time() - ended > _QUIET_SECONDS:
                probes = 0
            asked, answered = 0, False
            while not answered:
                asked, probes = asked + 1, probes + 1
                await asyncio.sleep(_PROBE.delay(probes))
                answered = await _answers(resync, namespace)
            client.outage_is_over()
            ended = loop.time()
            # If the first probe is answered, only a single call had failed, and that one has its own retries.
            if asked > 1:
                self.api_answers("", refused=False)

    async def watch_resync(self, resync: Resync) -> None:
        """Retry the waiting work of a namespace when its lists succeed again, until cancelled."""
        async for recovered in resync.recoveries():
            self.api_answers(recovered.namespace, refused=recovered.refused)

    def api_answers(self, namespace: str, *, refused: bool) -> None:
        """Retry after the API server answers again in a namespace or in all (empty); `refused`: it had refused."""
        reasons = {Reason.SOURCE_UNAVAILABLE} | ({Reason.ACCESS_DENIED} if refused else set())
        unavailable = self._sources.unavailable(frozenset(reasons))
        self._cache.reread_all(key for key in unavailable if namespace in {"", key.namespace})
        failing = [key for key in self._outbox.failing(Reason.API_UNAVAILABLE) if namespace in {"", key.namespace}]
        for key in failing:
            self._outbox.forget_failures(key, Reason.API_UNAVAILABLE)
        self._cache.enqueue_all(failing)
        for groups in self._groups:
            groups.api_answers(namespace)
        self._poller.retry_writes()
        self._queue.enqueue_all(self._queue.failed_items(unanswered=not refused))

    def clock_was_set(self) -> None:
        """Retry or enqueue at once everything that waits for a time."""
        for key in self._outbox.failing():
            self._outbox.forget_failures(key)
        self._renewal_outbox.forget_failures()
        for groups in self._groups:
            groups.retry_now()
        self._sources.retry_now()
        self._poller.poll_all_now()
        self._cache.policies.enqueue_all()
        self._queue.enqueue_all(self._queue.active_items())
        self._queue.enqueue_all(self._queue.scheduled_items())


async def _answers(resync: Resync, namespace: str) -> bool:
    try:
        await resync.count(namespace)
    except KubeError as error:
        return error.reason is not Reason.API_UNAVAILABLE  # a refusal is an answer
    return True
