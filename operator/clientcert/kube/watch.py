"""Watches the metadata of Secrets: which one changed, never what is in it.

With whole Secrets, a hundred unrelated ones of 1 MiB cost 600 MB and stall the loop for a second (design section 5).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient, Object

INACTIVITY_SECONDS = 70.0
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_WATCH_BACKOFF_SECONDS = (*_BACKOFF_SECONDS, 10.0, 30.0, 60.0)
_LIVED_SECONDS = 10.0
"""A watch that went on for so long was a good one."""
_GONE = 410

logger = logging.getLogger(__name__)

OnChange = Callable[[str, str, str], None]
"""Called with namespace, name and resourceVersion; the version is empty when the Secret is gone."""
Wanted = Callable[[str], Iterable[tuple[str, str]]]
"""Namespace and name of the Secrets that matter in one namespace, or in all."""


class SecretWatch:
    """One list-and-watch of the Secrets in one namespace, or in all (`namespace` empty)."""

    def __init__(
        self, client: KubeClient, namespace: str, on_change: OnChange, wanted: Wanted, on_return: Callable[[str], None]
    ) -> None:
        """`on_return` is called with the namespace when the watch is there again after it was away."""
        self._client = client
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"
        self._on_change = on_change
        self._wanted = wanted
        self._on_return = on_return
        self.established = asyncio.Event()

    async def run(self) -> None:
        """Go on until cancelled.

        A list that fails is tried again after five seconds at the most: then all is well. A watch that fails each time
        after a list that does not is another matter, and rests for up to a minute.
        """
        loop, failures, began = asyncio.get_running_loop(), 0, None
        while True:
            began = None
            try:
                version = await self.compare()
                if failures:
                    self._on_return(self._namespace)
                self.established.set()
                began = loop.time()
                await self._follow(version)
            except KubeError as error:
                self.established.clear()
                if error.status != _GONE:
                    logger.warning("Secrets cannot be watched at %s: %s", self._path, error.message)
                if began is not None and loop.time() - began > _LIVED_SECONDS:
                    failures = 0
                delays = _BACKOFF_SECONDS if began is None else _WATCH_BACKOFF_SECONDS
                delay = error.retry_after or delays[min(failures, len(delays) - 1)]
                failures += 1
                await asyncio.sleep(delay)

    async def compare(self) -> str:
        """Tell of each Secret as it is now, and of those that matter and are not there. Returns where to watch from."""
        version, present = "", set()
        async for page in self._client.pages(self._path, metadata_only=True):
            version = page["metadata"]["resourceVersion"]
            for item in page["items"]:
                present.add((item["metadata"]["namespace"], item["metadata"]["name"]))
                self._changed(item)
            await asyncio.sleep(0)  # a page is parsed in one go; others may run between two
        for namespace, name in set(self._wanted(self._namespace)) - present:
            self._on_change(namespace, name, "")
        return version

    async def _follow(self, version: str) -> None:
        """Watch on from a version for as long as nothing fails: whoever was away lists again."""
        while True:
            async for event in self._client.watch(self._path, version, INACTIVITY_SECONDS):
                if event["type"] == "ERROR":
                    code = int(event["object"].get("code") or _GONE)
                    raise KubeError(Reason.API_UNAVAILABLE, "the watch ended with an error", status=code)
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._changed(event["object"], gone=event["type"] == "DELETED")
            await asyncio.sleep(_BACKOFF_SECONDS[0])

    def _changed(self, item: Object, *, gone: bool = False) -> None:
        metadata = item["metadata"]
        self._on_change(metadata["namespace"], metadata["name"], "" if gone else metadata["resourceVersion"])
