"""Compares the cached CertificateRenewals and CertificateRevocations with the API server.

Alerts do not depend on it: where these kinds are not installed or must not be read, only renewals stand still.
"""

import logging

from clientcert.api.kinds import CERTIFICATE_RENEWAL, CERTIFICATE_REVOCATION
from clientcert.cache.comparison import CachedKind, Comparison
from clientcert.cache.renewals import RenewalCache
from clientcert.cache.revocations import RevocationCache
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient

_NO_RENEWALS = frozenset({Reason.NOT_FOUND, Reason.FORBIDDEN})

logger = logging.getLogger(__name__)


class RenewalResync:
    """Lists a namespace, or all (an empty name), and fetches what has changed."""

    def __init__(self, client: KubeClient, renewals: RenewalCache, revocations: RevocationCache) -> None:
        both = (
            CachedKind(CERTIFICATE_RENEWAL, renewals.renewals, renewals.upsert, renewals.remove),
            CachedKind(CERTIFICATE_REVOCATION, revocations.revocations, revocations.upsert, revocations.remove),
        )
        self._comparisons = tuple(Comparison(client, each) for each in both)
        self._missing: set[str] = set()

    async def compare(self, namespace: str) -> None:
        """Compare both kinds in a namespace, or in all (an empty name). Raises KubeError."""
        try:
            for comparison in self._comparisons:
                await comparison.compare(namespace)
        except KubeError as error:
            if error.reason not in _NO_RENEWALS:
                raise
            if namespace not in self._missing:
                logger.warning("Nothing is renewed in %s: %s", namespace or "any namespace", error.message)
            self._missing.add(namespace)
        else:
            self._missing.discard(namespace)
