"""Slack refuses, or does not answer: each case has a reason, a message, and is retryable or not."""

import asyncio
import json
import logging
import ssl
import traceback
from pathlib import Path

import pytest

from clientcert.alerting.dispatcher import SEND_SECONDS
from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.lifecycle.policy import Channel
from clientcert.notifiers.deadline import ALERT_SECONDS
from clientcert.notifiers.slack.thread_details import ADD_SECONDS, LAST_SECONDS
from tests.adapters.sample_messages import alert, closing, failure
from tests.adapters.slack_parts import (
    OWN_CHANNEL,
    SENTENCE,
    TEAM_CHANNEL,
    TENANT_TOKEN,
    Secrets,
    imposter,
    sending,
    to_own,
    to_team,
    to_webhook,
)
from tests.builders import DAY, NOW
from tools.certificates import CertificateAuthority
from tools.slack_server import PASS, Fault, SlackServer

TOKEN_CODES = (
    "invalid_auth not_authed token_revoked token_expired account_inactive missing_scope no_permission access_denied"
)
CHANNEL_CODES = "channel_not_found not_in_channel is_archived restricted_action restricted_action_read_only_channel"
MESSAGE_CODES = "msg_too_long invalid_blocks invalid_blocks_format no_text too_many_attachments"
PASSING_CODES = "internal_error service_unavailable fatal_error request_timeout some_new_code"


class TestOkFalse:
    """HTTP 200 and `ok: false`, the form of the Web API's errors."""

    @pytest.mark.parametrize("code", TOKEN_CODES.split())
    async def test_the_token(self, slack: SlackServer, code: str) -> None:
        """Permanent, until the token is replaced."""
        error = await answered(slack, Fault.error(code))
        assert (error.reason, error.retryable) == (Reason.TOKEN_REJECTED, False)
        assert f"({code})" in error.message

    @pytest.mark.parametrize("code", CHANNEL_CODES.split())
    async def test_the_channel(self, slack: SlackServer, code: str) -> None:
        """Permanent, until the app is invited or another channel is named."""
        error = await answered(slack, Fault.error(code))
        assert (error.reason, error.retryable) == (Reason.CHANNEL_NOT_FOUND, False)
        assert f"({code})" in error.message

    async def test_the_message_has_advice(self, slack: SlackServer) -> None:
        """For three common mistakes."""
        words = {code: (await answered(slack, Fault.error(code))).message for code in ADVICE}
        assert words == ADVICE

    @pytest.mark.parametrize("code", MESSAGE_CODES.split())
    async def test_the_message_is_sent_again_as_plain_text(self, slack: SlackServer, code: str) -> None:
        """No alert is lost to its formatting: the sentence, the facts and the next step arrive."""
        slack.fail_next(Fault.error(code))
        message = alert()
        async with sending(slack) as notifier:
            receipt = await notifier.notify(to_own(), message)
        posted = slack.in_channel(OWN_CHANNEL)[0]
        assert posted.blocks == ()
        assert posted.text.startswith(SENTENCE + "\n")
        assert "Serial number: 1a2b3" in posted.text
        assert message.next_step in posted.text
        assert receipt.thread_ref.endswith(posted.ts)

    async def test_a_message_refused_in_plain_text_too(self, slack: SlackServer) -> None:
        """Then it is a bug of ours, and permanent."""
        slack.fail_always(Fault.error("invalid_arguments"))
        async with sending(slack) as notifier:
            error = await failure(notifier, to_own())
        assert (error.reason, error.retryable) == (Reason.MESSAGE_REFUSED, False)
        assert len(slack.calls) == 2

    @pytest.mark.parametrize("code", PASSING_CODES.split())
    async def test_transient_errors(self, slack: SlackServer, code: str) -> None:
        """Slack's internal errors and unknown codes: the same call may succeed later."""
        error = await answered(slack, Fault.error(code))
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert f"({code})" in error.message

    @pytest.mark.parametrize("code", ["<!channel>", "Two Words", "x" * 65, "", "line\nline", 17, None, ["a"], {"a": 1}])
    async def test_an_invalid_error_code_is_not_repeated(self, slack: SlackServer, code: object) -> None:
        """Bodies of foreign answers never reach a status."""
        error = await answered(slack, Fault(body=json.dumps({"ok": False, "error": code, "needed": "secret"})))
        assert error.reason is Reason.CHANNEL_UNAVAILABLE
        assert error.message == "the server at Slack's address gave an answer that is not Slack's (HTTP status 200)"

    async def test_an_unknown_token_and_an_unknown_channel_for_real(self, slack: SlackServer) -> None:
        """The errors of the workspace itself, not injected ones."""
        async with sending(slack, secrets={"token": "xoxb-of-somebody-else"}) as notifier:
            assert (await failure(notifier, to_team())).reason is Reason.TOKEN_REJECTED
        async with sending(slack) as notifier:
            assert (await failure(notifier, to_team("#nowhere"))).reason is Reason.CHANNEL_NOT_FOUND


ADVICE = {
    "not_in_channel": "Slack refused the message (not_in_channel):"
    " check the channel's name, and invite the Slack app to it (/invite @the-app)",
    "missing_scope": "Slack refused the message (missing_scope):"
    " give the Slack app the scope chat:write, and install it again",
    "token_revoked": "Slack refused the message (token_revoked):"
    " put a valid token or webhook into the Secret, or into the operator's own settings",
}


class TestRateLimits:
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("1", 1),
            ("30", 30),
            ("0", None),
            ("999999", 3600),
            ("soon", None),
            ("-5", None),
            ("1e9", None),
            (None, None),
        ],
    )
    @pytest.mark.parametrize("channel", [to_own(), to_webhook()], ids=["bot", "webhook"])
    async def test_retry_after_is_passed_on(
        self, slack: SlackServer, channel: Channel, header: str | None, seconds: float | None
    ) -> None:
        """Seconds, at most an hour; any other text is ignored."""
        error = await answered(slack, Fault.rate_limited(header), channel)
        assert (error.reason, error.retryable, error.retry_after) == (Reason.RATE_LIMITED, True, seconds)

    async def test_as_an_error_code(self, slack: SlackServer) -> None:
        """`ratelimited` with HTTP 200 is the same."""
        assert (await answered(slack, Fault.error("ratelimited"))).reason is Reason.RATE_LIMITED

    async def test_the_message_holds_no_number(self, slack: SlackServer) -> None:
        """It becomes a condition, which must not change with each answer."""
        messages = {(await answered(slack, Fault.rate_limited(wait))).message for wait in (1, 2, 3)}
        assert len(messages) == 1


class TestHTTP:
    @pytest.mark.parametrize(
        ("channel", "fault"),
        [
            (channel, fault)
            for channel in (to_own(), to_webhook())
            for fault in (
                Fault.http(500),
                Fault.http(502, "<html>" + "x" * 100_000),
                Fault.http(503, ""),
                Fault.cut_off(),
                Fault.http(302, Location="/elsewhere"),
                Fault.http(307, Location="http://127.0.0.1:1/"),
                Fault.http(200, "<html>hello</html>"),
            )
        ],
    )
    async def test_transient_errors(self, slack: SlackServer, channel: Channel, fault: Fault) -> None:
        """Server errors, closed connections, and redirects, which are not followed."""
        error = await answered(slack, fault, channel)
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert "<html>" not in error.message
        assert len(slack.calls) == 1

    @pytest.mark.parametrize(
        "body", ["<html>hello</html>", "[]", "17", "null", "{", '"ok"', "", "{}", '{"ok": "no"', "\udcff"]
    )
    @pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/html", "application/gzip"])
    async def test_an_answer_that_is_not_slacks(self, slack: SlackServer, body: str, kind: str) -> None:
        """From a login page or a proxy: it does not count as success, and the error repeats nothing of it."""
        async with (
            imposter(body.encode(errors="surrogateescape"), content_type=kind) as url,
            sending(slack, api_url=url) as notifier,
        ):
            error = await failure(notifier, to_own())
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert "hello" not in error.message

    async def test_no_server(self, slack: SlackServer) -> None:
        """A refused connection is retryable."""
        async with sending(slack, api_url="http://127.0.0.1:1/api/") as notifier:
            error = await failure(notifier, to_own())
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert error.message == "Slack cannot be reached (ClientConnectorError)"

    @pytest.mark.parametrize(
        ("status", "body", "reason"),
        [
            (400, "invalid_payload", Reason.MESSAGE_REFUSED),
            (403, "invalid_token", Reason.TOKEN_REJECTED),
            (403, "action_prohibited", Reason.TOKEN_REJECTED),
            (403, "posting_to_general_channel_denied", Reason.CHANNEL_NOT_FOUND),
            (403, "<html>forbidden</html>", Reason.TOKEN_REJECTED),
            (404, "no_service", Reason.TOKEN_REJECTED),
            (404, "channel_not_found", Reason.CHANNEL_NOT_FOUND),
            (404, "", Reason.CHANNEL_NOT_FOUND),
            (410, "channel_is_archived", Reason.CHANNEL_NOT_FOUND),
            (410, "gone", Reason.CHANNEL_NOT_FOUND),
        ],
    )
    async def test_a_webhook_that_is_refused(self, slack: SlackServer, status: int, body: str, reason: Reason) -> None:
        """Permanent, with a reason; of the answer only a known code is repeated."""
        slack.fail_always(Fault.http(status, body))
        async with sending(slack) as notifier:
            error = await failure(notifier, to_webhook())
        assert (error.reason, error.retryable) == (reason, False)
        assert "forbidden" not in error.message

    async def test_a_webhook_whose_blocks_are_refused(self, slack: SlackServer) -> None:
        """It is sent again as plain text."""
        slack.fail_next(Fault.http(400, "invalid_blocks"))
        async with sending(slack) as notifier:
            await notifier.notify(to_webhook(), alert())
        assert [posted.blocks for posted in slack.messages] == [()]

    async def test_an_untrusted_certificate(self, slack: SlackServer, tmp_path: Path) -> None:
        """TLS is verified: no token goes to a server that only claims to be Slack."""
        issued = CertificateAuthority.create("Imposter CA").issue("127.0.0.1", NOW - 9999 * DAY, NOW + 9999 * DAY)
        (tmp_path / "chain.pem").write_bytes(issued.chain_pem)
        (tmp_path / "key.pem").write_bytes(issued.private_key_pem)
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
        async with imposter(b'{"ok": true}', tls) as url, sending(slack, api_url=url) as notifier:
            error = await failure(notifier, to_own())
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert error.message == "Slack cannot be reached (ClientConnectorCertificateError)"


class TestTimeouts:
    async def test_a_send_has_a_time_limit(self, slack: SlackServer) -> None:
        """An alert takes at most 10 seconds with its Secret, and details 6 more; the engine's limit allows both."""

        class Stuck(Secrets):
            async def read(self, namespace: str, ref: object) -> str:
                await asyncio.sleep(60)
                return ""

        slack.fail_next(PASS, Fault.slow(60), place=OWN_CHANNEL)
        slack.fail_always(Fault.slow(60), place=TEAM_CHANNEL)
        begun = asyncio.get_running_loop().time()
        async with sending(slack) as notifier, sending(slack, secrets=Stuck()) as stuck:
            receipt, *errors = await asyncio.gather(
                notifier.notify(to_own(), alert()),
                failure(notifier, to_team()),
                failure(notifier, to_webhook()),
                failure(stuck, to_team()),
            )
            took = asyncio.get_running_loop().time() - begun
        assert receipt.thread_ref
        for error in errors:
            assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
            assert error.message == "Slack did not answer within 10 seconds"
        assert took < ALERT_SECONDS + 2
        assert ALERT_SECONDS + ADD_SECONDS < SEND_SECONDS


class TestDetailsThatFail:
    """The alert was sent: a failure of its details does not send it again."""

    @pytest.mark.parametrize(
        "fault",
        [
            Fault.http(500),
            Fault.rate_limited(30),
            Fault.error("token_revoked"),
            Fault.cut_off(),
            Fault.error("invalid_blocks"),
        ],
        ids=["500", "429", "revoked", "cut", "blocks"],
    )
    async def test_the_alert_counts_as_sent(
        self, slack: SlackServer, fault: Fault, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One message in the channel, a receipt, and a line in the log that names the object."""
        slack.fail_next(PASS, fault)
        async with sending(slack) as notifier:
            receipt = await notifier.notify(to_own(), alert())
        (posted,) = slack.messages
        assert receipt.thread_ref == f"{posted.channel_id}:{posted.ts}"
        (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert line.getMessage().startswith("integration/nhs-prod: the alert was sent, but its details were not: ")

    @pytest.mark.parametrize("fault", [Fault.http(500), Fault.rate_limited(1)], ids=["500", "429"])
    async def test_they_are_tried_again(
        self, slack: SlackServer, fault: Fault, caplog: pytest.LogCaptureFixture
    ) -> None:
        """After a transient failure the details arrive, once."""
        slack.fail_next(PASS, fault)
        async with sending(slack) as notifier:
            await notifier.notify(to_own(), alert())
            async with asyncio.timeout(10):
                while len(slack.messages) < 2:
                    await asyncio.sleep(0.05)
        posted, details = slack.messages
        assert slack.replies(posted) == [details]
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    async def test_a_stop_does_not_wait_for_another_try(self, slack: SlackServer) -> None:
        """The details have two seconds, and delay no other alert."""
        slack.fail_next(PASS, Fault.rate_limited(30))
        async with sending(slack) as notifier:
            await notifier.notify(to_own(), alert())
            begun = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun < LAST_SECONDS + 1
        assert len(slack.calls) == 2

    async def test_an_answer_without_a_thread(self, slack: SlackServer) -> None:
        """After an answer with `ok: true` only, the alert counts as sent; its details have no thread."""
        slack.fail_next(Fault(body='{"ok": true}', accepted=True))
        async with sending(slack) as notifier:
            receipt = await notifier.notify(to_own(), alert())
        assert receipt.thread_ref == ""
        assert len(slack.messages) == 1

    @pytest.mark.parametrize("reference", ["C1|<!channel>", "c1", "C" * 99, 17, None])
    async def test_an_answer_with_a_malformed_thread(self, slack: SlackServer, reference: object) -> None:
        """The reference is kept in status, so a malformed one is left out."""
        slack.fail_next(Fault(body=json.dumps({"ok": True, "channel": reference, "ts": "1.1"}), accepted=True))
        async with sending(slack) as notifier:
            assert (await notifier.notify(to_own(), closing())).thread_ref == ""


class TestSecretsOfTheTenant:
    async def test_a_missing_one(self, slack: SlackServer) -> None:
        """Permanent, with the message of the read error."""
        async with sending(slack, secrets=Secrets()) as notifier:
            error = await failure(notifier, to_team())
        assert (error.reason, error.retryable) == (Reason.TOKEN_NOT_FOUND, False)
        assert "there is no Secret slack with a key token" in error.message

    async def test_an_unavailable_api_server(self, slack: SlackServer) -> None:
        """Retryable, and no problem of the channel."""
        away = ClientCertError(Reason.API_UNAVAILABLE, "the API server does not answer", retryable=True)
        async with sending(slack, secrets=Secrets(error=away)) as notifier:
            error = await failure(notifier, to_webhook())
        assert (error.reason, error.retryable) == (Reason.API_UNAVAILABLE, True)


class TestNoSecretIsRevealed:
    """Tokens and webhook addresses appear in no log at any level, no error, no traceback and no repr."""

    @pytest.mark.parametrize(
        "fault",
        [
            PASS,
            Fault.error("invalid_auth"),
            Fault.error("invalid_blocks"),
            Fault.http(500),
            Fault.http(302, Location="/x"),
            Fault.http(200, "<html>"),
            Fault.cut_off(),
        ],
        ids=["sent", "auth", "blocks", "500", "redirect", "html", "cut"],
    )
    @pytest.mark.parametrize("channel", [to_own(), to_team(), to_webhook()], ids=["own", "team", "webhook"])
    async def test_any_failure(
        self, slack: SlackServer, channel: Channel, fault: Fault, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With every logger at debug level, asyncio's and aiohttp's included."""
        caplog.set_level(logging.DEBUG)
        for name in list(logging.root.manager.loggerDict):
            caplog.set_level(logging.DEBUG, logger=name) if not name.endswith(".sdk") else None
        slack.fail_next(fault, fault)
        shown = ""
        async with sending(slack) as notifier:
            try:
                await notifier.notify(channel, alert())
            except DeliveryError as error:
                shown = "".join(traceback.format_exception(error)) + repr(error)
            shown += repr(notifier) + repr(vars(notifier))
        path = slack.webhook_url(TEAM_CHANNEL).removeprefix(slack.url)
        for text in (shown, caplog.text):
            assert "canary-7f3a" not in text
            assert TENANT_TOKEN not in text
            assert path not in text
            assert "jo@nhs.example" not in text


class TestTheEnvironment:
    async def test_proxy_variables_are_not_obeyed(self, slack: SlackServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """The SDK would send the token through a proxy that the environment names."""
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        async with sending(slack) as notifier:
            await notifier.notify(to_own(), alert())
            await notifier.notify(to_webhook(), alert())
        assert len(slack.messages) == 3


async def answered(slack: SlackServer, fault: Fault, channel: Channel | None = None) -> DeliveryError:
    """The error for one such answer."""
    slack.fail_next(fault)
    async with sending(slack) as notifier:
        return await failure(notifier, channel or to_own())
