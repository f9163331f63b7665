"""Everything that all stores share: connections, requests at once and memory. No namespace takes them from another."""

import asyncio
import gc
import weakref
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from clientcert.lifecycle.spec import Bucket
from clientcert.sources.s3.connections import IDLE_CONNECTIONS
from clientcert.sources.s3.limits import REQUESTS_AT_ONCE
from tests.adapters.s3_parts import Proxy, Stores, credentials, failure, read

MANY = IDLE_CONNECTIONS + 8


@pytest.fixture
async def proxy():
    async with Proxy().running() as running:
        running.answers(body=b"content", ETag='"1"')
        yield running


def stores(proxy: Proxy, namespace: str, count: int) -> Stores:
    found = Stores()
    return add(found, proxy, namespace, count)


def add(found: Stores, proxy: Proxy, namespace: str, count: int) -> Stores:
    for number in range(count):
        found.buckets[namespace, f"store-{number}"] = Bucket(
            "a-bucket", region="eu-west-2", endpoint=proxy.endpoint, credentials_secret="s3"
        )
    found.secrets[namespace, "s3"] = credentials("key", "secret")
    return found


async def test_few_connections_are_kept(proxy: Proxy) -> None:
    """Those that were used last. A store whose connection is gone is read over a new one."""
    many = stores(proxy, "team-a", MANY)
    async with many.reader() as reader:
        for number in range(MANY):
            await read(reader, "k", f"store-{number}")
        connections = reader._connections
        kept = [key.name for key in connections._idle]
        assert kept == [f"store-{number}" for number in range(MANY - IDLE_CONNECTIONS, MANY)]
        assert sum(slot.connection is not None for slot in connections._slots.values()) == IDLE_CONNECTIONS
        made = many.secret_reads
        await read(reader, "k", f"store-{MANY - 1}")
        assert many.secret_reads == made
        await read(reader, "k", "store-0")
        assert many.secret_reads == made + 1
        assert len(connections._idle) == IDLE_CONNECTIONS
        await reader.forget("team-a", "store-0")
        assert len(connections._idle) == IDLE_CONNECTIONS - 1


async def test_a_retired_connection_is_freed_although_no_collection_looks_at_it(proxy: Proxy) -> None:
    """What has lived for a while is frozen (`garbage_collection`), and clients are in cycles. The others work on."""
    many = stores(proxy, "team-a", 2)
    async with many.reader() as reader:
        for number in range(2):
            await read(reader, "k", f"store-{number}")
        retired, kept = (slot.connection for slot in reader._connections._slots.values())
        models = [weakref.ref(each._client.meta.service_model) for each in (retired, kept)]
        gc.freeze()
        del retired, kept
        try:
            await reader.forget("team-a", "store-0")
            await asyncio.sleep(0)
            assert [each() is None for each in models] == [True, False]
        finally:
            gc.unfreeze()
        assert (await read(reader, "other", "store-1")).body == b"content"
        assert (await read(reader, "k", "store-0")).body == b"content"


async def test_a_connection_in_use_is_not_closed(proxy: Proxy) -> None:
    """Its answer arrives, however many others were used meanwhile."""
    many, wait = stores(proxy, "team-a", MANY), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("slow"):
            await wait.wait()
        return web.Response(body=b"content", headers={"ETag": '"1"'})

    proxy.behaviour = answer
    async with many.reader() as reader:
        slow = asyncio.create_task(read(reader, "slow", "store-0"))
        for number in range(1, MANY):
            await read(reader, "k", f"store-{number}")
        wait.set()
        assert (await slow).body == b"content"


async def test_a_dead_server_is_still_known_when_its_connection_is_gone(proxy: Proxy) -> None:
    """The circuit stays open: nobody waits for the deadline once more."""
    many = stores(proxy, "team-a", MANY)

    async def hang(request: web.Request) -> web.Response:
        if request.path.endswith("dead"):
            await asyncio.sleep(60)
        return web.Response(body=b"content", headers={"ETag": '"1"'})

    proxy.behaviour = hang
    async with many.reader(deadline=1.5) as reader:
        await asyncio.gather(*(failure(read(reader, "dead", "store-0")) for _ in range(10)))
        for number in range(1, MANY):
            await read(reader, "k", f"store-{number}")
        assert reader._connections._slots[next(iter(reader._connections._slots))].connection is None
        await failure(read(reader, "dead", "store-0"))  # perhaps the one request that is let through
        async with asyncio.timeout(1):
            await failure(read(reader, "dead", "store-0"))


async def test_a_namespace_whose_servers_hang_delays_no_other(proxy: Proxy) -> None:
    """More reads than there may be requests at once, from many stores; and memory is shared in the same way."""
    many = add(stores(proxy, "hostile", 20), proxy, "victim", 1)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("hangs"):
            response = web.StreamResponse(headers={"Content-Length": "1000000", "ETag": '"1"'})
            await response.prepare(request)
            await response.write(bytes(999_999))
            await asyncio.sleep(60)
        return web.Response(body=b"content" * 100_000, headers={"ETag": '"1"'})

    proxy.behaviour = answer
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(many.reader())
        hostile = [
            asyncio.create_task(read(reader, "hangs", f"store-{number % 20}", "hostile"))
            for number in range(2 * REQUESTS_AT_ONCE)
        ]
        async with asyncio.timeout(30):
            while reader.requests.waiting < REQUESTS_AT_ONCE:
                await asyncio.sleep(0.05)
        async with asyncio.timeout(20):
            assert len((await read(reader, "well", "store-0", "victim")).body) == 700_000
        for task in hostile:
            task.cancel()
        await asyncio.gather(*hostile, return_exceptions=True)
        assert (reader.requests.waiting, reader._limits.bytes.in_use) == (0, 0)
