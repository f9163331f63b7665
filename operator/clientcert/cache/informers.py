"""Passes the changes from the watches of ClientCertificates and of Secrets to the cache."""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cache.decoding import key_of
from clientcert.cache.object_cache import ObjectCache
from clientcert.errors import where
from clientcert.kube.client import KubeClient
from clientcert.kube.list_watch import Applied, Change, Deleted, Listed, ListWatch, Returned
from clientcert.loop_budget import LoopBudget

logger = logging.getLogger(__name__)


def certificate_watch(client: KubeClient, namespace: str, loop_budget: LoopBudget) -> ListWatch:
    """A watch of the ClientCertificates in a namespace, or in all (empty)."""
    return ListWatch(client, CLIENT_CERTIFICATE.collection(namespace), loop_budget)


def secret_watch(client: KubeClient, namespace: str, loop_budget: LoopBudget) -> ListWatch:
    """A watch of the Secrets in a namespace, or in all (empty): only their metadata, never their content."""
    path = f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"
    return ListWatch(client, path, loop_budget, metadata_only=True)


class Informers:
    """The watches of each served namespace; a single empty name: all."""

    def __init__(
        self, cache: ObjectCache, certificates: Mapping[str, ListWatch], secrets: Mapping[str, ListWatch]
    ) -> None:
        self.namespaces = tuple(secrets)
        self._cache = cache
        self._certificates = certificates
        self._secrets = secrets

    def are_established(self, namespaces: Iterable[str]) -> bool:
        """True if all watches of these namespaces are established, and have delivered the initial objects."""
        return all(
            watches[namespace].established.is_set()
            for watches in (self._certificates, self._secrets)
            for namespace in namespaces
        )

    async def watch_certificates(self, namespace: str) -> AsyncIterator[Returned]:
        """Take over changes for ever; yields each time the watch is re-established after an interruption.

        The versions of Secrets are listed first, so that no certificate is read twice at the start.
        """
        await self._secrets[namespace].attempted.wait()
        async for returned in self._inform(self._certificates[namespace], self._take_over_certificate):
            yield returned

    async def watch_secrets(self, namespace: str) -> AsyncIterator[Returned]:
        """Do the same for Secrets."""
        take_over = partial(self._take_over_secret, namespace)
        async for returned in self._inform(self._secrets[namespace], take_over):
            yield returned

    async def compare_secrets(self, namespace: str) -> None:
        """List the Secrets once, and take over each; raises KubeError."""
        watch = self._secrets[namespace]
        async for change in watch.list():
            _hand_over(watch, partial(self._take_over_secret, namespace), change)

    async def _inform(self, watch: ListWatch, take_over: Callable[[Change], None]) -> AsyncIterator[Returned]:
        async for change in watch.changes():
            if isinstance(change, Returned):
                yield change
            else:
                _hand_over(watch, take_over, change)

    def _take_over_certificate(self, change: Change) -> None:
        if isinstance(change, Applied):
            self._cache.upsert_certificate(change.item)
        elif isinstance(change, Deleted):
            self._cache.remove_certificate(key_of(change.item), change.item["metadata"]["uid"])

    def _take_over_secret(self, namespace: str, change: Change) -> None:
        """Pass a change of a Secret to the cache; after a list, also the Secrets that are needed but missing."""
        if isinstance(change, Listed):
            for missing in self._cache.secrets_wanted(namespace) - change.present:
                self._cache.secret_changed(*missing, "")
        elif isinstance(change, Applied | Deleted):
            metadata = change.item["metadata"]
            version = metadata["resourceVersion"] if isinstance(change, Applied) else ""
            self._cache.secret_changed(metadata["namespace"], metadata["name"], version)


def _hand_over(watch: ListWatch, take_over: Callable[[Change], None], change: Change) -> None:
    """Take over one change. An error about one object must never affect all others."""
    try:
        take_over(change)
    except Exception as error:  # noqa: BLE001
        name = change.item["metadata"].get("name", "") if isinstance(change, Applied | Deleted) else "list"
        logger.error("%s/%s cannot be taken over: unexpected %s", watch.path, name, where(error))  # noqa: TRY400
