"""The client list is read as seldom as it may be, and believed for as long as somebody asks for it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from clientcert.cache.client_lists import FORGOTTEN_SECONDS, READ_AGAIN_SECONDS, ClientLists
from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.contacts import DirectoryEntry
from clientcert.lifecycle.spec import ObjectKey, Person
from tests.unit.engine.fakes import ApiServer

ONE, OTHER = ObjectKey("team", "one"), ObjectKey("team", "other")
JO = {"nhs": DirectoryEntry(Person("Jo Bloggs", "jo@nhs.example"))}
DATA = {"nhs": "technical: {name: Jo Bloggs, email: jo@nhs.example}\n"}
AWAY = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
FORBIDDEN = KubeError(Reason.FORBIDDEN, "the API server answered 403", status=403)


class Asked(ApiServer):
    """Knows both lists, and what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []
        for key in (ONE, OTHER):
            self.put(key, "7", DATA)

    def put(self, key: ObjectKey, version: str, data: Mapping[str, str]) -> None:
        self.objects[path(key)] = {"metadata": {"resourceVersion": version}, "data": data}

    async def get(self, path: str) -> Any:
        self.paths.append(path)
        return await super().get(path)


def path(key: ObjectKey) -> str:
    return f"/api/v1/namespaces/{key.namespace}/configmaps/{key.name}"


@pytest.fixture
def api() -> Asked:
    return Asked()


@pytest.fixture
def lists(api: Asked) -> ClientLists:
    return ClientLists(api.get)


async def age(seconds: float = READ_AGAIN_SECONDS) -> None:
    await asyncio.sleep(seconds + 0.1)


async def parsed(holds: Callable[[], bool]) -> None:
    """Wait for it; fails when it does not become true in time."""
    async with asyncio.timeout(1000):
        while not holds():
            await asyncio.sleep(1.0)


async def test_once_a_minute_for_all_who_ask(api: Asked, lists: ClientLists) -> None:
    """At once, or one after the other."""
    assert await asyncio.gather(*(lists.directory(ONE) for _ in range(9))) == [JO] * 9
    assert await lists.directory(ONE) == JO
    assert api.paths == [path(ONE)]
    await age()
    await lists.directory(ONE)
    assert api.paths == [path(ONE)] * 2


async def test_what_cannot_be_asked_for_is_what_it_was(api: Asked, lists: ClientLists) -> None:
    """However long, and whatever else is read meanwhile; one that says no is another matter."""
    assert await lists.directory(ONE) == JO
    api.refusals = {path(ONE): AWAY}
    for _ in range(30):
        await age()
        assert await lists.directory(OTHER) == JO
        await age(READ_AGAIN_SECONDS / 2)
        assert await lists.directory(ONE) == JO
    api.refusals = {path(ONE): FORBIDDEN}
    await age()
    assert await lists.directory(ONE) is None


async def test_what_was_never_read_is_tried_again(api: Asked, lists: ClientLists) -> None:
    """It passes by itself: nobody is told to correct a list that is there."""
    api.refusals = {path(ONE): AWAY}
    with pytest.raises(KubeError):
        await lists.directory(ONE)
    api.refusals = {}
    assert await lists.directory(ONE) == JO


async def test_the_same_version_is_not_parsed_again(api: Asked, lists: ClientLists) -> None:
    """A list of thousands takes a second, and others are read in between."""
    before = await lists.directory(ONE)
    for _ in range(3):
        await age()
        await lists.directory(OTHER)
        await age()
        assert await lists.directory(ONE) is before
    api.put(ONE, "8", {})
    await age()
    assert await lists.directory(ONE) == {}


async def test_whoever_waits_for_an_answer_hears_of_it(api: Asked) -> None:
    """Within a minute, and once; nobody asks for a list that is forgotten, and one that fails keeps no other back."""
    heard: list[ObjectKey] = []
    lists = ClientLists(api.get, heard.append)
    await lists.directory(ONE)
    await lists.directory(OTHER)
    running = asyncio.create_task(lists.run())
    await age(10 * READ_AGAIN_SECONDS)
    assert heard == []
    api.refusals = {path(ONE): FORBIDDEN}
    api.put(OTHER, "8", DATA)
    await parsed(lambda: heard == [ONE, OTHER])
    await age(3 * READ_AGAIN_SECONDS)
    api.refusals = {}
    await parsed(lambda: heard == [ONE, OTHER, ONE])
    assert await lists.directory(ONE) == JO
    await age(FORGOTTEN_SECONDS + READ_AGAIN_SECONDS)
    before = len(api.paths)
    await age(10 * READ_AGAIN_SECONDS)
    assert len(api.paths) == before
    running.cancel()


async def test_what_nobody_asks_for_is_forgotten(api: Asked, lists: ClientLists) -> None:
    """It has names and addresses, and whoever stood in it may have been taken out."""
    await lists.directory(ONE)
    await age(FORGOTTEN_SECONDS)
    await lists.directory(OTHER)
    api.refusals = {path(ONE): AWAY}
    with pytest.raises(KubeError):
        await lists.directory(ONE)


async def test_more_than_is_kept(api: Asked) -> None:
    """The one that was asked for longest ago goes first, and the last one stays, however long it is."""
    lists = ClientLists(api.get, most_entries=2)
    third = ObjectKey("team", "third")
    api.put(third, "7", DATA)
    one, other = await lists.directory(ONE), await lists.directory(OTHER)
    assert await lists.directory(ONE) is one
    await lists.directory(third)
    await age()
    assert await lists.directory(ONE) is one
    assert await lists.directory(OTHER) is not other
    api.put(third, "8", {f"c{number}": "" for number in range(3)})
    await lists.directory(third)
    before = len(api.paths)
    assert len(await lists.directory(third) or ()) == 3
    assert len(api.paths) == before


async def test_a_list_that_is_all_wrong_fills_no_log(
    api: Asked, lists: ClientLists, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten problems are shown, and how many more there are; nothing of what stands in them."""
    caplog.set_level(logging.INFO)
    api.put(ONE, "8", {f"c{number}": "- jo@nhs.example" for number in range(25)})
    await lists.directory(ONE)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 11
    assert said[-1] == f"Client list {ONE}: and 15 more entries cannot be used"
    assert "jo@" not in " ".join(said)
