"""Reads the objects that a certificate refers to and that no watch has delivered yet.

Each kind has a watch of its own, and none waits for another. So a policy or a store that is applied together with its
certificates may arrive after them: the alert would follow the defaults, or report that the store is missing.
"""

import logging
from typing import Any

from clientcert.api.kinds import CERTIFICATE_POLICY, CERTIFICATE_STORE, Kind
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.errors import KubeError
from clientcert.kube.client import KubeClient
from clientcert.lifecycle.spec import ObjectKey, S3Source

logger = logging.getLogger(__name__)


class MissingReferences:
    """Reads missing references once for each generation of a certificate's spec."""

    def __init__(self, cache: ObjectCache, client: KubeClient) -> None:
        self._cache = cache
        self._client = client
        self._asked: dict[ObjectKey, tuple[str, int]] = {}
        """Uid and generation of the certificates whose missing references were read."""

    async def fetch(self, record: CertificateRecord) -> None:
        """Take over the policy and the store that the certificate names, if they exist.

        If the API server does not answer, the watch delivers them, or the next reconcile reads them: no alert is
        delayed.
        """
        if self._asked.get(record.key) == (record.uid, record.generation):
            return
        policy, store = self._missing(record)
        try:
            for body in await self._named(CERTIFICATE_POLICY, policy) if policy else ():
                self._cache.policies.upsert(body)
            for body in await self._named(CERTIFICATE_STORE, store) if store else ():
                self._cache.upsert_store(body)
        except KubeError as error:
            logger.warning("%s: the objects that it refers to cannot be looked up: %s", record.key, error.message)
            return
        self._asked[record.key] = (record.uid, record.generation)

    def forget(self, key: ObjectKey) -> None:
        """Drop a certificate that is gone."""
        self._asked.pop(key, None)

    def _missing(self, record: CertificateRecord) -> tuple[ObjectKey | None, ObjectKey | None]:
        """The policy and the store that the spec names and the cache does not contain."""
        namespace, spec = record.key.namespace, record.spec
        policy = ObjectKey(namespace, spec.policy) if spec.policy else None
        store = ObjectKey(namespace, spec.source.store) if isinstance(spec.source, S3Source) else None
        return (
            policy if policy and policy not in self._cache.policies.policies else None,
            store if store and store not in self._cache.stores else None,
        )

    async def _named(self, kind: Kind, key: ObjectKey) -> list[dict[str, Any]]:
        """A list with the object, or an empty list."""
        found: list[dict[str, Any]] = (await self._client.get(kind.named(*key)))["items"]
        return found
