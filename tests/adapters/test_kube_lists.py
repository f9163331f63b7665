"""Lists and watches of the API server, when objects are as large as a tenant can make them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from clientcert.errors import KubeError, Reason
from clientcert.kube.client import METADATA_PAGE_SIZE, PAGE_SIZE, KubeClient
from clientcert.kube.kubeconfig import Connection
from clientcert.kube.page_limits import LARGEST_ANSWER, LARGEST_PAGE
from clientcert.network.byte_budget import MIB, ByteBudget

LARGE = MIB - 10_000
SECRETS = "/api/v1/secrets"


class Collection:
    """Objects of these sizes, listed in pages."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.limits: list[int] = []
        self.lines: list[bytes] = []

    def item(self, number: int) -> dict[str, Any]:
        metadata = {"namespace": "team", "name": f"s-{number}", "resourceVersion": str(number), "uid": f"u-{number}"}
        fields = [{"manager": "hostile", "fieldsV1": {"f:x": {}}}]
        return {
            "metadata": {**metadata, "finalizers": ["x" * self.sizes[number]], "managedFields": fields},
            "spec": {"a": number},
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            for line in self.lines:
                await response.write(line)
            return response
        limit, start = int(request.query["limit"]), int(request.query.get("continue") or 0)
        self.limits.append(limit)
        end = min(start + limit, len(self.sizes))
        metadata = {"resourceVersion": "7", **({"continue": str(end)} if end < len(self.sizes) else {})}
        items = [self.item(number) for number in range(start, end)]
        return web.json_response({"metadata": metadata, "items": items or None})


@asynccontextmanager
async def listing(collection: Collection, budget: ByteBudget | None = None) -> AsyncIterator[KubeClient]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", collection.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = KubeClient(lambda: Connection(server=url, token="t"), budget=budget)
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


async def names(client: KubeClient, *, metadata_only: bool = True) -> list[str]:
    pages = client.pages(SECRETS, metadata_only=metadata_only)
    return [item["metadata"]["name"] async for page in pages for item in page.items]


@pytest.mark.parametrize("metadata_only", [True, False])
async def test_small_objects_are_listed_in_pages_of_the_usual_size(metadata_only: bool) -> None:
    """An empty collection comes as null."""
    usual = METADATA_PAGE_SIZE if metadata_only else PAGE_SIZE
    collection = Collection([100] * (2 * usual))
    async with listing(collection) as client:
        assert await names(client, metadata_only=metadata_only) == [f"s-{number}" for number in range(2 * usual)]
        assert collection.limits == [usual, usual]
        collection.sizes.clear()
        assert await names(client, metadata_only=metadata_only) == []


@pytest.mark.parametrize("metadata_only", [True, False])
async def test_pages_are_halved_until_they_fit(metadata_only: bool) -> None:
    """Every object is listed once. The next list begins with what fits."""
    collection, budget = Collection([LARGE] * 10), ByteBudget()
    async with listing(collection, budget) as client:
        for _ in range(2):
            assert await names(client, metadata_only=metadata_only) == [f"s-{number}" for number in range(10)]
    usual = METADATA_PAGE_SIZE if metadata_only else PAGE_SIZE
    too_large = [usual // 2**times for times in range(9) if usual // 2**times > 3]
    # The last page has one object, which is small for a page: the next list tries twice as many.
    assert collection.limits == [*too_large, 3, 3, 3, 3, 6, 3, 3, 3, 3]
    assert budget.in_use == 0


async def test_pages_grow_again_where_objects_are_small() -> None:
    """One large object among thousands makes few pages small."""
    sizes = [100] * 3000
    sizes[700] = 5 * MIB
    collection = Collection(sizes)
    async with listing(collection) as client:
        assert await names(client) == [f"s-{number}" for number in range(3000)]
    assert 1 in collection.limits
    assert collection.limits[-1] == METADATA_PAGE_SIZE
    assert len(collection.limits) < 40


async def test_a_page_with_one_object_that_is_too_large_is_an_error() -> None:
    """No API server gives such an answer; the operator reports it, and does not try for ever."""
    collection = Collection([LARGEST_ANSWER])
    async with listing(collection) as client:
        with pytest.raises(KubeError) as error:
            await names(client)
        assert (error.value.reason, error.value.retryable) == (Reason.API_UNAVAILABLE, True)
        assert "8 MiB" in error.value.message
    assert collection.limits[-1] == 1


async def test_a_page_holds_its_memory_until_it_was_passed_over() -> None:
    """Of metadata little is left, so that nothing is held."""
    collection, budget = Collection([LARGE] * 3), ByteBudget()
    async with listing(collection, budget) as client:
        held = [budget.in_use async for _ in client.pages(SECRETS)]
        assert held[0] > 2 * MIB
        assert [budget.in_use async for _ in client.pages(SECRETS, metadata_only=True)] == [0]
    assert budget.in_use == 0


async def test_many_lists_at_once_stay_within_the_budget() -> None:
    """Each page has nearly 4 MiB."""
    collection, budget, most = Collection([LARGE] * 8), ByteBudget(total=10 * MIB, share=10 * MIB), 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, budget.in_use)
            await asyncio.sleep(0.001)

    async with listing(collection, budget) as client:
        await names(client)
        watching = asyncio.create_task(watch())
        found = await asyncio.gather(*(names(client, metadata_only=False) for _ in range(8)))
        watching.cancel()
    assert found == [[f"s-{number}" for number in range(8)]] * 8
    assert most <= 10 * MIB + LARGEST_PAGE


async def test_of_an_object_only_the_fields_that_are_used_are_kept() -> None:
    async with listing(Collection([100])) as client:
        [page] = [list(page.items) async for page in client.pages(SECRETS)]
    metadata = {"namespace": "team", "name": "s-0", "resourceVersion": "0", "uid": "u-0"}
    assert page == [{"metadata": metadata, "spec": {"a": 0}}]


async def test_a_watch_brings_large_objects_and_goes_on() -> None:
    collection, budget = Collection([5 * MIB, 100]), ByteBudget()
    collection.lines = [
        json.dumps({"type": "ADDED", "object": collection.item(number)}).encode() + b"\n" for number in range(2)
    ]
    async with listing(collection, budget) as client:
        events = [event async for event in client.watch(SECRETS, "1", 10, metadata_only=True)]
    assert [event["object"]["metadata"]["name"] for event in events] == ["s-0", "s-1"]
    assert "finalizers" not in events[0]["object"]["metadata"]
    assert budget.in_use == 0


@pytest.mark.parametrize("line", [b"x" * (LARGEST_ANSWER + 1), b"not JSON\n", b'{"type": "ADDED"}\n', b"[]\n"])
async def test_a_watch_with_an_event_that_no_api_server_sends_fails(line: bytes) -> None:
    """The collection is listed again, as after any other failure."""
    collection, budget = Collection([]), ByteBudget()
    collection.lines = [line]
    async with listing(collection, budget) as client:
        with pytest.raises(KubeError) as error:
            [event async for event in client.watch(SECRETS, "1", 10)]
    assert error.value.reason is Reason.API_UNAVAILABLE
    assert budget.in_use == 0
