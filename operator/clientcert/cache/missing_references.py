"""What a certificate names and no watch has told of yet is asked for.

Each kind has a watch of its own, and none waits for another. Else whoever applies a policy or a store together with
its certificates would now and then be alerted by the defaults, or of a store that is missing.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_STORE, Kind
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.controllers.certificate_policy import write_policy_status
from clientcert.errors import KubeError
from clientcert.kube.client import KubeClient, Object
from clientcert.lifecycle.spec import ObjectKey, S3Source

logger = logging.getLogger(__name__)


class MissingReferences:
    """Asks the API server once for each generation of a certificate's spec."""

    def __init__(self, store: ObjectCache, client: KubeClient, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._client = client
        self._clock = clock

    async def fetch(self, record: CertificateRecord) -> None:
        """Take over the policy and the store that the certificate names, if they are there after all.

        What the API server does not answer is left to the watch, and to the next look: nobody is silent for it.
        """
        declaration = record.declaration
        if declaration is None or record.sought == record.generation:
            return
        namespace, source = record.key.namespace, declaration.source
        try:
            if declaration.policy:
                await self._policy(ObjectKey(namespace, declaration.policy))
            if isinstance(source, S3Source):
                await self._bucket(ObjectKey(namespace, source.store))
        except KubeError as error:
            logger.warning("%s: what it refers to cannot be looked up: %s", record.key, error.message)
            return
        record.sought = record.generation

    async def _policy(self, key: ObjectKey) -> None:
        if key in self._store.policies:
            return
        for body in await self._named(CERTIFICATE_POLICY, key):
            self._store.upsert_policy(body)
            await write_policy_status(self._store, self._client, key, self._clock())

    async def _bucket(self, key: ObjectKey) -> None:
        if key in self._store.stores:
            return
        for body in await self._named(CERTIFICATE_STORE, key):
            self._store.upsert_store(body)

    async def _named(self, kind: Kind, key: ObjectKey) -> list[Object]:
        """None or one."""
        found: list[Object] = (await self._client.get(kind.named(*key)))["items"]
        return found
