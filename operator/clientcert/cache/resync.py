"""Compares what is remembered with what the API server has: at the start, every ten minutes, and after an outage.

A watch that lost an event, or was away while an object was deleted, is repaired here (faults.md, row 6). Each
namespace is compared apart from the others: rights to one may be taken while those to the others stay (row 9).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_STORE, CLIENT_CERTIFICATE, Kind
from clientcert.cache.object_cache import ObjectCache
from clientcert.controllers.certificate_policy import write_policy_status
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient, Object
from clientcert.kube.leader_election import Leadership
from clientcert.kube.list_watch import Watch
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics

_SLOWEST_RETRY_SECONDS = 30.0
_FRESHEN_SECONDS = 20.0
_FRESHEN_RETRY_SECONDS = 1.0
ALL = "*"
"""In metrics and logs: all namespaces."""

logger = logging.getLogger(__name__)


class TryAgain(Protocol):
    """Has what failed in a namespace tried at once."""

    def __call__(self, namespace: str, *, refused: bool) -> None:
        """What was not answered; with `refused` also what was refused."""


class Resync:
    """The API server's lists of each namespace, or of all (an empty name), and what follows from them."""

    def __init__(
        self,
        store: ObjectCache,
        client: KubeClient,
        secrets: Mapping[str, Watch],
        try_again: "TryAgain",
        leadership: Leadership,
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        """`secrets` has a watch for each namespace that is served; an empty name alone: all.

        `try_again` is called with a namespace whose lists had failed, or were `refused`, when they are answered again.
        """
        self._store = store
        self._try_again = try_again
        self._client = client
        self._watches = secrets
        self._leadership = leadership
        self._clock = clock
        self._metrics = metrics
        self._primed = {namespace: asyncio.Event() for namespace in secrets}
        self._asked = {namespace: asyncio.Event() for namespace in secrets}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        """On the loop's clock: so long the API server has asked to wait."""
        self.refused: set[str] = set()
        """The namespaces whose objects or Secrets the operator may not list just now."""

    async def prime(self, namespace: str) -> None:
        """Take over all policies and stores, so that no certificate is judged without them.

        Waits for the CRDs if they are not there yet.
        """
        while True:
            try:
                await self._policies_and_stores(namespace)
            except KubeError as error:
                await asyncio.sleep(self._failed(namespace, error))
            else:
                self._answered(namespace)
                self._primed[namespace].set()
                return

    async def primed(self, namespace: str) -> None:
        """Wait until that was done."""
        await self._primed[namespace].wait()

    async def run(self, namespace: str, every_seconds: float) -> None:
        """Compare for ever; sooner than usual when asked to, or after a comparison that failed."""
        await self.primed(namespace)
        delay = every_seconds
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked[namespace].wait(), delay)
            self._asked[namespace].clear()
            failed = await self._compare(namespace)
            delay = every_seconds if failed is None else min(failed, every_seconds)

    async def repair(self, namespace: str) -> None:
        """Compare until that has succeeded once."""
        while (delay := await self._compare(namespace)) is not None:  # noqa: ASYNC110 - each try says how long
            await asyncio.sleep(delay)

    def ask(self, namespace: str) -> None:
        """Compare soon: a watch was away, and so may have been the API server."""
        self._failures.setdefault(namespace, 1)
        self._asked[namespace].set()

    async def freshen(self) -> None:
        """Take over what others have written of all that is known: whoever leads from now on must not repeat it.

        The watches tell of it as well, but nobody knows when: they may just have been away. What cannot be had in time
        is done without: a message that comes twice is better than none.
        """
        try:
            async with asyncio.timeout(_FRESHEN_SECONDS):
                await asyncio.gather(*(self._freshen(namespace) for namespace in self._watches))
        except TimeoutError:
            logger.warning("What others have written could not be listed in %.0f s", _FRESHEN_SECONDS)

    async def _freshen(self, namespace: str) -> None:
        while self._primed[namespace].is_set():
            try:
                for body in [each async for each in self._bodies(CERTIFICATE_POLICY, namespace)]:
                    self._store.upsert_policy(body)  # with what its last digests have told
                await self._certificates(namespace, only_known=True)
                return
            except KubeError as error:
                if error.reason is Reason.FORBIDDEN:
                    return  # nor could anything be recorded there
                logger.warning("What others have written cannot be listed: %s", error.message)
                await asyncio.sleep(error.retry_after or _FRESHEN_RETRY_SECONDS)

    async def _compare(self, namespace: str) -> float | None:
        """None; or, if the API server did not answer all of it, the seconds until it should be asked again."""
        await asyncio.sleep(self._not_before.pop(namespace, 0.0) - asyncio.get_running_loop().time())
        try:
            await self._policies_and_stores(namespace)
            await self._certificates(namespace)
            await self._secrets(namespace)
        except KubeError as error:
            return self._failed(namespace, error)
        self._answered(namespace)
        return None

    def _failed(self, namespace: str, error: KubeError) -> float:
        """Say so; returns the seconds until the next try."""
        failures = self._failures[namespace] = self._failures.get(namespace, 0) + 1
        self._metrics.namespaces_up.labels(namespace or ALL).set(0)
        words = error.message
        if error.reason is Reason.NOT_FOUND:
            words = "the CRDs are not there yet: apply crds/"
        if error.reason is Reason.FORBIDDEN:
            self.refused.add(namespace)
            words = f"{words}: give the operator's ServiceAccount its rights there, or serve it no longer (--namespace)"
        logger.warning("Namespace %s cannot be compared with the API server: %s", namespace or ALL, words)
        if error.retry_after:
            self._not_before[namespace] = asyncio.get_running_loop().time() + error.retry_after
        return error.retry_after or min(2.0 ** min(failures - 1, 10), _SLOWEST_RETRY_SECONDS)

    def _answered(self, namespace: str) -> None:
        """What could not be written or read while the API server did not answer is tried again at once."""
        self._metrics.namespaces_up.labels(namespace or ALL).set(1)
        refused = namespace in self.refused
        self.refused.discard(namespace)
        if self._failures.pop(namespace, 0):
            logger.info("Namespace %s is compared with the API server again", namespace or ALL)
            self._try_again(namespace, refused=refused)

    async def _secrets(self, namespace: str) -> None:
        try:
            await self._watches[namespace].compare()
        except KubeError as error:
            if error.reason is Reason.FORBIDDEN and namespace not in self.refused:
                # No watch tells of them any more: each that is needed is asked for, and says so in its condition.
                for wanted in self._store.secrets_wanted(namespace):
                    self._store.secret_changed(*wanted, "")
            raise

    async def _certificates(self, namespace: str, *, only_known: bool = False) -> None:
        """Fetch each ClientCertificate whose version is not the one we know; forget those that are gone.

        With `only_known` those that nobody has told of yet are left to whoever does.
        """
        known = _within(namespace, self._store.certificates)
        present: set[ObjectKey] = set()
        async for metadata in self._metadata(namespace):
            key = ObjectKey(metadata["namespace"], metadata["name"])
            present.add(key)
            record = self._store.certificates.get(key)
            if record is None and only_known:
                continue
            if record is None or record.resource_version != metadata["resourceVersion"]:
                await self._fetch(key)
        for key in known - present:
            # It may have been made after its page was listed: only a look at itself is proof.
            await self._fetch(key)

    async def _fetch(self, key: ObjectKey) -> None:
        try:
            self._store.upsert_certificate(await self._client.get(CLIENT_CERTIFICATE.item(*key)))
        except KubeError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            self._store.remove_certificate(key)

    async def _policies_and_stores(self, namespace: str) -> None:
        policies = [body async for body in self._bodies(CERTIFICATE_POLICY, namespace)]
        for body in policies:
            self._store.upsert_policy(body)
        for key in _within(namespace, self._store.policies) - _keys(policies):
            self._store.remove_policy(key)
        stores = [body async for body in self._bodies(CERTIFICATE_STORE, namespace)]
        for body in stores:
            self._store.upsert_store(body)
        for key in _within(namespace, self._store.stores) - _keys(stores):
            self._store.remove_store(key)
        await self._policy_statuses(namespace)

    async def say_of_policies(self) -> None:
        """Write what is to be said of all policies: those that were taken over before the term began were left out."""
        for namespace in self._watches:
            try:
                await self._policy_statuses(namespace)
            except KubeError as error:
                logger.warning("The statuses of policies are left to the next comparison: %s", error.message)

    async def _policy_statuses(self, namespace: str) -> None:
        for key in _within(namespace, self._store.policies) if self._leadership.is_leader else ():
            await write_policy_status(self._store, self._client, key, self._clock())

    async def _bodies(self, kind: Kind, namespace: str) -> AsyncIterator[Object]:
        async for page in self._client.pages(kind.collection(namespace)):
            for body in page["items"]:
                yield body

    async def _metadata(self, namespace: str) -> AsyncIterator[Object]:
        async for page in self._client.pages(CLIENT_CERTIFICATE.collection(namespace), metadata_only=True):
            for item in page["items"]:
                yield item["metadata"]
            await asyncio.sleep(0)

    async def count(self, namespace: str) -> int:
        """How many ClientCertificates there are; raises KubeError."""
        page = await self._client.get(f"{CLIENT_CERTIFICATE.collection(namespace)}?limit=1")
        count: int = len(page["items"]) + page["metadata"].get("remainingItemCount", 0)
        return count


def _within(namespace: str, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
    return {key for key in keys if namespace in {"", key.namespace}}


def _keys(bodies: Iterable[Object]) -> set[ObjectKey]:
    return {ObjectKey(body["metadata"]["namespace"], body["metadata"]["name"]) for body in bodies}
