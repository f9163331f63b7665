"""The dead man's switch: it is called while the operator is healthy, and only then; it never ends by itself."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from clientcert.errors import SettingsError
from clientcert.heartbeat import Heartbeat, _allowing
from clientcert.network.egress import EgressPolicy
from clientcert.own_secrets import OwnSecret
from tests.adapters.web_receiver import PATH, WebReceiver

SOON = 0.02
"""Seconds; in production it is a minute."""


@contextlib.asynccontextmanager
async def beating(
    receiver: WebReceiver,
    is_well: Callable[[], bool] = lambda: True,
    *,
    called: Callable[[str], object] = lambda _outcome: None,
    every: float = SOON,
    call_seconds: float = 10.0,
) -> AsyncIterator["asyncio.Task[None]"]:
    heartbeat = Heartbeat(OwnSecret(receiver.url), EgressPolicy([receiver.host]), is_well, every, called, call_seconds)
    task = asyncio.create_task(heartbeat.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_it_is_called_while_the_operator_is_healthy() -> None:
    """Repeated GET requests of exactly that URL."""
    async with WebReceiver().running() as receiver, beating(receiver):
        await until(lambda: len(receiver.calls) >= 3)
    assert {(call.method, call.path) for call in receiver.calls} == {("GET", PATH)}


async def test_it_is_not_called_otherwise() -> None:
    """A standby, or a leader whose scheduler hangs, makes no call: its absence causes the alert."""
    well, asked = False, 0

    def is_well() -> bool:
        nonlocal asked
        asked += 1
        return well

    async with WebReceiver().running() as receiver, beating(receiver, is_well):
        await until(lambda: asked >= 5)
        assert receiver.calls == []
        well = True
        await until(lambda: bool(receiver.calls))
        well = False
        await until(lambda: asked >= 10)
        quiet, before = len(receiver.calls), asked
        await until(lambda: asked >= before + 5)
        assert len(receiver.calls) == quiet


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_failures_are_logged_once_in_a_row_and_counted(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """Calls continue after failures, and the recovery is logged. The URL is a secret, and in no log line."""
    caplog.set_level(logging.DEBUG)
    outcomes: list[str] = []
    receiver = WebReceiver()
    receiver.always(status, "canary-9e1c", Location="/elsewhere")
    async with receiver.running(), beating(receiver, called=outcomes.append) as task:
        await until(lambda: outcomes.count("failed") >= 4)
        receiver.answer = None
        await until(lambda: "ok" in outcomes)
        assert not task.done()
    lines = [record.getMessage() for record in caplog.records if record.name == "clientcert.heartbeat"]
    assert lines == [
        f"The heartbeat call failed (HTTP status {status}): check CLIENTCERT_HEARTBEAT_URL and the service behind it",
        "The heartbeat call succeeds again",
    ]
    assert "canary-9e1c" not in caplog.text
    assert {call.path for call in receiver.calls} == {PATH}


async def test_no_server_and_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a refused connection nor a missing answer ends the calls."""

    async def wait(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    outcomes: list[str] = []
    async with (
        WebReceiver(wait).running() as receiver,
        beating(receiver, called=outcomes.append, call_seconds=SOON) as task,
    ):
        await until(lambda: len(outcomes) >= 2)
        gone = Heartbeat(
            OwnSecret("http://127.0.0.1:1/"), EgressPolicy(["127.0.0.1"]), lambda: True, SOON, outcomes.append
        )
        second = asyncio.create_task(gone.run())
        await until(lambda: "ClientConnectorError" in caplog.text)
        assert not task.done()
        assert not second.done()
        second.cancel()
    assert set(outcomes) == {"failed"}


@pytest.mark.parametrize(
    "url", ["http://hc.example/ping", "hc.example/ping", "ftp://hc.example/", "https://", "https://a@b/"]
)
def test_a_url_that_is_not_https_is_refused_at_the_start(url: str) -> None:
    """The error has the name of the setting, and not the URL."""
    with pytest.raises(SettingsError) as raised:
        Heartbeat(OwnSecret(url), EgressPolicy(), lambda: True)
    assert raised.value.message.startswith("CLIENTCERT_HEARTBEAT_URL is not an https:// address")
    assert "hc.example" not in raised.value.message


def test_an_https_url_may_have_any_host() -> None:
    """An https URL may have any host, also in a private network, because it is a setting of the operator."""
    url = "https://hc.internal:8443/ping"
    Heartbeat(OwnSecret(url), EgressPolicy(), lambda: True)
    assert "hc.internal" in repr(_allowing(url, EgressPolicy()))
