"""A webhook refuses, does not answer, or is not allowed: each case has a reason, a message, and is retryable or not."""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from clientcert.alerting.dispatcher import SEND_SECONDS
from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.lifecycle.spec import ObjectKey
from clientcert.notifiers.deadline import ALERT_SECONDS
from tests.adapters.sample_messages import alert, failure
from tests.adapters.web_receiver import KEY, PATH, SENT, Vault, WebReceiver, calling, to_webhook


async def answered(status: int, text: str = "", **headers: str) -> DeliveryError:
    """The error for one such answer."""
    receiver = WebReceiver()
    receiver.always(status, text, **headers)
    async with calling(receiver) as (notifier, _):
        return await failure(notifier, to_webhook())


class TestAnswers:
    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    async def test_accepted(self, status: int) -> None:
        """Any 2xx, with any body."""
        receiver = WebReceiver()
        receiver.always(status, "" if status == 204 else '{"ok": false}')
        async with calling(receiver) as (notifier, _):
            receipt = await notifier.notify(to_webhook(), alert())
        assert receipt.thread_ref == ""
        assert len(receiver.calls) == 1

    @pytest.mark.parametrize(
        ("status", "reason", "retryable"),
        [
            (400, Reason.MESSAGE_REFUSED, False),
            (401, Reason.TOKEN_REJECTED, False),
            (403, Reason.TOKEN_REJECTED, False),
            (404, Reason.CHANNEL_NOT_FOUND, False),
            (405, Reason.MESSAGE_REFUSED, False),
            (408, Reason.CHANNEL_UNAVAILABLE, True),
            (410, Reason.CHANNEL_NOT_FOUND, False),
            (413, Reason.MESSAGE_REFUSED, False),
            (422, Reason.MESSAGE_REFUSED, False),
            (429, Reason.RATE_LIMITED, True),
            (500, Reason.CHANNEL_UNAVAILABLE, True),
            (502, Reason.CHANNEL_UNAVAILABLE, True),
            (503, Reason.CHANNEL_UNAVAILABLE, True),
            (504, Reason.CHANNEL_UNAVAILABLE, True),
        ],
    )
    async def test_refused(self, status: int, reason: Reason, retryable: bool) -> None:
        """The error repeats nothing of the answer."""
        error = await answered(status, "<html>canary-9e1c <!channel></html>")
        assert (error.reason, error.retryable) == (reason, retryable)
        assert "canary" not in error.message
        assert "html" not in error.message

    async def test_the_message_has_advice(self) -> None:
        assert (await answered(410)).message == (
            "the webhook is not at this address (HTTP status 410): put the right URL into the Secret that"
            " urlSecretRef names"
        )
        assert (await answered(401)).message == (
            "the webhook refused the operator (HTTP status 401): put a valid URL, key or authorization into its Secret"
        )

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_not_followed(self, status: int) -> None:
        """It could lead anywhere: to a metadata address, or inside the cluster."""
        async with WebReceiver().running() as inside:
            error = await answered(status, Location=f"http://{inside.host}/latest/meta-data")
        assert (error.reason, error.retryable) == (Reason.MESSAGE_REFUSED, False)
        assert "redirect" in error.message
        assert inside.calls == []


class TestRetryAfter:
    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("1", 1),
            ("30", 30),
            ("0", None),
            ("301", 300),
            ("999999999", 300),
            ("99999999999999999999", None),
            ("-5", None),
            ("1e2", None),
            ("soon", None),
            ("", None),
            (format_datetime(SENT + timedelta(seconds=40), usegmt=True), 39.3),
            (format_datetime(SENT + timedelta(days=1), usegmt=True), 300),
            (format_datetime(SENT - timedelta(days=1), usegmt=True), None),
            ("Sun, 99 Nov 2026 09:00:00 GMT", None),
            ("Sun, 22 Nov 2026 09:00:00 -0000", None),
        ],
    )
    async def test_it_is_observed(self, status: int, header: str, seconds: float | None) -> None:
        """Seconds or a date, at most five minutes; any other text is ignored."""
        error = await answered(status, Retry_After=header)
        assert error.retryable
        assert error.retry_after == (None if seconds is None else pytest.approx(seconds))

    async def test_the_message_holds_no_number(self) -> None:
        """It becomes a condition, which must not change with each answer."""
        assert len({(await answered(429, Retry_After=wait)).message for wait in ("1", "2", "3")}) == 1


@contextlib.asynccontextmanager
async def raw(answer: bytes) -> AsyncIterator[tuple[str, list[int]]]:
    """The host of a server that answers with these bytes and then endlessly more; and the number of bytes read."""
    sent: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            for _ in range(400 if answer else 0):
                writer.write(b"x" * 65536)
                await writer.drain()
                sent.append(65536)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", sent


class TestMalformedAnswers:
    async def test_a_huge_one_is_not_read(self) -> None:
        """The status is enough: the message counts as accepted at once."""
        async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 26214400\r\n\r\n") as (host, sent):
            vault = Vault(url=f"http://{host}/", signing=KEY)
            async with calling(vault=vault, allowed=(host,)) as (notifier, _):
                await notifier.notify(to_webhook(), alert())
        assert sum(sent) < 10_000_000

    async def test_one_that_unpacks_to_much_is_not_unpacked(self) -> None:
        """A gzip bomb costs nothing, and an invalid gzip body is no error."""
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 26214400\r\n\r\n"
        async with raw(head) as (host, _):
            vault = Vault(url=f"http://{host}/", signing=KEY)
            async with calling(vault=vault, allowed=(host,)) as (notifier, _):
                receipt = await notifier.notify(to_webhook(), alert())
        assert receipt.thread_ref == ""

    @pytest.mark.parametrize(
        "answer",
        [b"", b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, b"HTTP/1.1 two OK\r\n\r\n"],
        ids=["nothing", "ssh", "huge header", "no status"],
    )
    async def test_an_answer_without_http(self, answer: bytes) -> None:
        """Retryable, and the error repeats nothing of it."""
        async with raw(answer) as (host, _):
            vault = Vault(url=f"http://{host}/", signing=KEY)
            async with calling(vault=vault, allowed=(host,)) as (notifier, _):
                error = await failure(notifier, to_webhook())
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert error.message.startswith("the webhook cannot be reached (")
        assert "SSH" not in error.message

    async def test_no_server(self) -> None:
        async with calling(vault=Vault(url="http://127.0.0.1:1/", signing=KEY), allowed=("127.0.0.1",)) as (
            notifier,
            _,
        ):
            error = await failure(notifier, to_webhook())
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert error.message == "the webhook cannot be reached (ClientConnectorError)"

    async def test_a_slow_one(self) -> None:
        """Ten seconds at most, the Secrets included; the engine's limit allows that."""

        async def wait(_request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(60)
            return web.Response()

        class Stuck(Vault):
            async def read(self, namespace: str, ref: object) -> str:
                await asyncio.sleep(60)
                return ""

        begun = asyncio.get_running_loop().time()
        async with calling(WebReceiver(wait)) as (notifier, _), calling(vault=Stuck()) as (stuck, _):
            errors = await asyncio.gather(failure(notifier, to_webhook()), failure(stuck, to_webhook()))
            took = asyncio.get_running_loop().time() - begun
        for error in errors:
            assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
            assert error.message == "the webhook did not answer within 10 seconds"
        assert took < ALERT_SECONDS + 2
        assert ALERT_SECONDS < SEND_SECONDS


class TestAllowedUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "http://hooks.example.com/x",
            "https://127.0.0.1/x",
            "https://10.0.0.1/x",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/x",
            "https://[64:ff9b::7f00:1]/x",
            "https://2130706433/x",
            "https://kubernetes.default.svc/api",
            "https://localhost/x",
            "https://user:password@hooks.example.com/x",
            "ftp://hooks.example.com/x",
            "file:///etc/passwd",
            "hooks.example.com",
            "https://hooks.example.com/a b",
            "https://hooks.example.com/\r\nX-Injected: 1",
            "",
        ],
    )
    async def test_refused_urls(self, url: str) -> None:
        """Addresses that are not public, http, and texts that are not plain URLs."""
        async with calling(vault=Vault(url=url, signing=KEY), allowed=()) as (notifier, _):
            error = await failure(notifier, to_webhook())
        assert (error.reason, error.retryable) == (Reason.ENDPOINT_NOT_ALLOWED, False)
        assert error.message.startswith("the webhook was not called: ")
        assert "password" not in error.message.replace("a user name or a password", "")

    async def test_a_host_that_is_not_listed(self) -> None:
        """The error names the setting, and does not contain the path, which is secret."""
        async with calling(allowed=("127.0.0.1:1",)) as (notifier, receiver):
            error = await failure(notifier, to_webhook())
        assert receiver.calls == []
        assert error.reason is Reason.ENDPOINT_NOT_ALLOWED
        assert "CLIENTCERT_ALLOWED_HOSTS" in error.message
        assert PATH not in error.message

    async def test_proxy_variables_are_not_obeyed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy would connect to an unchecked address."""
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        async with calling() as (notifier, receiver):
            await notifier.notify(to_webhook(), alert())
        assert len(receiver.calls) == 1


class TestSecrets:
    @pytest.mark.parametrize("missing", ["url", "signing"])
    async def test_a_missing_one(self, missing: str) -> None:
        """Permanent, with the message of the read error; the message is never sent unsigned instead."""
        vault = Vault(url="http://127.0.0.1:1/", signing=KEY)
        async with calling(vault=vault, allowed=("127.0.0.1",)) as (notifier, receiver):
            del vault.values[missing]
            error = await failure(notifier, to_webhook())
        assert (error.reason, error.retryable) == (Reason.TOKEN_NOT_FOUND, False)
        assert f"there is no Secret hooks with a key {missing}" in error.message
        assert receiver.calls == []

    async def test_an_unavailable_api_server(self) -> None:
        """Retryable, and no problem of the channel."""
        away = ClientCertError(Reason.API_UNAVAILABLE, "the API server does not answer", retryable=True)
        async with calling(vault=Vault(away)) as (notifier, _):
            error = await failure(notifier, to_webhook())
        assert (error.reason, error.retryable) == (Reason.API_UNAVAILABLE, True)

    @pytest.mark.parametrize("status", [204, 302, 404, 429, 500])
    async def test_none_is_visible(self, status: int, caplog: pytest.LogCaptureFixture) -> None:
        """The URL's path, the keys and the contact are in no log at any level, no error, no traceback and no repr."""
        caplog.set_level(logging.DEBUG)
        for name in list(logging.root.manager.loggerDict):
            caplog.set_level(logging.DEBUG, logger=name)
        receiver, shown = WebReceiver(), ""
        receiver.always(status, "canary-9e1c", Location="/canary-9e1c")
        async with calling(receiver) as (notifier, _):
            try:
                await notifier.notify(to_webhook(), alert())
            except DeliveryError as error:
                shown = "".join(traceback.format_exception(error)) + repr(error)
            shown += repr(notifier) + repr(vars(notifier))
        for text in (shown, caplog.text):
            assert [word for word in ("canary-9e1c", KEY, "jo@nhs.example", "Bloggs") if word in text] == []


async def test_a_namespace_whose_receiver_hangs_delays_no_other() -> None:
    """However many calls it makes, and makes again as soon as one has ended."""
    receiver = WebReceiver()

    async def hang(request: web.Request) -> web.StreamResponse:
        if b"hostile" in await request.read():
            await asyncio.sleep(60)
        return web.Response(status=204)

    receiver.answer = hang
    async with calling(receiver) as (notifier, _):

        async def again_and_again() -> None:
            while True:
                with contextlib.suppress(DeliveryError):
                    await notifier.notify(to_webhook(), alert(key=ObjectKey("hostile", "nhs")))

        hostile = [asyncio.create_task(again_and_again()) for _ in range(200)]
        await asyncio.sleep(0.5)
        async with asyncio.timeout(5):
            await notifier.notify(to_webhook(), alert(key=ObjectKey("victim", "nhs")))
        for task in hostile:
            task.cancel()
        await asyncio.gather(*hostile, return_exceptions=True)
