"""Apprise sends plain text, only to hosts in its own code or in the operator's settings, and logs nothing."""

import asyncio
import logging
import re
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from clientcert.alerting.dispatcher import SEND_SECONDS
from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.lifecycle.policy import Channel, Schedule, UrlAddress
from clientcert.messages.digest import compose_digest
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.apprise import (
    FIXED_HOSTS,
    LONGEST_BODY,
    OWN_HOSTS,
    PARAMETERS,
    TEAMS,
    AppriseNotifier,
    load_apprise,
    title_and_body,
)
from tests.adapters.sample_messages import alert, closing, failure
from tests.adapters.web_receiver import URL_REF, Vault, WebReceiver
from tests.builders import DAY, NOW, certificate
from tests.conftest import REPOSITORY
from tests.unit.messages.composing import composed

PAGE = REPOSITORY / "docs/webhooks.md"
RUNBOOK = "https://runbooks.example/renew?a=1&b=2"
CHANNEL = Channel("team", "Apprise", Schedule(), UrlAddress(URL_REF))
FIXED_URLS = (
    "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "gchat://workspace/key/token",
    "ilert://key",
    "incidentio://source/token",
    "jira://a-key-of-some-length",
    "opsgenie://a-key-of-some-length/?region=eu&priority=high",
    "pagerduty://key@api/source/component?region=eu&class=a&group=b",
    "pagertree://int_0123456789",
    "pover://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "signl4://secret",
    "splunk://route@0f0e0d0c-0b0a-0908-0706-050403020100/entity",
    "squadcast://key",
    "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "victorops://route@0f0e0d0c-0b0a-0908-0706-050403020100/entity",
    "webex://" + "a" * 80,
    "wxteams://" + "a" * 80,
    "zoom://webhook/token",
)
"""A URL of each service whose host is fixed in Apprise."""


@asynccontextmanager
async def sending(
    receiver: WebReceiver,
    url: str = "json://{host}/canary-9e1c",
    *,
    allowed: tuple[str, ...] | None = None,
    library: Callable[[], Any] = load_apprise,
) -> AsyncIterator[AppriseNotifier]:
    """`{host}` in `url` is the receiver's host; the settings list that host, or else `allowed`."""
    async with receiver.running():
        vault = Vault(url=url.replace("{host}", receiver.host))
        egress = EgressPolicy([receiver.host] if allowed is None else allowed)
        yield AppriseNotifier(vault.read, egress, library)


async def refused(url: str, allowed: tuple[str, ...] | None = None) -> DeliveryError:
    """The error for a URL; no call was made."""
    receiver = WebReceiver()
    async with sending(receiver, url, allowed=allowed) as notifier:
        error = await failure(notifier, CHANNEL)
    assert receiver.calls == []
    assert not error.retryable
    assert "canary" not in error.message
    return error


class TestTheMessage:
    async def test_the_whole_message(self) -> None:
        """The sentence, the next step, the facts, and the runbook; as a warning."""
        receiver = WebReceiver()
        async with sending(receiver) as notifier:
            await notifier.notify(CHANNEL, alert())
        (call,) = receiver.calls
        assert (call.method, call.path) == ("POST", "/canary-9e1c")
        assert call.json["title"] == "nhs in prod: Expiring"
        assert call.json["type"] == "warning"
        assert call.json["message"] == (
            "The certificate for nhs in prod will expire within the next 14 days\n\n"
            "Ask the technical contact to renew it, and put the renewed certificate into Secret nhs-client-cert,"
            " key tls.crt. The alerts stop when it is there.\n\n"
            "Consumer: nhs\nEnvironment: prod\nTime left: 14 days\nExpires: 2026-12-06 09:00 UTC\n"
            "Serial number: 1a2b3\nOwner: integration-team\n\n"
            f"{RUNBOOK}"
        )

    async def test_a_closing_message_is_good_news(self) -> None:
        receiver = WebReceiver()
        async with sending(receiver) as notifier:
            await notifier.notify(CHANNEL, closing())
        assert receiver.calls[0].json["type"] == "success"
        assert receiver.calls[0].json["title"] == "nhs in prod: Renewed"

    async def test_the_contact_is_not_named(self) -> None:
        """Neither by name nor by address, since the readers are unknown."""
        assert [word for word in ("Jo", "Bloggs", "nhs.example", "@") if word in "".join(title_and_body(alert()))] == []

    async def test_a_digest_is_one_message(self) -> None:
        """A line for each of the most urgent ones, the number of the others, and no names; as one warning."""
        many = [
            composed(certificate(NOW + number * DAY), consumer="<@everyone>" if number == 1 else f"c{number:03d}")
            for number in range(1, 101)
        ]
        receiver = WebReceiver()
        async with sending(receiver) as notifier:
            await notifier.notify_digest(CHANNEL, replace(compose_digest(many), runbook_url=RUNBOOK))
        (call,) = receiver.calls
        title, body = call.json["title"], call.json["message"]
        lines, _, rest = body.partition("\n\n")
        *shown, more = lines.splitlines()
        assert title == "100 certificates need attention; the first expires on 2026-11-23"
        assert shown[0].startswith("- \u2039\uff20everyone\u203a in prod: 1 day (2026-11-23 09:00 UTC); serial number ")
        assert shown[1].startswith("- c002 in prod: 2 days (2026-11-24 09:00 UTC); serial number ")
        assert len(shown) > 5
        assert more == f"… and {100 - len(shown)} more"
        assert "kubectl get clientcertificates --namespace integration" in rest
        assert rest.endswith(f"\n\n{RUNBOOK}")
        assert len(body) <= LONGEST_BODY
        assert [word for word in ("Jo", "Bloggs", "nhs.example", "@") if word in title + body] == []
        assert call.json["type"] == "warning"

    async def test_nothing_is_interpreted(self) -> None:
        """No mention, tag, Markdown link, escape or emoji; no line is broken."""
        hostile = "@everyone <!channel> <at>x</at> [a](http://b) \\n :smile: <b>\r\nX: 1\x00\u202e"
        receiver = WebReceiver()
        async with sending(receiver) as notifier:
            await notifier.notify(CHANNEL, alert(consumer=hostile))
        body = receiver.calls[0].json["message"]
        shown = (
            "\uff20everyone \u2039!channel\u203a \u2039at\u203ax\u2039/at\u203a [a](http://b) \\n :smile: \u2039b\u203a"
            " X: 1\ufffd\ufffd"
        )
        assert f"Consumer: {shown}\n" in body
        assert not set("<>@\r\0") & set(body)

    async def test_it_is_one_message_however_long(self) -> None:
        """10 KB in every field: truncated to the limit of all services."""
        receiver = WebReceiver()
        async with sending(receiver) as notifier:
            await notifier.notify(CHANNEL, alert(consumer="n" * 10_000, environment="e" * 10_000, owner="o" * 10_000))
        (call,) = receiver.calls
        assert len(call.json["message"]) <= LONGEST_BODY
        assert call.json["message"].endswith("\n\nhttps://runbooks.example/renew?a=1&b=2")


class TestAllowedUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "mailto://user:canary@mail.example.com",
            "apprise://{host}/canary",
            "matrix://{host}/canary",
            "syslog://",
            "dbus://",
            "fcm://canary/?keyfile=/etc/passwd",
            "ses://canary",
            "https://discord.com/api/webhooks/1/canary",
            "DISCORD://1/canary",
            "canary",
            "",
            "json://{host}/a json://127.0.0.1:1/",
            "json://{host}/a,\njson://127.0.0.1:1/",
        ],
    )
    async def test_only_reviewed_schemas(self, url: str) -> None:
        """Apprise can also read files, send mail through other hosts, and contact its own machine."""
        error = await refused(url)
        assert error.reason is Reason.ENDPOINT_NOT_ALLOWED
        assert "docs/webhooks.md" in error.message

    @pytest.mark.parametrize(
        "parameter",
        [
            "template=/etc/passwd",
            "template=http://127.0.0.1:1/",
            "redirect=yes",
            "verify=no",
            "rto=600",
            "format=markdown",
            "method=GET",
            "+X-Injected=1",
            "%2BX-Injected=1",
            ":message=canary",
            "-a=b",
            "REGION=eu",
            "region=eu;template=/etc/passwd",
            "region",
            "=",
            "a?template=/etc/passwd",
        ],
    )
    async def test_only_reviewed_parameters(self, parameter: str) -> None:
        """A template is a file or a URL that Apprise reads; other parameters switch checks off."""
        for url in (f"json://{{host}}/?{parameter}", f"discord://1/canary/?{parameter}"):
            assert (await refused(url)).reason is Reason.ENDPOINT_NOT_ALLOWED

    @pytest.mark.parametrize(
        "url",
        [
            "json://127.0.0.1:1/",
            "json://169.254.169.254/",
            "json://hooks.example.com/",
            "jsons://hooks.example.com/",
            "gotify://10.0.0.1/canary",
            "json://{host}@127.0.0.1:1/",
            "json://{host}:pw@127.0.0.1:1/",
            "json://127.0.0.1:1/@{host}",
            "json://127.0.0.1:1#@{host}/",
            "json://127.0.0.1:1\\@{host}/",
            "json://2130706433/",
            "workflows://10.0.0.1:443/canary/canary",
            "workflows://evil.example.com/canary/canary",
            "workflows://logic.azure.com.evil.example/canary/canary",
            "workflows://xlogic.azure.com/canary/canary",
            "workflows://a.logic.azure.com:8443/canary/canary",
        ],
    )
    async def test_a_custom_host_must_be_listed(self, url: str) -> None:
        """The host that Apprise has parsed: Apprise makes its own connections, to unchecked addresses."""
        assert (await refused(url)).reason in {Reason.ENDPOINT_NOT_ALLOWED, Reason.CHANNEL_NOT_FOUND}

    async def test_another_port_of_a_listed_host_is_not(self) -> None:
        """If the settings name a port."""
        error = await refused("json://127.0.0.1:1/", allowed=("127.0.0.1:2",))
        assert error.reason is Reason.ENDPOINT_NOT_ALLOWED
        assert "CLIENTCERT_ALLOWED_HOSTS" in error.message

    async def test_a_redirect_is_not_followed(self) -> None:
        """A listed host cannot lead to another one."""
        receiver = WebReceiver()
        async with WebReceiver().running() as inside:
            receiver.always(307, Location=f"http://{inside.host}/")
            async with sending(receiver) as notifier:
                error = await failure(notifier, CHANNEL)
        assert error.reason is Reason.CHANNEL_UNAVAILABLE
        assert (len(receiver.calls), inside.calls) == (1, [])

    @pytest.mark.parametrize("url", FIXED_URLS)
    async def test_services_that_may_always_be_called_know_their_host(self, url: str) -> None:
        """Apprise parses the URL, and the host of its service does not come from the URL."""
        async with sending(WebReceiver()) as notifier:
            _, service = notifier._service(url)
        assert service is not None, url
        assert url.partition("://")[0] in FIXED_HOSTS
        addresses = [value for name in dir(type(service)) if isinstance(value := getattr(type(service), name), str)]
        assert any(value.startswith("https://") for value in addresses)


class TestFailures:
    async def test_apprise_is_not_installed(self) -> None:
        """The condition says which extra is missing."""

        def missing() -> Any:
            raise ImportError("No module named 'apprise'")

        receiver = WebReceiver()
        async with sending(receiver, library=missing) as notifier:
            error = await failure(notifier, CHANNEL)
        assert (error.reason, error.retryable) == (Reason.CHANNEL_NOT_SUPPORTED, False)
        assert "clientcert-operator[apprise]" in error.message

    @pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
    async def test_a_failed_message_is_retried(self, status: int) -> None:
        """Apprise gives no reason; one call is made, and the error repeats nothing of the answer."""
        receiver = WebReceiver()
        receiver.always(status, "canary-9e1c")
        async with sending(receiver) as notifier:
            error = await failure(notifier, CHANNEL)
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert error.message == (
            "the service behind Apprise did not take the message:"
            " check the channel's URL, and the settings of the service"
        )
        assert len(receiver.calls) == 1

    async def test_a_url_that_apprise_does_not_understand(self) -> None:
        error = await refused("opsgenie://?region=mars")
        assert error.reason is Reason.CHANNEL_NOT_FOUND
        assert "opsgenie://" in error.message

    async def test_a_slow_service(self) -> None:
        """Ten seconds at most, the Secret included; the event loop is not blocked."""

        async def wait(_request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(60)
            return web.Response()

        begun = asyncio.get_running_loop().time()
        async with sending(WebReceiver(wait)) as notifier:
            error = await failure(notifier, CHANNEL)
            took = asyncio.get_running_loop().time() - begun
        assert (error.reason, error.retryable) == (Reason.CHANNEL_UNAVAILABLE, True)
        assert took < 12 < SEND_SECONDS

    async def test_a_missing_secret(self) -> None:
        """Permanent; an API server that is away is not."""
        away = ClientCertError(Reason.API_UNAVAILABLE, "the API server does not answer", retryable=True)
        gone = await failure(AppriseNotifier(Vault().read, EgressPolicy(), load_apprise), CHANNEL)
        later = await failure(AppriseNotifier(Vault(away).read, EgressPolicy(), load_apprise), CHANNEL)
        assert (gone.reason, gone.retryable) == (Reason.TOKEN_NOT_FOUND, False)
        assert (later.reason, later.retryable) == (Reason.API_UNAVAILABLE, True)

    @pytest.mark.parametrize("status", [200, 500])
    async def test_no_secret_is_visible(self, status: int, caplog: pytest.LogCaptureFixture) -> None:
        """Apprise and its libraries log URLs and bodies: none of that reaches our logs, at any level."""
        caplog.set_level(logging.DEBUG)
        receiver, shown = WebReceiver(), ""
        receiver.always(status, "canary-9e1c")
        async with sending(receiver) as notifier:
            try:
                await notifier.notify(CHANNEL, alert())
            except DeliveryError as error:
                shown = "".join(traceback.format_exception(error)) + repr(error)
            shown += repr(notifier) + repr(vars(notifier))
        for text in (shown, caplog.text):
            assert [word for word in ("canary-9e1c", "jo@nhs.example", "expire") if word in text] == []


def test_the_page_lists_what_may_be_used() -> None:
    """All schemas and parameters, and no others."""

    text = PAGE.read_text().partition("## Apprise")[2].partition("## The heartbeat")[0]
    assert set(re.findall(r"`([a-z0-9]+)://`", text)) == FIXED_HOSTS | TEAMS | set(OWN_HOSTS)
    listed = text.partition("only these parameters:")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == PARAMETERS
