"""Creates and deletes ClientCertificates while no other replica can lead."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.api.manifests import Manifest
from clientcert.controllers.store_discovery.decisions import FIELD_MANAGER
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.lifecycle.spec import ObjectKey

WRITE_SECONDS = 15.0
"""The longest time of a write, and of the wait for its turn."""


class FencedWriter:
    """Every method raises KubeError."""

    def __init__(self, client: KubeClient, allows: Callable[[float], bool]) -> None:
        """`allows` is that of the Leadership."""
        self._client = client
        self._allows = allows

    async def create(self, manifest: Manifest) -> Object:
        """Create it; Reason.CONFLICT if the name is taken."""
        path = CLIENT_CERTIFICATE.collection(manifest["metadata"]["namespace"])
        async with self._fence():
            return await self._client.create(f"{path}?fieldManager={FIELD_MANAGER}", manifest)

    async def get(self, key: ObjectKey) -> tuple[Object, frozenset[str]]:
        """The object as it is now, and the field managers that have written it."""
        return await self._client.get_with_managers(CLIENT_CERTIFICATE.item(*key))

    async def delete(self, key: ObjectKey, uid: str, resource_version: str) -> None:
        """Delete this version of it; Reason.CONFLICT if it has changed."""
        async with self._fence():
            await self._client.delete(CLIENT_CERTIFICATE.item(*key), uid, resource_version)

    @asynccontextmanager
    async def _fence(self) -> AsyncIterator[None]:
        if not self._allows(WRITE_SECONDS):
            raise KubeError(Reason.API_UNAVAILABLE, "another replica may lead before the write ends", retryable=True)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                yield
        except TimeoutError:
            raise KubeError(Reason.API_UNAVAILABLE, "the write has taken too long", retryable=True) from None
