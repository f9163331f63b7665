"""A watch continues after an error in one object: the error does not affect other objects."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from clientcert.kube.client import KubeClient, Object
from clientcert.kube.list_watch import Watch
from clientcert.loop_budget import LoopBudget


def item(name: str, version: str = "5") -> Object:
    return {"metadata": {"namespace": "team", "name": name, "resourceVersion": version}}


class Api:
    """Lists two objects, then sends events about two more."""

    async def pages(self, _path: str, *, metadata_only: bool = False) -> AsyncIterator[Object]:
        yield {"metadata": {"resourceVersion": "5"}, "items": [item("poison"), item("listed")]}

    async def watch(self, _path: str, _version: str, _seconds: float, **_options: Any) -> AsyncIterator[Object]:
        yield {"type": "MODIFIED", "object": item("poison", "6")}
        yield {"type": "ADDED", "object": item("watched", "7")}
        await asyncio.sleep(60)


async def test_an_object_that_cannot_be_taken_over_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """An error in one object affects no other, in the list and in the watch; the log has its name and no content."""
    seen: list[str] = []

    def changed(body: Object, _gone: bool) -> None:
        if body["metadata"]["name"] == "poison":
            raise OverflowError("canary-7f3a")
        seen.append(body["metadata"]["name"])

    watch = Watch(cast("KubeClient", Api()), "/things", LoopBudget(), on_change=changed)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.run(), 0.2)
    assert (seen, watch.version) == (["listed", "watched"], "7")
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if line.startswith("/things/poison cannot be taken over")]) == 2
    assert "canary-7f3a" not in " ".join(said)
