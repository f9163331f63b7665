"""Compares what is remembered with what the API server has: at the start, and every ten minutes.

A watch that lost an event, or was away while an object was deleted, is repaired here (faults.md, row 6).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime

from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_STORE, CLIENT_CERTIFICATE, Kind
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient, Object
from clientcert.kube.lease import Leads
from clientcert.lifecycle.declaration import ObjectKey
from clientcert.reconcile.policies import write_policy_status
from clientcert.reconcile.store import Store

_WAIT_FOR_CRDS_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Resync:
    """The API server's lists, and what follows from them. `namespaces` empty: all."""

    def __init__(
        self,
        store: Store,
        client: KubeClient,
        namespaces: tuple[str, ...],
        leadership: Leads,
        clock: Callable[[], datetime],
    ) -> None:
        self._leadership = leadership
        self._store = store
        self._client = client
        self._scopes = namespaces or ("",)
        self._clock = clock

    async def prime(self) -> int:
        """Take over all policies and stores, so that no certificate is judged without them.

        Waits for the CRDs if they are not there yet. Returns how many ClientCertificates there are.
        """
        while True:
            try:
                await self._policies_and_stores()
                return await self._count()
            except KubeError as error:
                words = "the CRDs are not there yet: apply crds/" if error.reason is Reason.NOT_FOUND else error.message
                logger.warning("Waiting for the API server: %s", words)
                await asyncio.sleep(error.retry_after or _WAIT_FOR_CRDS_SECONDS)

    async def run(self, every_seconds: float) -> None:
        """Compare for ever."""
        while True:
            await asyncio.sleep(every_seconds)
            await self.compare()

    async def compare(self) -> None:
        """Compare once; what the API server does not answer now is left to the next time."""
        try:
            await self._policies_and_stores()
            await self._certificates()
        except KubeError as error:
            logger.warning("Resync: %s", error.message)

    async def _certificates(self) -> None:
        """Fetch each ClientCertificate whose version is not the one we know; forget those that are gone."""
        known = set(self._store.certificates)
        present: set[ObjectKey] = set()
        async for metadata in self._metadata():
            key = ObjectKey(metadata["namespace"], metadata["name"])
            present.add(key)
            record = self._store.certificates.get(key)
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

    async def _policies_and_stores(self) -> None:
        policies = [body async for body in self._bodies(CERTIFICATE_POLICY)]
        for body in policies:
            self._store.upsert_policy(body)
        for key in set(self._store.policies) - set(_keys(policies)):
            self._store.remove_policy(key)
        stores = [body async for body in self._bodies(CERTIFICATE_STORE)]
        for body in stores:
            self._store.upsert_store(body)
        for key in set(self._store.stores) - set(_keys(stores)):
            self._store.remove_store(key)
        for key in tuple(self._store.policies) if self._leadership.is_leader else ():
            await write_policy_status(self._store, self._client, key, self._clock())

    async def _bodies(self, kind: Kind) -> AsyncIterator[Object]:
        for scope in self._scopes:
            async for page in self._client.pages(kind.collection(scope)):
                for body in page["items"]:
                    yield body

    async def _metadata(self) -> AsyncIterator[Object]:
        for scope in self._scopes:
            async for page in self._client.pages(CLIENT_CERTIFICATE.collection(scope), metadata_only=True):
                for item in page["items"]:
                    yield item["metadata"]
                await asyncio.sleep(0)

    async def _count(self) -> int:
        total = 0
        for scope in self._scopes:
            page = await self._client.get(f"{CLIENT_CERTIFICATE.collection(scope)}?limit=1")
            total += len(page["items"]) + page["metadata"].get("remainingItemCount", 0)
        return total


def _keys(bodies: Iterable[Object]) -> list[ObjectKey]:
    return [ObjectKey(body["metadata"]["namespace"], body["metadata"]["name"]) for body in bodies]
