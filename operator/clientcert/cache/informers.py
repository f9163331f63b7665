"""Passes the changes from the watches of our kinds and of Secrets to the cache."""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self

from clientcert.api.kinds import KINDS
from clientcert.cache.decoding import key_of
from clientcert.cache.object_cache import ObjectCache
from clientcert.errors import where
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.kube.list_watch import Applied, Change, Deleted, Listed, ListWatch, Returned
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watches:
    """The watches of one namespace, or of all: of Secrets, and of each kind in the order of `KINDS`."""

    secrets: ListWatch
    """Of their metadata only, never of their content."""
    certificates: ListWatch
    policies: ListWatch
    stores: ListWatch
    renewals: ListWatch
    revocations: ListWatch
    """Alerts go on without these two, also where their kinds are not installed; nothing is signed then."""

    @classmethod
    def of(cls, client: KubeClient, namespace: str, cache: ObjectCache, loop_budget: LoopBudget) -> Self:
        """The watches of a namespace, or of all (empty)."""
        wanted = partial(cache.secrets_wanted, namespace)
        secrets = f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"
        return cls(
            ListWatch(client, secrets, loop_budget, wanted=wanted, metadata_only=True),
            *(ListWatch(client, kind.collection(namespace), loop_budget) for kind in KINDS),
        )

    def are_established(self) -> bool:
        """True if all that alerts need are, and have delivered the initial objects."""
        watches = (self.secrets, self.certificates, self.policies, self.stores)
        return all(watch.established.is_set() for watch in watches)


class Informers:
    """The watches of each served namespace; a single empty name: all."""

    def __init__(self, cache: ObjectCache, watches: Mapping[str, Watches], loop_budget: LoopBudget) -> None:
        self.namespaces = tuple(watches)
        self._loop_budget = loop_budget
        self._cache = cache
        self._watches = watches

    def are_established(self, namespaces: Iterable[str]) -> bool:
        """True if all watches of these namespaces are established, and have delivered the initial objects."""
        return all(self._watches[namespace].are_established() for namespace in namespaces)

    async def first_lists(self) -> None:
        """Wait until the certificates of each namespace were listed once, or could not be."""
        for watches in self._watches.values():
            await watches.certificates.attempted.wait()

    def give_up_first_list(self, namespace: str) -> None:
        """The certificates of this namespace cannot be listed at the moment: `first_lists` waits no longer."""
        self._watches[namespace].certificates.give_up_first_list()

    async def watch_certificates(self, namespace: str) -> AsyncIterator[Returned]:
        """Take over changes for ever; yields each time the watch is re-established after an interruption.

        Secrets are listed first: from then on the API server answers reads of them from its cache.
        """
        await self._watches[namespace].secrets.attempted.wait()
        take_over = partial(_take_over, self._cache.upsert_certificate, self._cache.remove_certificate)
        async for returned in self._inform(self._watches[namespace].certificates, take_over):
            yield returned

    async def watch_policies(self, namespace: str) -> AsyncIterator[Returned]:
        """Do the same for CertificatePolicies."""
        take_over = partial(_take_over, self._cache.policies.upsert, self._cache.policies.remove)
        async for returned in self._inform(self._watches[namespace].policies, take_over):
            yield returned

    async def watch_stores(self, namespace: str) -> AsyncIterator[Returned]:
        """Do the same for CertificateStores."""
        take_over = partial(_take_over, self._cache.upsert_store, self._cache.remove_store)
        async for returned in self._inform(self._watches[namespace].stores, take_over):
            yield returned

    async def watch_renewals(self, namespace: str) -> AsyncIterator[Returned]:
        """Do the same for CertificateRenewals."""
        take_over = partial(_take_over, self._cache.renewals.upsert, self._cache.renewals.remove)
        async for returned in self._inform(self._watches[namespace].renewals, take_over):
            yield returned

    async def watch_revocations(self, namespace: str) -> AsyncIterator[Returned]:
        """Do the same for CertificateRevocations."""
        take_over = partial(_take_over, self._cache.revocations.upsert, self._cache.revocations.remove)
        async for returned in self._inform(self._watches[namespace].revocations, take_over):
            yield returned

    def know_certificates(self, namespace: str) -> bool:
        """True if all certificates of this namespace were delivered, and its changes are watched."""
        found = self._watches.get(namespace) or self._watches[""]
        return found.certificates.established.is_set()

    def know_renewals(self, namespace: str) -> bool:
        """True if all its certificates, requests and revocations were delivered: only then anything is signed."""
        found = self._watches.get(namespace) or self._watches[""]
        return all(each.established.is_set() for each in (found.certificates, found.renewals, found.revocations))

    async def watch_secrets(self, namespace: str) -> AsyncIterator[Returned]:
        """Do the same for Secrets."""
        watch = self._watches[namespace].secrets
        async for change in watch.changes():
            if isinstance(change, Returned):
                yield change
            else:
                await self._take_over_secrets(namespace, change)
            del change  # not kept until the next one

    async def compare_secrets(self, namespace: str) -> None:
        """List the Secrets once, and take over each; raises KubeError."""
        async for change in self._watches[namespace].secrets.list():
            await self._take_over_secrets(namespace, change)

    async def doubt_secrets(self, namespace: str) -> None:
        """Have each Secret that is needed read, because no watch reports them any more."""
        await self._reread_secrets(namespace, self._cache.secrets_wanted(namespace))

    async def _inform(self, watch: ListWatch, take_over: Callable[[Change], None]) -> AsyncIterator[Returned]:
        async for change in watch.changes():
            if isinstance(change, Returned):
                yield change
            else:
                _hand_over(watch, take_over, change)
            del change  # not kept until the next one

    async def _take_over_secrets(self, namespace: str, change: Change) -> None:
        """Pass a change to the cache; after a list, also the Secrets that are needed but missing."""
        if isinstance(change, Listed):
            await self._reread_secrets(namespace, change.missing)
        else:
            _hand_over(self._watches[namespace].secrets, self._take_over_secret, change)

    async def _reread_secrets(self, namespace: str, secrets: Iterable[tuple[str, str]]) -> None:
        """Have those read that need these Secrets, as if each were deleted."""
        for secret in secrets:
            await self._loop_budget.yield_if_spent()
            missing = Deleted({"metadata": {"namespace": secret[0], "name": secret[1]}})
            _hand_over(self._watches[namespace].secrets, self._take_over_secret, missing)

    def _take_over_secret(self, change: Change) -> None:
        if isinstance(change, Applied | Deleted):
            metadata = change.item["metadata"]
            version = metadata["resourceVersion"] if isinstance(change, Applied) else ""
            self._cache.secret_changed(metadata["namespace"], metadata["name"], version)


def _take_over(upsert: Callable[[Object], None], remove: Callable[[ObjectKey, str], object], change: Change) -> None:
    """Pass a change of one of our objects to the cache."""
    if isinstance(change, Applied):
        upsert(change.item)
    elif isinstance(change, Deleted):
        remove(key_of(change.item), change.item["metadata"]["uid"])


def _hand_over(watch: ListWatch, take_over: Callable[[Change], None], change: Change) -> None:
    """Take over one change. An error about one object must never affect all others."""
    try:
        take_over(change)
    except Exception as error:  # noqa: BLE001
        name = change.item["metadata"].get("name", "") if isinstance(change, Applied | Deleted) else "list"
        logger.error("%s/%s cannot be taken over: unexpected %s", watch.path, name, where(error))  # noqa: TRY400
