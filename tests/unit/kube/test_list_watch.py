"""A watch continues with any content of an object: an object that cannot be cached hides no other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from clientcert.cache.informers import Informers, Watches
from clientcert.cache.object_cache import ObjectCache
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient, Page
from clientcert.kube.decoding import Object
from clientcert.kube.list_watch import Applied, Deleted, Listed, ListWatch, Returned
from clientcert.loop_budget import LoopBudget


def item(name: str, version: str = "5") -> Object:
    return {"metadata": {"namespace": "team", "name": name, "resourceVersion": version, "uid": name}}


class Api:
    """Lists two objects, and reports two more."""

    async def pages(self, _path: str, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        yield Page("5", [item("poison"), item("listed")])

    async def watch(self, _path: str, _version: str, _seconds: float, **_options: Any) -> AsyncIterator[Object]:
        yield {"type": "MODIFIED", "object": item("poison", "6")}
        yield {"type": "ADDED", "object": item("watched", "7")}
        yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}}
        yield {"type": "DELETED", "object": item("listed", "9")}
        await asyncio.sleep(60)


class Breaks(Api):
    """Its first watch is refused, and so is its second list."""

    def __init__(self) -> None:
        self.lists = self.watches = 0

    async def pages(self, _path: str, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        self.lists += 1
        if self.lists == 2:
            raise KubeError(Reason.API_UNAVAILABLE, "away", status=503, retryable=True)
        yield Page(str(self.lists), [item("one")])

    async def watch(self, _path: str, version: str, _seconds: float, **_options: Any) -> AsyncIterator[Object]:
        self.watches += 1
        if self.watches == 1:
            raise KubeError(Reason.API_UNAVAILABLE, "expired", status=410)
        yield {"type": "ADDED", "object": item(f"after-{version}", "20")}
        await asyncio.sleep(60)


class Fails(Api):
    """Its first list fails after one page; in the second, what that page had is gone."""

    def __init__(self) -> None:
        self.lists = 0

    async def pages(self, _path: str, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        self.lists += 1
        yield Page("5", [item("listed")] if self.lists == 1 else [item("unrelated")])
        if self.lists == 1:
            raise KubeError(Reason.API_UNAVAILABLE, "away", status=503, retryable=True)


class Busy(Api):
    """Other collections change much more than this one."""

    def __init__(self, items: list[Object], events: list[Object]) -> None:
        self.items = items
        self.events = events

    async def pages(self, _path: str, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        yield Page("50", self.items)

    async def watch(self, _path: str, _version: str, _seconds: float, **_options: Any) -> AsyncIterator[Object]:
        for event in self.events:
            yield event
        await asyncio.sleep(60)


class Cache:
    """Caches all objects except one."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def upsert_certificate(self, body: Object) -> None:
        if body["metadata"]["name"] == "poison":
            raise OverflowError("canary-7f3a")
        self.seen.append(body["metadata"]["name"])

    def remove_certificate(self, key: tuple[str, str], uid: str) -> None:
        self.seen.append(f"without {key[1]} ({uid})")


async def changes(api: Api, seconds: float = 30.0) -> tuple[list[object], ListWatch]:
    watch, found = ListWatch(cast("KubeClient", api), "/things", LoopBudget()), list[object]()

    async def collect() -> None:
        async for change in watch.changes():
            found.append(change)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(collect(), seconds)
    return found, watch


async def test_every_change_comes_in_order() -> None:
    """First all objects, then the end of the list, then the changes; a bookmark only advances the version."""
    found, watch = await changes(Api())
    assert found == [
        *(Applied(item(name)) for name in ("poison", "listed")),
        Listed(set(), "5", newest="5"),
        Applied(item("poison", "6")),
        Applied(item("watched", "7")),
        Deleted(item("listed", "9")),
    ]
    assert (watch.version, watch.established.is_set(), watch.attempted.is_set()) == ("9", True, True)


async def test_a_list_names_what_was_wanted_and_is_missing() -> None:
    """Each list by itself: what an earlier one had may be gone since, also if that one failed in its middle."""
    known = [("team", "listed"), ("team", "gone"), ("other", "listed"), ("team", "gone")]
    api = Fails()
    watch = ListWatch(cast("KubeClient", api), "/secrets", LoopBudget(), wanted=lambda: iter(known))
    with pytest.raises(KubeError):
        _ = [change async for change in watch.list()]
    listed = [change async for change in watch.list()][-1]
    assert isinstance(listed, Listed)
    assert listed.missing == {("team", "listed"), ("team", "gone"), ("other", "listed")}


async def test_a_broken_watch_lists_again_and_reports_its_return() -> None:
    """Deletions in between were not reported."""
    found, watch = await changes(Breaks())
    kinds = [type(change) for change in found]
    assert kinds == [Applied, Listed, Applied, Listed, Returned, Applied]
    assert found[-1] == Applied(item("after-3", "20"))
    assert watch.version == "20"


@pytest.mark.parametrize(
    ("items", "events", "version", "object_version"),
    [
        ([], [], "50", ""),
        ([item("one", "9"), item("two", "10"), item("three", "8")], [], "50", "10"),
        ([item("one", "9")], [{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "60"}}}], "60", "9"),
        ([item("one", "9")], [{"type": "DELETED", "object": item("one", "70")}], "70", "70"),
    ],
    ids=["no object", "a list", "a bookmark", "a deletion"],
)
async def test_the_version_of_an_object_is_not_that_of_a_list_or_a_bookmark(
    items: list[Object], events: list[Object], version: str, object_version: str
) -> None:
    """These are versions of all of etcd, which the cache of an API server before 1.31 may not reach for minutes."""
    _, watch = await changes(Busy(items, events))
    assert (watch.version, watch.object_version) == (version, object_version)


async def test_an_object_that_cannot_be_cached_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a list nor in the watch after it; the log names it, without its content."""
    cache, budget = Cache(), LoopBudget()
    certificates = ListWatch(cast("KubeClient", Api()), "/things", budget)
    secrets = ListWatch(cast("KubeClient", Api()), "/secrets", budget)
    secrets.attempted.set()
    watches = Watches(secrets, *[certificates] * 5)
    informers = Informers(cast("ObjectCache", cache), {"": watches}, LoopBudget())

    async def watch() -> None:
        async for _ in informers.watch_certificates(""):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch(), 0.2)
    assert cache.seen == ["listed", "watched", "without listed (listed)"]
    said = [record.getMessage() for record in caplog.records]
    assert len([line for line in said if line.startswith("/things/poison cannot be taken over")]) == 2
    assert "canary-7f3a" not in " ".join(said)
