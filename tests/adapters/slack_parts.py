"""Shared by the tests of Slack: Secrets in a dict, a notifier for the loopback server, and channels."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

from clientcert.errors import ClientCertError, Reason
from clientcert.lifecycle.policy import Channel, Schedule, SlackAddress
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.slack.channel import OwnSlack, SlackNotifier
from clientcert.own_secrets import OwnSecret
from tools.slack_server import SlackServer

OWN_CHANNEL = "#integration-api-alerts"
TEAM_CHANNEL = "#payments-alerts"
TENANT_TOKEN = "xoxb-canary-7f3a-tenant"
SENTENCE = "The certificate for nhs in prod will expire within the next 14 days"
TOKEN_REF = SecretKeyRef("slack", "token")
WEBHOOK_REF = SecretKeyRef("slack", "webhook")
NOT_INTERPRETED = {
    "mrkdwn": False,
    "parse": "none",
    "link_names": False,
    "unfurl_links": False,
    "unfurl_media": False,
}
"""The settings of every message: Slack links nothing in it, and shows no previews."""


@dataclass
class Secrets:
    """Values by namespace, name and key."""

    values: dict[tuple[str, str, str], str] = field(default_factory=dict, repr=False)
    error: ClientCertError | None = None
    asked: list[tuple[str, SecretKeyRef]] = field(default_factory=list)

    async def read(self, namespace: str, ref: SecretKeyRef) -> str:
        self.asked.append((namespace, ref))
        if self.error is not None:
            raise self.error
        value = self.values.get((namespace, ref.name, ref.key))
        if value is None:
            raise ClientCertError(Reason.TOKEN_NOT_FOUND, f"there is no Secret {ref.name} with a key {ref.key}")
        return value


def workspace() -> SlackServer:
    return SlackServer(channels=[OWN_CHANNEL, TEAM_CHANNEL], tokens=["xoxb-canary-7f3a-own", TENANT_TOKEN])


@asynccontextmanager
async def sending(
    slack: SlackServer,
    own: OwnSlack | None = None,
    secrets: Mapping[str, str] | Secrets | None = None,
    *,
    allowed: tuple[str, ...] | None = None,
    api_url: str = "",
) -> AsyncIterator[SlackNotifier]:
    """A notifier whose operator may post to OWN_CHANNEL; `secrets` are the keys of a Secret named slack."""
    if not isinstance(secrets, Secrets):
        keys = secrets or {"token": TENANT_TOKEN, "webhook": slack.webhook_url(TEAM_CHANNEL)}
        secrets = Secrets({("integration", "slack", key): value for key, value in keys.items()})
    own = own if own is not None else OwnSlack(OWN_CHANNEL, OwnSecret(slack.token))
    api_url = api_url or slack.api_url
    egress = EgressPolicy((slack.host, urlsplit(api_url).netloc) if allowed is None else allowed)
    async with SlackNotifier(own, api_url, secrets.read, egress) as notifier:
        yield notifier


@asynccontextmanager
async def imposter(
    body: bytes, tls: ssl.SSLContext | None = None, content_type: str = "application/json"
) -> AsyncIterator[str]:
    """The Web API's address of a server that answers each call with HTTP 200 and this body."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/api/"
    await runner.cleanup()


def to_own(channel: str = "") -> Channel:
    return Channel("team", "Slack", Schedule(), SlackAddress(channel))


def to_team(channel: str = TEAM_CHANNEL) -> Channel:
    return Channel("team", "Slack", Schedule(), SlackAddress(channel, token_ref=TOKEN_REF))


def to_webhook() -> Channel:
    return Channel("team", "Slack", Schedule(), SlackAddress(webhook_ref=WEBHOOK_REF))
