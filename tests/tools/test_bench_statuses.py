"""The bench's own watch loses nothing, whatever the API server does to it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bench.statuses import Statuses


def certificate(name: str, version: int, *, written: bool) -> dict[str, Any]:
    status = {"certificate": {"fingerprintSHA256": name}, "daysRemaining": 30, "phase": "Valid"}
    metadata = {"namespace": "bench", "name": name, "resourceVersion": str(version)}
    return {"metadata": metadata, "status": status if written else {}}


class Answers:
    """An API server whose first watch breaks, and which then has other objects than that watch has shown."""

    def __init__(self, end: Any) -> None:
        self.end = end
        self.watched_from: list[str] = []

    async def get(self, _path: str, **_: str) -> Any:
        return {"items": [], "metadata": {"resourceVersion": "1"}}

    async def watch(self, _path: str, version: str) -> AsyncIterator[Any]:
        self.watched_from.append(version)
        if len(self.watched_from) > 1:
            await asyncio.Event().wait()
        yield {"type": "ADDED", "object": certificate("deleted-meanwhile", 2, written=True)}
        yield {"type": "ADDED", "object": certificate("nhs", 3, written=False)}
        if isinstance(self.end, Exception):
            raise self.end
        yield self.end

    async def pages(self, _path: str) -> AsyncIterator[Any]:
        yield {"items": [certificate("nhs", 7, written=True)], "metadata": {"resourceVersion": "8"}}
        yield {"items": [certificate("new", 8, written=False)], "metadata": {"resourceVersion": "8"}}


@pytest.mark.parametrize(
    "end",
    [{"type": "ERROR", "object": {"message": "too old resource version"}}, aiohttp.ClientPayloadError("cut off")],
    ids=["410", "cut off"],
)
async def test_watch_that_cannot_go_on_begins_with_a_list(end: Any) -> None:
    """Changed and deleted objects are known then, and the watch goes on from that list."""
    statuses, answers = Statuses(), Answers(end)
    following = asyncio.create_task(statuses.follow(answers))  # type: ignore[arg-type]
    await statuses.until(lambda: len(answers.watched_from) == 2, 10, "the second watch")
    following.cancel()
    assert {name: bool(seen.fingerprint) for (_, name), seen in statuses.objects.items()} == {"nhs": True, "new": False}
    assert (statuses.written, statuses.listed_anew, answers.watched_from) == (1, 1, ["1", "8"])
