"""The client of the API server, with failures that a real API server cannot be made to show."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from clientcert.errors import KubeError, Reason
from clientcert.kube.client import CALLS_AT_ONCE, REQUEST_SECONDS, KubeClient
from clientcert.kube.kubeconfig import Connection
from clientcert.loop_budget import SLICE_SECONDS
from tests.virtual_time import forward


class Server:
    """Gives the prepared answers, and counts the requests."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.asked: Counter[str] = Counter()
        self.hangs = False
        self.awaited = 0
        """All answers are given together, once there are so many requests."""
        self.is_silent_after = b""
        """Sent at once; nothing follows it."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[f"{request.method} {request.path}"] += 1
        if self.is_silent_after:
            stream = web.StreamResponse()
            await stream.prepare(request)
            await stream.write(self.is_silent_after)
            await asyncio.Event().wait()
        if self.hangs:
            await asyncio.Event().wait()
        while sum(self.asked.values()) < self.awaited:
            await asyncio.sleep(0)
        return self.answers.pop(0) if self.answers else web.json_response({"metadata": {"resourceVersion": "1"}})


@asynccontextmanager
async def talking(
    answer_seconds: float = REQUEST_SECONDS, *, observe_only: bool = False
) -> AsyncIterator[tuple[Server, KubeClient]]:
    server, application = Server(), web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    connection = Connection(server=f"http://127.0.0.1:{port}", token="t")
    client = KubeClient(lambda: connection, answer_seconds, observe_only=observe_only)
    try:
        yield server, client
    finally:
        await client.close()
        await runner.cleanup()


def busy(seconds: str, status: int = 429) -> web.Response:
    return web.Response(status=status, headers={"Retry-After": seconds}, text="{}")


async def refused(client: KubeClient, path: str) -> KubeError:
    with pytest.raises(KubeError) as error:
        await client.get(path)
    return error.value


async def test_retry_after_is_observed() -> None:
    """The second call fails without a request; another path is called, and this one again after the time."""
    async with talking() as (server, client):
        server.answers.append(busy("1"))
        first, second = await refused(client, "/one"), await refused(client, "/one")
        assert (first.reason, first.retry_after) == (Reason.API_UNAVAILABLE, 1.0)
        assert second.retryable
        assert 0 < (second.retry_after or 0) <= 1
        await client.get("/other")
        assert server.asked == {"GET /one": 1, "GET /other": 1}
        forward(1.05)
        await client.get("/one")
        assert server.asked["GET /one"] == 2


@pytest.mark.real_time
async def test_answers_that_come_together_are_computed_with_one_after_the_other() -> None:
    """The loop does something else after each slice of time, though all calls are answered in one iteration."""
    async with talking() as (server, client):
        server.awaited, iteration, computed = 30, 0, Counter[int]()

        async def call(number: int) -> None:
            await client.get(f"/{number}")
            time.sleep(SLICE_SECONDS / 4)  # as if it computed
            computed[iteration] += 1

        calls = [asyncio.ensure_future(call(number)) for number in range(server.awaited)]
        while not all(each.done() for each in calls):
            iteration += 1
            await asyncio.sleep(0)
        assert computed.total() == server.awaited
        assert max(computed.values()) <= 6


async def test_reads_and_writes_wait_separately() -> None:
    """A write that must wait does not delay a read of the same object."""
    async with talking() as (server, client):
        server.answers.append(busy("30"))
        with pytest.raises(KubeError):
            await client.merge_patch("/one", {})
        await client.get("/one")


async def test_retry_after_applies_to_any_version_of_an_object() -> None:
    """A Secret is read at the version that the watch reported: a read of the next version counts as the same call."""
    async with talking() as (server, client):
        server.answers.append(busy("30"))
        await refused(client, "/one?resourceVersion=7")
        assert (await refused(client, "/one?resourceVersion=8")).retryable
        assert sum(server.asked.values()) == 1


@pytest.mark.parametrize("said", ["0", "soon", "-1"])
async def test_an_unusable_retry_after_is_ignored(said: str) -> None:
    """Without a usable Retry-After the engine's own backoff applies, and an outage is reported."""
    async with talking() as (server, client):
        server.answers.append(busy(said, status=503))
        assert (await refused(client, "/one")).retry_after is None
        await client.get("/one")
        async with asyncio.timeout(20):
            await client.outage()


async def test_retry_after_is_limited_to_five_minutes() -> None:
    """A longer Retry-After is limited to five minutes."""
    async with talking() as (server, client):
        server.answers.append(busy("86400"))
        assert (await refused(client, "/one")).retry_after == 300.0


async def test_calls_are_served_in_the_order_in_which_they_came() -> None:
    """Callers that call again at once do not overtake a waiting call, so it waits for one round of the others only."""
    callers, ended = 3 * CALLS_AT_ONCE, asyncio.Event()
    async with talking() as (server, client):

        async def call_again_and_again() -> None:
            while not ended.is_set():
                await client.get("/again")

        busy_callers = [asyncio.create_task(call_again_and_again()) for _ in range(callers)]
        while server.asked["GET /again"] < callers:
            await asyncio.sleep(0)
        before = server.asked["GET /again"]
        await client.get("/late")
        overtaken_by = server.asked["GET /again"] - before
        ended.set()
        await asyncio.gather(*busy_callers)
    assert overtaken_by <= 2 * callers


async def test_namespaces_take_turns() -> None:
    """A namespace with slow calls holds half of the slots, and a call for another one is made at once."""
    async with talking() as (server, client):
        server.hangs = True
        slow = [asyncio.create_task(client.get(f"/api/v1/namespaces/hostile/{number}")) for number in range(100)]
        while server.asked.total() < CALLS_AT_ONCE // 2:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert (server.asked.total(), client.slots.waiting) == (CALLS_AT_ONCE // 2, 100 - CALLS_AT_ONCE // 2)
        server.hangs = False
        async with asyncio.timeout(20):
            await client.get("/api/v1/namespaces/victim/one")
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert client.slots.waiting == 0


async def test_a_watch_that_says_nothing_any_more_ends_like_one_that_the_server_ends() -> None:
    """It goes on from its last version: a list for each late bookmark would make a busy API server busier."""
    async with talking() as (server, client):
        server.is_silent_after = b'{"type": "ADDED", "object": {"metadata": {"name": "nhs", "resourceVersion": "7"}}}\n'
        seen = [event["type"] async for event in client.watch("/one", "1", inactivity_seconds=0.1)]
        assert (seen, server.asked) == (["ADDED"], {"GET /one": 1})


async def test_a_watch_that_does_not_begin_fails_like_any_other_call() -> None:
    """It is not the inactivity of a watch, which may take a minute: nobody would see a change meanwhile."""
    async with talking(answer_seconds=0.1) as (server, client):
        server.hangs = True
        with pytest.raises(KubeError) as error:
            async for _ in client.watch("/one", "1", inactivity_seconds=60):
                pass
        assert error.value.reason is Reason.API_UNAVAILABLE


NAMESPACE = "/api/v1/namespaces/team"
OURS = "/apis/clientcert.dev/v1alpha1/namespaces/team"


async def test_while_it_only_observes_it_writes_statuses_alone() -> None:
    """Dry runs change nothing. An object may be called status."""
    named_status = (
        f"{NAMESPACE}/secrets/status",
        f"{NAMESPACE}/configmaps/status",
        f"{OURS}/clientcertificates/status",
    )
    async with talking(observe_only=True) as (server, client):
        await client.get(f"{NAMESPACE}/secrets/nhs")
        await client.merge_patch(f"{OURS}/clientcertificates/nhs/status", {})
        await client.create(f"{OURS}/certificaterenewals?dryRun=All", {})
        done = dict(server.asked)
        for call in (
            *(client.merge_patch(path, {}) for path in named_status),
            client.merge_patch(f"{OURS}/clientcertificates/nhs", {}),
            client.create(f"{NAMESPACE}/events", {}),
            client.create(f"{OURS}/certificaterevocations", {}),
            client.create("/apis/cert-manager.io/v1/namespaces/team/certificaterequests", {}),
            client.delete(f"{OURS}/certificaterenewals/nhs-1", "a-uid"),
        ):
            with pytest.raises(KubeError) as error:
                await call
            assert (error.value.reason, error.value.retryable) == (Reason.OBSERVE_ONLY, False)
        assert server.asked == done
    assert len(done) == 3
