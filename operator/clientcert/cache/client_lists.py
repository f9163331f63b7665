"""Client lists: read again every minute, and kept while they are in use."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from clientcert.api.client_list import parse_client_list
from clientcert.errors import KubeError, Reason, where
from clientcert.lifecycle.contacts import Directory
from clientcert.lifecycle.spec import ObjectKey
from clientcert.network.single_flight import SingleFlightCache

READ_AGAIN_SECONDS = 60.0
"""For this time the content of a client list is taken as current."""
FORGOTTEN_SECONDS = 2 * 24 * 3600.0
"""A list that was unused for this time is forgotten; each certificate is reconciled once a day."""
MOST_ENTRIES = 100_000
"""Of all lists together; beyond that, the least recently used lists are forgotten."""
_PROBLEMS_SHOWN = 10

logger = logging.getLogger(__name__)


class _ClientList(NamedTuple):
    directory: Directory | None
    """None if the list does not exist, or may not be read."""
    version: str
    """The resourceVersion; empty where there is no list."""


class ClientLists:
    """Shared by all certificates: a list is read once for all callers."""

    def __init__(
        self,
        get: Callable[[str], Awaitable[Mapping[str, Any]]],
        changed: Callable[[ObjectKey], None] = lambda _: None,
        *,
        most_entries: int = MOST_ENTRIES,
    ) -> None:
        """`get` reads a path of the API server, and raises KubeError; `changed` is called with each changed list."""
        self._get = get
        self._changed = changed
        self._lists: SingleFlightCache[ObjectKey, _ClientList] = SingleFlightCache(
            most_entries, lambda known: len(known.directory or ()), FORGOTTEN_SECONDS
        )

    async def directory(self, key: ObjectKey) -> Directory | None:
        """Return the content of a list; None if it does not exist, or may not be read.

        Raises KubeError for a transient failure, unless the list was read before.
        """
        return (await self._lists.get(key, partial(self._load, key))).directory

    async def run(self) -> None:
        """Read all lists again every minute, until cancelled: callers that keep an answer do not ask again."""
        while True:
            await asyncio.sleep(READ_AGAIN_SECONDS)
            for key in self._lists.keys_in_use():
                try:
                    await self._lists.refresh(key, partial(self._load, key))
                except Exception as error:  # noqa: BLE001 - one list must never keep the others from being read
                    logger.warning("Client list %s cannot be read: %s", key, where(error))

    async def _load(self, key: ObjectKey) -> tuple[_ClientList, float]:
        """Read a list. If the read fails, keep the previous content for one more interval."""
        before = self._lists.latest(key)
        try:
            answer = await self._get(f"/api/v1/namespaces/{key.namespace}/configmaps/{key.name}")
        except KubeError as error:
            if error.reason in {Reason.NOT_FOUND, Reason.FORBIDDEN}:
                found = _ClientList(None, "")
            elif before is not None:
                found = before
            else:
                raise
        else:
            found = await _parsed(key, answer, before)
        if before is not None and before.version != found.version:
            self._changed(key)
        return found, READ_AGAIN_SECONDS


async def _parsed(key: ObjectKey, answer: Mapping[str, Any], before: _ClientList | None) -> _ClientList:
    """Parse a ConfigMap, unless its version was parsed before."""
    version = str(answer["metadata"].get("resourceVersion", ""))
    if before is not None and before.directory is not None and before.version == version:
        return before
    return _ClientList(await _parse(key, answer.get("data") or {}), version)


async def _parse(key: ObjectKey, content: Mapping[str, str]) -> Directory:
    # A list of thousands takes a second, which must not block the event loop.
    directory, problems = await asyncio.to_thread(parse_client_list, content)
    for problem in problems[:_PROBLEMS_SHOWN]:
        logger.warning("Client list %s: %s", key, problem)
    if len(problems) > _PROBLEMS_SHOWN:
        logger.warning("Client list %s: and %d more entries cannot be used", key, len(problems) - _PROBLEMS_SHOWN)
    return directory
