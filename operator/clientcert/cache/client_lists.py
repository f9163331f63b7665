"""Client lists as they were last read: each again every minute, and kept for as long as somebody asks for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clientcert.api.client_list import parse_client_list
from clientcert.errors import KubeError, Reason, where
from clientcert.lifecycle.contacts import Directory
from clientcert.lifecycle.spec import ObjectKey

READ_AGAIN_SECONDS = 60.0
"""So long a client list is taken for what it was when it was read."""
FORGOTTEN_SECONDS = 2 * 24 * 3600.0
"""So long after somebody has asked for it last; each certificate is looked at once a day."""
MOST_ENTRIES = 100_000
"""Of all lists together; of more, those that were asked for longest ago are forgotten."""
_PROBLEMS_SHOWN = 10

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Known:
    directory: Directory | None
    version: str
    until: float
    """From here on it is read again; it counts until something else was read. On the loop's clock, as all times."""
    asked: float


class ClientLists:
    """One reading for all who ask for the same at once."""

    def __init__(
        self,
        get: Callable[[str], Awaitable[Mapping[str, Any]]],
        changed: Callable[[ObjectKey], None] = lambda _: None,
        *,
        most_entries: int = MOST_ENTRIES,
    ) -> None:
        """`get` asks the API server for a path, and raises KubeError; `changed` hears of each list that says more."""
        self._get = get
        self._changed = changed
        self._most_entries = most_entries
        self._known: dict[ObjectKey, _Known] = {}
        """The one that was asked for last is the last."""
        self._reading: dict[ObjectKey, asyncio.Task[_Known]] = {}

    async def directory(self, key: ObjectKey) -> Directory | None:
        """None when there is none, or it may not be read; raises KubeError for what passes, if it was never read."""
        known = self._known.pop(key, None)
        if known is not None:
            known.asked, self._known[key] = _now(), known
            if _now() < known.until:
                return known.directory
        return (await self._read_once(key, known)).directory

    async def run(self) -> None:
        """Read them again and again, until cancelled: an answer that somebody has written down is not asked for."""
        while True:
            await asyncio.sleep(READ_AGAIN_SECONDS)
            for key, known in tuple(self._known.items()):
                if _now() - known.asked >= FORGOTTEN_SECONDS:
                    self._known.pop(key, None)
                    continue
                try:
                    await self._read_once(key, known)
                except Exception as error:  # noqa: BLE001 - one list must never keep the others from being read
                    logger.warning("Client list %s cannot be read: %s", key, where(error))

    async def _read_once(self, key: ObjectKey, known: _Known | None) -> _Known:
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read(key, known))
            reading.add_done_callback(lambda _: self._reading.pop(key, None))
        return await asyncio.shield(reading)

    async def _read(self, key: ObjectKey, before: _Known | None) -> _Known:
        """What could not be asked for is what it was, for as long as if it had been."""
        until = _now() + READ_AGAIN_SECONDS
        directory, version = None, ""
        try:
            answer = await self._get(f"/api/v1/namespaces/{key.namespace}/configmaps/{key.name}")
        except KubeError as error:
            if error.reason not in {Reason.NOT_FOUND, Reason.FORBIDDEN}:
                if before is None:
                    raise
                directory, version = before.directory, before.version
        else:
            version = str(answer["metadata"].get("resourceVersion", ""))
            directory = before.directory if before is not None and before.version == version else None
            if directory is None:
                directory = await _parse(key, answer.get("data") or {})
        known = _Known(directory, version, until, before.asked if before else _now())
        if key in self._known or before is None:  # else it was forgotten meanwhile
            self._known[key] = known
        self._forget()
        if before is not None and before.version != version:
            self._changed(key)
        return known

    def _forget(self) -> None:
        """What nobody asks for any more, and what is too much; never the last one."""
        kept = sum(len(known.directory or ()) for known in self._known.values())
        for key, known in tuple(self._known.items())[:-1]:
            if kept <= self._most_entries and _now() - known.asked < FORGOTTEN_SECONDS:
                return
            kept -= len(known.directory or ())
            del self._known[key]


async def _parse(key: ObjectKey, content: Mapping[str, str]) -> Directory:
    # A list of thousands takes a second: in a thread the loop goes on meanwhile.
    directory, problems = await asyncio.to_thread(parse_client_list, content)
    for problem in problems[:_PROBLEMS_SHOWN]:
        logger.warning("Client list %s: %s", key, problem)
    if len(problems) > _PROBLEMS_SHOWN:
        logger.warning("Client list %s: and %d more entries cannot be used", key, len(problems) - _PROBLEMS_SHOWN)
    return directory


def _now() -> float:
    return asyncio.get_running_loop().time()
