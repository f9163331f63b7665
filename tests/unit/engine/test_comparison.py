"""The known objects are compared with the API server a thousand objects at a time."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cache.comparison import CachedKind, Comparison
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import Page
from clientcert.lifecycle.spec import ObjectKey

MANY = 20_000


class Api:
    """Lists `names` in pages of 500, each in version 1; no object can be read any more."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self.read: list[str] = []

    async def pages(self, _path: str, *, metadata_only: bool) -> AsyncIterator[Page]:
        assert metadata_only
        for start in range(0, len(self._names), 500):
            page = self._names[start : start + 500]
            yield Page(
                "9", [{"metadata": {"namespace": "team", "name": each, "resourceVersion": "1"}} for each in page]
            )

    async def get(self, path: str) -> Any:
        self.read.append(path.rpartition("/")[2])
        raise KubeError(Reason.NOT_FOUND, "it is gone")


def known(*names: str, namespace: str = "team") -> dict[ObjectKey, Any]:
    return {ObjectKey(namespace, each): SimpleNamespace(uid="u1", resource_version="1") for each in names}


async def test_only_what_is_not_as_it_is_listed_is_read() -> None:
    """The newer version and the one that is not listed; not what is known in a newer one, nor another namespace's."""
    api, removed = Api("same", "other", "new", "written"), list[str]()
    records = known("same", "other", "written", "unlisted") | known("elsewhere", namespace="another")
    records[ObjectKey("team", "other")].resource_version = "0"
    records[ObjectKey("team", "written")].resource_version = "10"
    cached = CachedKind(CLIENT_CERTIFICATE, records, lambda _: None, lambda key, uid: removed.append(key.name + uid))
    comparison = Comparison(cast("Any", api), cached)
    await comparison.compare("team", only_known=True)
    assert api.read == ["other", "unlisted"]
    assert removed == ["otheru1", "unlistedu1"]
    api.read.clear()
    await comparison.compare("team")
    assert api.read == ["other", "new", "unlisted"]


async def test_other_work_goes_on_meanwhile() -> None:
    names = [f"c{number}" for number in range(MANY)]
    nothing = cast("Any", None)
    cached = CachedKind(CLIENT_CERTIFICATE, known(*names), nothing, nothing)
    comparison = Comparison(cast("Any", Api(*names)), cached)
    comparing, turns = asyncio.create_task(comparison.compare("")), 0
    while not comparing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= MANY / 1_000 + MANY / 500
