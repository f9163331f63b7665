"""Lists a collection and watches it on, for as long as the process lives.

Of Secrets only the metadata: with whole ones, a hundred unrelated of 1 MiB cost 600 MB and stall the loop for a second
(design section 5). ClientCertificates whole; why not by kopf, docs/decisions/watches.md says.
"""

import asyncio
import logging
from collections.abc import Callable

from clientcert.errors import KubeError, Reason, where
from clientcert.kube.client import KubeClient, Object
from clientcert.loop_budget import LoopBudget

INACTIVITY_SECONDS = 70.0
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_WATCH_BACKOFF_SECONDS = (*_BACKOFF_SECONDS, 10.0, 30.0, 60.0)
_LIVED_SECONDS = 10.0
"""A watch that went on for so long was a good one."""
_GONE = 410

logger = logging.getLogger(__name__)

Keys = set[tuple[str, str]]
"""Namespaces and names."""


class Watch:
    """One list-and-watch of what is at `path`. Who is told is told in the order of the API server's versions."""

    def __init__(
        self,
        client: KubeClient,
        path: str,
        loop_budget: LoopBudget,
        *,
        on_change: Callable[[Object, bool], None],
        on_list: Callable[[Keys], None] = lambda _: None,
        on_return: Callable[[], None] = lambda: None,
        metadata_only: bool = False,
    ) -> None:
        """`on_change` is called with an object as it is now, or as it was last, and whether it is gone.

        `on_list` with all that are there, after each was told of; `on_return` when the watch is there again after it
        was away: what vanished meanwhile nobody has told.
        """
        self._client = client
        self._path = path
        self._loop_budget = loop_budget
        self._on_change = on_change
        self._on_list = on_list
        self._on_return = on_return
        self._metadata_only = metadata_only
        self.established = asyncio.Event()
        self.version = ""
        """The resourceVersion of the last that was told; empty until a list was."""

    async def run(self) -> None:
        """Go on until cancelled.

        A list that fails is tried again after five seconds at the most: then all is well. A watch that fails each time
        after a list that does not is another matter, and rests for up to a minute.
        """
        loop, failures, began = asyncio.get_running_loop(), 0, None
        while True:
            began = None
            try:
                self.version = await self.compare()
                if failures:
                    self._on_return()
                self.established.set()
                began = loop.time()
                await self._follow()
            except KubeError as error:
                self.established.clear()
                if error.status != _GONE:
                    logger.warning("%s cannot be watched: %s", self._path, error.message)
                if began is not None and loop.time() - began > _LIVED_SECONDS:
                    failures = 0
                delays = _BACKOFF_SECONDS if began is None else _WATCH_BACKOFF_SECONDS
                delay = error.retry_after or delays[min(failures, len(delays) - 1)]
                failures += 1
                await asyncio.sleep(delay)

    async def compare(self) -> str:
        """Tell of each object as it is now. Returns the version to watch from; raises KubeError."""
        version, present = "", set()
        async for page in self._client.pages(self._path, metadata_only=self._metadata_only):
            version = page["metadata"]["resourceVersion"]
            for item in page["items"]:
                await self._loop_budget.yield_if_spent()
                present.add((item["metadata"]["namespace"], item["metadata"]["name"]))
                self._tell(item)
        self._on_list(present)
        return version

    async def _follow(self) -> None:
        """Watch on for as long as nothing fails: whoever was away lists again."""
        while True:
            async for event in self._client.watch(
                self._path, self.version, INACTIVITY_SECONDS, metadata_only=self._metadata_only
            ):
                if event["type"] == "ERROR":
                    code = int(event["object"].get("code") or _GONE)
                    raise KubeError(Reason.API_UNAVAILABLE, "the watch ended with an error", status=code)
                if event["type"] != "BOOKMARK":
                    await self._loop_budget.yield_if_spent()
                    self._tell(event["object"], gone=event["type"] == "DELETED")
                self.version = event["object"]["metadata"]["resourceVersion"]
            await asyncio.sleep(_BACKOFF_SECONDS[0])

    def _tell(self, item: Object, *, gone: bool = False) -> None:
        try:
            self._on_change(item, gone)
        except Exception as error:  # noqa: BLE001 - one object must never keep all others from being seen
            name = item["metadata"].get("name", "")
            logger.error("%s/%s cannot be taken over: unexpected %s", self._path, name, where(error))  # noqa: TRY400
