"""Compares the cached CertificateRenewals and CertificateRevocations with the API server.

Alerts do not depend on it: where these kinds are not installed or must not be read, only renewals stand still.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from clientcert.api.kinds import CERTIFICATE_RENEWAL, CERTIFICATE_REVOCATION, Kind
from clientcert.cache.renewals import RenewalCache
from clientcert.cache.revocations import RevocationCache
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.lifecycle.spec import ObjectKey

_NO_RENEWALS = frozenset({Reason.NOT_FOUND, Reason.FORBIDDEN})

logger = logging.getLogger(__name__)


class RenewalResync:
    """Lists a namespace, or all (an empty name), and fetches what has changed."""

    def __init__(self, client: KubeClient, renewals: RenewalCache, revocations: RevocationCache) -> None:
        self._client = client
        self._renewals = renewals
        self._revocations = revocations
        self._missing: set[str] = set()

    async def compare(self, namespace: str) -> None:
        """Fetch each object whose version differs from the cached one; remove those that are gone. Raises KubeError."""
        renewals, revocations = self._renewals, self._revocations
        try:
            await self._compare(CERTIFICATE_RENEWAL, namespace, renewals.renewals, renewals.upsert, renewals.remove)
            await self._compare(
                CERTIFICATE_REVOCATION, namespace, revocations.revocations, revocations.upsert, revocations.remove
            )
        except KubeError as error:
            if error.reason not in _NO_RENEWALS:
                raise
            if namespace not in self._missing:
                logger.warning("Nothing is renewed in %s: %s", namespace or "any namespace", error.message)
            self._missing.add(namespace)
        else:
            self._missing.discard(namespace)

    async def _compare(
        self,
        kind: Kind,
        namespace: str,
        known: Mapping[ObjectKey, Any],
        upsert: Callable[[Object], None],
        remove: Callable[[ObjectKey, str], None],
    ) -> None:
        before = {key: each.resource_version for key, each in known.items() if namespace in {"", key.namespace}}
        fetch = partial(self._fetch, kind, known, upsert, remove)
        present: set[ObjectKey] = set()
        async for page in self._client.pages(kind.collection(namespace), metadata_only=True):
            changed = []
            for item in page.items:
                metadata = item["metadata"]
                key = ObjectKey(metadata["namespace"], metadata["name"])
                present.add(key)
                if before.get(key) != metadata["resourceVersion"]:
                    changed.append(key)
            for key in changed:
                await fetch(key)
        for key in before.keys() - present:
            await fetch(key)

    async def _fetch(
        self,
        kind: Kind,
        known: Mapping[ObjectKey, Any],
        upsert: Callable[[Object], None],
        remove: Callable[[ObjectKey, str], None],
        key: ObjectKey,
    ) -> None:
        record = known.get(key)
        try:
            body = await self._client.get(kind.item(*key))
        except KubeError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            if record is not None:
                remove(key, record.uid)  # the watch may have told of a new one meanwhile
            return
        if record is None or key in known:  # it may have told of its deletion, too
            upsert(body)
