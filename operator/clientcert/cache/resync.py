"""Compares the cache with the API server: at the start, every ten minutes, and after an outage.

While many items are due, the comparison that comes every ten minutes waits for up to ten minutes more: its lists would
take the time of the API server from the calls that wait.

This repairs the cache after a watch has lost an event, or was interrupted while an object was deleted (faults.md, row
6). Each namespace is compared separately: rights to one may be revoked while those to the others stay (row 9).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass

from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_STORE, CLIENT_CERTIFICATE, Kind
from clientcert.backoff import Backoff
from clientcert.cache.comparison import CachedKind, Comparison
from clientcert.cache.decoding import key_of
from clientcert.cache.informers import Informers
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.renewal_resync import RenewalResync
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics
from clientcert.workqueue.work_queue import WorkQueue

_RETRY = Backoff(1.0, 30.0)
_MANY = 1_000
"""Items in the work queue."""
_LOOK_SECONDS = 5.0
_FIRST_LISTS_SECONDS = 300.0
_FRESHEN_SECONDS = 20.0
_FRESHEN_SECONDS_PER_CERTIFICATE = 0.001
_FRESHEN_RETRY_SECONDS = 1.0
ALL = "*"
"""All namespaces, in metrics and logs."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The lists of a namespace succeed again; they had failed before, or were refused."""

    namespace: str
    refused: bool


class Resync:
    """Lists each namespace, or all (an empty name), and updates the cache from the answers."""

    def __init__(
        self, cache: ObjectCache, client: KubeClient, informers: Informers, queue: WorkQueue, metrics: Metrics
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._policies = policies = cache.policies
        upsert, remove = cache.upsert_certificate, cache.remove_certificate
        self._certificates = Comparison(client, CachedKind(CLIENT_CERTIFICATE, cache.certificates, upsert, remove))
        self._taken_over = (
            CachedKind(CERTIFICATE_POLICY, policies.policies, policies.upsert, policies.remove),
            CachedKind(CERTIFICATE_STORE, cache.stores, cache.upsert_store, cache.remove_store),
        )
        """Kinds whose objects are few: they are listed whole."""
        self._renewals = RenewalResync(client, cache.renewals, cache.revocations)
        self._client = client
        self._informers = informers
        self._metrics = metrics
        self._primed = {namespace: asyncio.Event() for namespace in informers.namespaces}
        self._asked = {namespace: asyncio.Event() for namespace in informers.namespaces}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        """By namespace: the time, on the loop's clock, before which the API server asked for no further call."""
        self._recovered: asyncio.Queue[Recovered] = asyncio.Queue()
        self._refused: set[str] = set()

    @property
    def refused(self) -> frozenset[str]:
        """The namespaces whose objects or Secrets the operator may not list at the moment."""
        return frozenset(self._refused)

    async def recoveries(self) -> AsyncIterator[Recovered]:
        """Yield each time that lists succeed again after a failure."""
        while True:
            yield await self._recovered.get()

    async def prime(self, namespace: str) -> None:
        """Take over all policies and stores, so that no certificate is evaluated without them.

        Waits for the CRDs if they are not installed yet.
        """
        while True:
            try:
                await self._policies_and_stores(namespace)
            except KubeError as error:
                self._informers.give_up_first_list(namespace)
                await asyncio.sleep(self._failed(namespace, error))
            else:
                self._answered(namespace)
                self._primed[namespace].set()
                return

    async def primed(self, namespace: str) -> None:
        """Wait until `prime` has succeeded for the namespace."""
        await self._primed[namespace].wait()

    async def run(self, namespace: str, every_seconds: float) -> None:
        """Compare for ever; sooner than usual after `ask`, or after a failed comparison."""
        await self.primed(namespace)
        delay = every_seconds
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked[namespace].wait(), delay)
            if namespace not in self._failures:
                await self._put_off(namespace, every_seconds)
            self._asked[namespace].clear()
            failed = await self._compare(namespace)
            delay = every_seconds if failed is None else min(failed, every_seconds)

    async def _put_off(self, namespace: str, most_seconds: float) -> None:
        """Wait while many items are due, and nobody asks for a comparison.

        Policies are enqueued at the usual time all the same: their reconciler proves the admission policies again.
        """
        loop, asked = asyncio.get_running_loop(), self._asked[namespace]
        ends = loop.time() + most_seconds
        if self._queue.depth > _MANY:
            self._policies.enqueue_all(namespace)
        while self._queue.depth > _MANY and not asked.is_set() and loop.time() < ends:
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), min(_LOOK_SECONDS, most_seconds))

    async def repair(self, namespace: str) -> None:
        """Compare until one comparison has succeeded."""
        while (delay := await self._compare(namespace)) is not None:  # noqa: ASYNC110 - each try returns the delay
            await asyncio.sleep(delay)

    def ask(self, namespace: str) -> None:
        """Compare soon, because a watch was interrupted, perhaps by an outage of the API server."""
        self._failures.setdefault(namespace, 1)
        self._asked[namespace].set()

    async def freshen(self) -> None:
        """Take over the statuses that other replicas have written, so that a new leader does not repeat messages.

        The watches deliver them as well, but perhaps later, if they were just interrupted. After a time limit the term
        begins without the rest: a repeated message is better than none.

        The first lists of certificates come before the term as well. Beside busy workers a list of 100,000 takes
        minutes; the API server has forgotten its version by then, and no watch can go on from it.
        """
        was_begun = bool(self._cache.certificates)  # else the first list is newer than all that others have written
        try:
            async with asyncio.timeout(_FIRST_LISTS_SECONDS):
                await self._informers.first_lists()
        except TimeoutError:
            logger.warning(
                "Certificates could not be listed in %.0f s: work begins with those known", _FIRST_LISTS_SECONDS
            )
        seconds = _FRESHEN_SECONDS + _FRESHEN_SECONDS_PER_CERTIFICATE * len(self._cache.certificates)
        try:
            async with asyncio.timeout(seconds):
                namespaces = self._informers.namespaces
                await asyncio.gather(*(self._freshen(each, certificates=was_begun) for each in namespaces))
        except TimeoutError:
            logger.warning("The writes of other replicas could not be listed in %.0f s", seconds)

    async def _freshen(self, namespace: str, *, certificates: bool) -> None:
        while self._primed[namespace].is_set():
            try:
                async for body in self._bodies(CERTIFICATE_POLICY, namespace):
                    self._policies.upsert(body)  # with the records of its last digests
                if certificates:
                    await self._certificates.compare(namespace, only_known=True)
                await self._renewals.compare(namespace)
                return
            except KubeError as error:
                if error.reason is Reason.FORBIDDEN:
                    return  # no status could be written there either
                logger.warning("The writes of other replicas cannot be listed: %s", error.message)
                await asyncio.sleep(error.retry_after or _FRESHEN_RETRY_SECONDS)

    async def _compare(self, namespace: str) -> float | None:
        """Compare once; returns None, or the seconds until the next try if the API server did not answer all of it."""
        await asyncio.sleep(self._not_before.pop(namespace, 0.0) - asyncio.get_running_loop().time())
        try:
            await self._policies_and_stores(namespace)
            await self._certificates.compare(namespace)
            await self._secrets(namespace)
            await self._renewals.compare(namespace)
            self._policies.enqueue_all(namespace)
        except KubeError as error:
            return self._failed(namespace, error)
        self._answered(namespace)
        return None

    def _failed(self, namespace: str, error: KubeError) -> float:
        """Log and count the failure; returns the seconds until the next try."""
        failures = self._failures[namespace] = self._failures.get(namespace, 0) + 1
        self._metrics.namespaces_up.labels(namespace or ALL).set(0)
        words = error.message
        if error.reason is Reason.NOT_FOUND:
            words = "the CRDs are not there yet: apply crds/"
        if error.reason is Reason.FORBIDDEN:
            self._refused.add(namespace)
            words = f"{words}: give the operator's ServiceAccount its rights there, or serve it no longer (--namespace)"
        logger.warning("Namespace %s cannot be compared with the API server: %s", namespace or ALL, words)
        if error.retry_after:
            self._not_before[namespace] = asyncio.get_running_loop().time() + error.retry_after
        return error.retry_after or _RETRY.delay(failures)

    def _answered(self, namespace: str) -> None:
        """Note the success; after a failure, have all reads and writes that failed meanwhile retried at once."""
        self._metrics.namespaces_up.labels(namespace or ALL).set(1)
        refused = namespace in self._refused
        self._refused.discard(namespace)
        if self._failures.pop(namespace, 0):
            logger.info("Namespace %s is compared with the API server again", namespace or ALL)
            self._recovered.put_nowait(Recovered(namespace, refused))

    async def _secrets(self, namespace: str) -> None:
        try:
            await self._informers.compare_secrets(namespace)
        except KubeError as error:
            if error.reason is Reason.FORBIDDEN and namespace not in self._refused:
                await self._informers.doubt_secrets(namespace)  # so that a condition reports the refusal
            raise

    async def _policies_and_stores(self, namespace: str) -> None:
        for cached in self._taken_over:
            await self._take_over_list(cached, namespace)

    async def _take_over_list(self, cached: CachedKind, namespace: str) -> None:
        """Take over those that are listed, and remove the others, as they were known before: a watch may be ahead."""
        known = cached.known
        unlisted = {key: known[key].uid for key in _within(namespace, known)}
        async for body in self._bodies(cached.kind, namespace):
            if unlisted.pop(key_of(body), None) is None or key_of(body) in known:
                cached.upsert(body)
        for key, uid in unlisted.items():
            cached.remove(key, uid)

    async def _bodies(self, kind: Kind, namespace: str) -> AsyncIterator[Object]:
        async for page in self._client.pages(kind.collection(namespace)):
            for body in page.items:
                yield body

    async def count(self, namespace: str) -> int:
        """The number of ClientCertificates; raises KubeError."""
        page = await self._client.get(f"{CLIENT_CERTIFICATE.collection(namespace)}?limit=1")
        count: int = len(page["items"]) + page["metadata"].get("remainingItemCount", 0)
        return count


def _within(namespace: str, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
    return {key for key in keys if key.namespace == namespace} if namespace else set(keys)
