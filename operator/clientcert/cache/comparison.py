"""Compares what is known of the objects of one kind with the API server, to make good for events that were lost."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

from clientcert.api.kinds import Kind
from clientcert.cache.decoding import Versioned, is_newer
from clientcert.errors import KubeError, Reason
from clientcert.garbage_collection import unscanned, unscanned_tuple
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.lifecycle.spec import ObjectKey

_AT_ONCE = 1_000
"""Keys that are looked at in one iteration of the event loop."""


@dataclass(frozen=True, slots=True)
class CachedKind:
    """The objects of one kind in a cache, and how the cache takes over an answer about one of them."""

    kind: Kind
    known: Mapping[ObjectKey, Versioned]
    upsert: Callable[[Object], None]
    remove: Callable[[ObjectKey, str], object]
    """By key and uid."""


class Comparison:
    """Lists versions only, and reads the few objects that have a newer one. No step takes long, however many there are.

    All pages of a list are of the moment when it began. A known version that is newer came from the watch meanwhile, or
    from a write of ours: otherwise all that is written during the list would be read once more. (After etcd was
    restored, versions are lower than the known ones; the answer to the next write of an object tells.)

    An answer may come after the watch has told that a known object was deleted, or created again: then it is ignored.
    """

    def __init__(self, client: KubeClient, cached: CachedKind) -> None:
        self._client = client
        self._cached = cached

    async def compare(self, namespace: str, *, only_known: bool = False) -> None:
        """Read each object with a newer version than the known one; remove those that are gone. Raises KubeError.

        With `only_known`, skip objects that the watch has not delivered yet. An empty namespace: in all of them.
        """
        unlisted = await self._known_in(namespace)
        async for page in self._client.pages(self._cached.kind.collection(namespace), metadata_only=True):
            for item in page.items:
                metadata = item["metadata"]
                key = ObjectKey(metadata["namespace"], metadata["name"])
                unlisted.discard(key)
                known = self._cached.known.get(key)
                if known is None and only_known:
                    continue
                if is_newer(metadata["resourceVersion"], known):
                    await self._fetch(key)
            await asyncio.sleep(0)
        for key in unlisted:
            # It may have been created after its page was listed: only a GET of the object itself is proof.
            await self._fetch(key)

    async def _known_in(self, namespace: str) -> set[ObjectKey]:
        size = len(self._cached.known)
        found, every = unscanned(set[ObjectKey], size), iter(unscanned_tuple(self._cached.known))
        while part := tuple(islice(every, _AT_ONCE)):
            found.update(each for each in part if namespace in {"", each.namespace})
            await asyncio.sleep(0)
        return found

    async def _fetch(self, key: ObjectKey) -> None:
        known = self._cached.known.get(key)
        try:
            body = await self._client.get(self._cached.kind.item(*key))
        except KubeError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            if known is not None:
                self._cached.remove(key, known.uid)
            return
        if known is None or key in self._cached.known:
            self._cached.upsert(body)
