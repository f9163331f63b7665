"""Lists a collection and watches it, for as long as the process lives, and yields what changes.

    async for change in watch.changes():
        match change: ...

Of Secrets it reads only the metadata: a hundred unrelated whole Secrets of 1 MiB would cost 600 MB and block the loop
for a second (design section 5). Our own kinds are read whole (docs/decisions/watches.md).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

from clientcert.errors import KubeError, Reason
from clientcert.garbage_collection import LARGE, unscanned
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.loop_budget import LoopBudget

INACTIVITY_SECONDS = 70.0
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_WATCH_BACKOFF_SECONDS = (*_BACKOFF_SECONDS, 10.0, 30.0, 60.0)
_LIVED_SECONDS = 10.0
"""After a watch that lasted longer, the count of failures starts again."""
_GONE = 410

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Applied:
    """The current version of an existing object."""

    item: Object


@dataclass(frozen=True, slots=True)
class Deleted:
    """The last version of a deleted object."""

    item: Object


@dataclass(frozen=True, slots=True)
class Listed:
    """The end of a list."""

    missing: AbstractSet[tuple[str, str]]
    """Namespace and name of each object that was wanted when the list began, and is not in it.

    What is wanted later is read by whoever wants it.
    """
    version: str
    """The resourceVersion to watch from."""
    newest: str = ""
    """The latest resourceVersion of these objects; empty if there are none."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The watch is re-established after an interruption: deletions in between were not seen."""


Change: TypeAlias = Applied | Deleted | Listed | Returned


class ListWatch:
    """One list-and-watch of the collection at `path`; changes come in the order of the API server's versions.

    `wanted` returns namespace and name of the objects whose absence is to be told; there may be 100,000.
    """

    def __init__(
        self,
        client: KubeClient,
        path: str,
        loop_budget: LoopBudget,
        *,
        wanted: Callable[[], Iterable[tuple[str, str]]] = tuple,
        metadata_only: bool = False,
    ) -> None:
        self.path = path
        self._client = client
        self._loop_budget = loop_budget
        self._wanted = wanted
        self._metadata_only = metadata_only
        self.attempted = asyncio.Event()
        """Set once a first list was complete or has failed."""
        self.established = asyncio.Event()
        """Set while the watch is established."""
        self.version = ""
        """The resourceVersion to watch from; empty until a list was complete."""
        self.object_version = ""
        """The latest resourceVersion of an object; empty until there was one.

        The cache of every API server reaches it. It may not reach `version`, which a list or a bookmark takes from all
        of etcd, for minutes: before Kubernetes 1.31 it advances with changes of this collection alone.
        """

    async def changes(self) -> AsyncIterator[Change]:
        """Yield changes for ever.

        A list that fails is retried after five seconds at most. A watch that fails each time after a list that succeeds
        is retried after up to a minute.
        """
        loop, failures, began = asyncio.get_running_loop(), 0, None
        while True:
            began = None
            try:
                async for change in self.list():
                    yield change
                    if isinstance(change, Listed):
                        self.version, self.object_version = change.version, change.newest
                del change  # a watch may say nothing for hours
                if failures:
                    yield Returned()
                self.attempted.set()
                self.established.set()
                began = loop.time()
                async for change in self._watch():
                    yield change
            except KubeError as error:
                self.attempted.set()
                self.established.clear()
                if error.status != _GONE:
                    logger.warning("%s cannot be watched: %s", self.path, error.message)
                if began is not None and loop.time() - began > _LIVED_SECONDS:
                    failures = 0
                delays = _BACKOFF_SECONDS if began is None else _WATCH_BACKOFF_SECONDS
                delay = error.retry_after or delays[min(failures, len(delays) - 1)]
                failures += 1
                await asyncio.sleep(delay)

    def give_up_first_list(self) -> None:
        """The collection cannot be listed at the moment: nobody waits for the first list any longer."""
        self.attempted.set()

    async def list(self) -> AsyncIterator[Change]:
        """Yield each object in its current version, then `Listed`; raises KubeError."""
        version, newest, missing = "", 0, set[tuple[str, str]]()
        for wanted in self._wanted():
            await self._loop_budget.yield_if_spent()
            missing.add(wanted)
            if len(missing) == LARGE:
                missing = unscanned(missing.copy)
        async for page in self._client.pages(self.path, metadata_only=self._metadata_only):
            version = page.version
            for item in page.items:
                await self._loop_budget.yield_if_spent()
                metadata = item["metadata"]
                missing.discard((metadata["namespace"], metadata["name"]))
                newest = max(newest, int(metadata["resourceVersion"]))
                yield Applied(item)
        yield Listed(missing, version, str(newest or ""))

    async def _watch(self) -> AsyncIterator[Change]:
        """Yield changes until the watch fails; then the collection has to be listed again.

        A watch that ends, or says nothing any more, goes on from its last version, and has missed nothing. A busy API
        server is late with its bookmarks: lists would make it busier.
        """
        while True:
            events = self._client.watch(self.path, self.version, INACTIVITY_SECONDS, metadata_only=self._metadata_only)
            async for event in events:
                if event["type"] == "ERROR":
                    code = int(event["object"].get("code") or _GONE)
                    raise KubeError(Reason.API_UNAVAILABLE, "the watch ended with an error", status=code)
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    await self._loop_budget.yield_if_spent()
                    self.object_version = version
                    yield Deleted(event["object"]) if event["type"] == "DELETED" else Applied(event["object"])
                self.version = version
            await asyncio.sleep(_BACKOFF_SECONDS[0])
