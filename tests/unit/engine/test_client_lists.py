"""The client list is read at most once a minute, and cached as long as lookups use it."""

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


class RecordingApi(ApiServer):
    """Serves both lists, and records the requested paths."""

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
def api() -> RecordingApi:
    return RecordingApi()


@pytest.fixture
def lists(api: RecordingApi) -> ClientLists:
    return ClientLists(api.get)


async def age(seconds: float = READ_AGAIN_SECONDS) -> None:
    await asyncio.sleep(seconds + 0.1)


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail if it does not in time."""
    async with asyncio.timeout(1000):
        while not holds():
            await asyncio.sleep(1.0)


async def test_a_list_is_read_once_a_minute_for_all_lookups(api: RecordingApi, lists: ClientLists) -> None:
    """For concurrent and for consecutive lookups."""
    assert await asyncio.gather(*(lists.directory(ONE) for _ in range(9))) == [JO] * 9
    assert await lists.directory(ONE) == JO
    assert api.paths == [path(ONE)]
    await age()
    await lists.directory(ONE)
    assert api.paths == [path(ONE)] * 2


async def test_the_cached_list_is_kept_while_the_api_server_fails(api: RecordingApi, lists: ClientLists) -> None:
    """However long the outage is, and whatever else is read meanwhile; after a refusal the list is gone."""
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


async def test_the_first_read_is_retried_after_a_failure(api: RecordingApi, lists: ClientLists) -> None:
    """The failure is transient, so nobody is asked to correct a list that exists."""
    api.refusals = {path(ONE): AWAY}
    with pytest.raises(KubeError):
        await lists.directory(ONE)
    api.refusals = {}
    assert await lists.directory(ONE) == JO


async def test_the_same_version_is_not_parsed_again(api: RecordingApi, lists: ClientLists) -> None:
    """Parsing a list of thousands takes a second, and other lists are read in between."""
    before = await lists.directory(ONE)
    for _ in range(3):
        await age()
        await lists.directory(OTHER)
        await age()
        assert await lists.directory(ONE) is before
    api.put(ONE, "8", {})
    await age()
    assert await lists.directory(ONE) == {}


async def test_a_changed_list_is_reported(api: RecordingApi) -> None:
    """Within a minute, and once. A forgotten list is not read, and a list that fails delays no other."""
    notified: list[ObjectKey] = []
    lists = ClientLists(api.get, notified.append)
    await lists.directory(ONE)
    await lists.directory(OTHER)
    running = asyncio.create_task(lists.run())
    await age(10 * READ_AGAIN_SECONDS)
    assert notified == []
    api.refusals = {path(ONE): FORBIDDEN}
    api.put(OTHER, "8", DATA)
    await eventually(lambda: notified == [ONE, OTHER])
    await age(3 * READ_AGAIN_SECONDS)
    api.refusals = {}
    await eventually(lambda: notified == [ONE, OTHER, ONE])
    assert await lists.directory(ONE) == JO
    await age(FORGOTTEN_SECONDS + READ_AGAIN_SECONDS)
    before = len(api.paths)
    await age(10 * READ_AGAIN_SECONDS)
    assert len(api.paths) == before
    running.cancel()


async def test_an_unused_list_is_forgotten(api: RecordingApi, lists: ClientLists) -> None:
    """It contains names and addresses, possibly of people who were removed since."""
    await lists.directory(ONE)
    await age(FORGOTTEN_SECONDS)
    await lists.directory(OTHER)
    api.refusals = {path(ONE): AWAY}
    with pytest.raises(KubeError):
        await lists.directory(ONE)


async def test_the_least_recently_used_list_is_dropped_first(api: RecordingApi) -> None:
    """The least recently used list is dropped first; the last one is kept, however long it is."""
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


async def test_a_list_with_only_invalid_entries_does_not_flood_the_log(
    api: RecordingApi, lists: ClientLists, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten problems are logged, and the number of the others; nothing of their content."""
    caplog.set_level(logging.INFO)
    api.put(ONE, "8", {f"c{number}": "- jo@nhs.example" for number in range(25)})
    await lists.directory(ONE)
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == 11
    assert logged[-1] == f"Client list {ONE}: and 15 more entries cannot be used"
    assert "jo@" not in " ".join(logged)
