"""Slack channels: a bot token posts an alert and, in its thread, the details; a webhook posts both in one message.

    notifier = SlackNotifier(own, api_url, read_secret, egress)
    async with notifier:
        receipt = await notifier.notify(channel, message)

A call is made once; its error says whether the engine should retry it. Only a message whose form Slack refuses is sent
again at once, as plain text, so that no alert is lost to its formatting.
"""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from clientcert.errors import ClientCertError, DeliveryError, Reason, SettingsError
from clientcert.fair_queueing import FairSemaphore
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel, SlackAddress
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.messages.digest import Digest
from clientcert.messages.message import Message
from clientcert.messages.text import sanitize_line
from clientcert.network.egress import EgressPolicy
from clientcert.network.retry_after import parse_retry_after
from clientcert.notifiers.deadline import ALERT_SECONDS, deadline, unreached
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.notifiers.secret_value import ReadSecret, key_name, secret_value
from clientcert.notifiers.slack.block_kit import (
    alert_payload,
    details_payload,
    digest_payload,
    folded_payload,
    plain_digest_payload,
    plain_payload,
)
from clientcert.notifiers.slack.errors import refusal
from clientcert.notifiers.slack.plain_fallback import post_with_plain_fallback
from clientcert.notifiers.slack.thread_details import Details
from clientcert.notifiers.slack.tokens import own_token, read_token
from clientcert.notifiers.slack.web_api import (
    CALLS_AT_ONCE,
    LONGEST_WAIT,
    MESSAGE_SECONDS,
    SLACK,
    SlackWebApi,
    check_tls,
)
from clientcert.own_secrets import OwnSecret

_OWN_WEBHOOK = "CLIENTCERT_SLACK_WEBHOOK_URL"
_WEBHOOK_HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
_CHANNEL_ID = re.compile(r"[A-Z0-9]{1,32}")
_TIMESTAMP = re.compile(r"[0-9]{1,16}\.[0-9]{1,10}")
_LONGEST_ANSWER = 256
_LONGEST_CHANNEL = 80


@dataclass(frozen=True, slots=True)
class OwnSlack:
    """The operator's own Slack channel, from its settings; every field may be empty."""

    channel: str = ""
    token: OwnSecret = field(default_factory=OwnSecret)
    webhook_url: OwnSecret = field(default_factory=OwnSecret)


@dataclass(frozen=True, slots=True)
class _Bot:
    token: str = field(repr=False)
    channel: str


@dataclass(frozen=True, slots=True)
class _Webhook:
    url: str = field(repr=False)
    own: bool
    """True if it is in the operator's settings, so that its host is not checked."""
    namespace: str = ""
    """Of the Secret."""


class SlackNotifier:
    """Sends to Slack, over sessions that last as long as the `async with` block.

    Addresses in the operator's settings are trusted. A webhook in a tenant's Secret goes through `egress`.
    """

    def __init__(self, own: OwnSlack, api_url: str, read_secret: ReadSecret, egress: EgressPolicy) -> None:
        """Raises SettingsError for an address in the settings that is neither https nor of a listed host."""
        self._api = SlackWebApi(api_url, egress)
        check_tls(_OWN_WEBHOOK, own.webhook_url.value, egress)
        self._own = own
        self._read_secret = read_secret
        self._egress = egress
        self._guarded_session: aiohttp.ClientSession | None = None
        self._webhook_calls = FairSemaphore(CALLS_AT_ONCE)
        self._details = Details()

    async def __aenter__(self) -> Self:
        self._guarded_session = self._egress.session(timeout=aiohttp.ClientTimeout(total=ALERT_SECONDS), limit=0)
        self._api.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._details.finish()
        if self._guarded_session is not None:
            await self._guarded_session.close()
        await self._api.close()

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        """As in the interface. Every message starts a thread of its own, since nobody reads replies in an old one."""
        async with deadline(SLACK):
            destination = await self._destination(message.object_key.namespace, _address(channel))
            receipt = await self._send_alert(destination, message)
        _, _, thread = receipt.thread_ref.partition(":")
        if thread and isinstance(destination, _Bot) and message.kind is not MessageKind.CLOSING:
            details = details_payload(message) | {"thread_ts": thread}
            self._details.add(message.object_key, partial(self._post, destination, details))
        return receipt

    async def notify_digest(self, channel: Channel, digest: Digest) -> Receipt:
        """As in the interface. A digest has no thread: it only counts the certificates that have no room."""
        async with deadline(SLACK):
            destination = await self._destination(digest.namespace, _address(channel))
            subject, post = f"a digest of {digest.namespace}", partial(self._post, destination)
            return await post_with_plain_fallback(subject, post, digest_payload(digest), plain_digest_payload(digest))

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace:
        """Slack accepts one message a second in a channel; an alert of a bot is two messages, with its details.

        In the operator's own channel the messages of each namespace are a destination.
        """
        address = _address(channel)
        mine = address.token_ref is None and address.webhook_ref is None
        threaded = (
            kind is not MessageKind.CLOSING and address.webhook_ref is None and not (mine and self._own.webhook_url)
        )
        place = ("Slack", _plain_name(self._own.channel)) if mine else ("Slack", namespace, address)
        return Pace(place, 2 * MESSAGE_SECONDS if threaded else MESSAGE_SECONDS, namespace if mine else "")

    async def _send_alert(self, destination: _Bot | _Webhook, message: Message) -> Receipt:
        payload = alert_payload if isinstance(destination, _Bot) else folded_payload
        subject, post = str(message.object_key), partial(self._post, destination)
        return await post_with_plain_fallback(subject, post, payload(message), plain_payload(message))

    async def _destination(self, namespace: str, address: SlackAddress) -> _Bot | _Webhook:
        if address.webhook_ref is not None:
            url = await secret_value(self._read_secret, SLACK, namespace, address.webhook_ref)
            self._check_webhook(url, address.webhook_ref)
            return _Webhook(url, own=False, namespace=namespace)
        if address.token_ref is not None:
            token = await read_token(self._read_secret, namespace, address.token_ref)
            if not address.channel:
                raise DeliveryError(Reason.CHANNEL_NOT_FOUND, "a token alone names no channel: add the channel")
            return _Bot(token, address.channel)
        return self._own_destination(address.channel)

    def _own_destination(self, channel: str) -> _Bot | _Webhook:
        own = self._own
        if channel and _plain_name(channel) != _plain_name(own.channel):
            raise DeliveryError(
                Reason.CHANNEL_NOT_ALLOWED,
                f"the operator's own Slack token may not post to {sanitize_line(channel, _LONGEST_CHANNEL)}:"
                " name a token of your own in tokenSecretRef",
            )
        if own.token and own.channel:
            return _Bot(own_token(own.token), own.channel)
        if own.webhook_url:
            return _Webhook(self._own_webhook_url(), own=True)
        raise DeliveryError(
            Reason.TOKEN_NOT_FOUND,
            "the operator has no Slack channel of its own: name a token of your own in tokenSecretRef,"
            " or set CLIENTCERT_SLACK_TOKEN and CLIENTCERT_SLACK_CHANNEL",
        )

    def _own_webhook_url(self) -> str:
        """The present URL of the settings. Raises DeliveryError for one that its file did not hold at the start."""
        url = self._own.webhook_url.value
        try:
            check_tls(_OWN_WEBHOOK, url, self._egress)
        except SettingsError as error:
            raise DeliveryError(Reason.ENDPOINT_NOT_ALLOWED, error.message) from None
        return url

    def _check_webhook(self, url: str, ref: SecretKeyRef) -> None:
        """Raise DeliveryError for a tenant's webhook that leads neither to Slack nor to a listed host."""
        try:
            listed, parts = self._egress.lists(url), urlsplit(url)
        except ClientCertError:
            listed, parts = False, urlsplit("")
        slack = parts.scheme == "https" and parts.hostname in _WEBHOOK_HOSTS and parts.port in {None, 443}
        if not (slack or listed):
            raise DeliveryError(
                Reason.ENDPOINT_NOT_ALLOWED,
                f"{key_name(ref)} holds no address of a Slack webhook: put the one there that"
                " Slack gave you, which begins with https://hooks.slack.com/",
            )

    async def _post(self, destination: _Bot | _Webhook, payload: dict[str, Any]) -> Receipt:
        if isinstance(destination, _Bot):
            return await self._post_as_bot(destination, payload)
        try:
            return await self._post_to_webhook(destination, payload)
        except DeliveryError:
            raise
        except ClientCertError as error:
            raise DeliveryError(error.reason, f"the webhook was not called: {error.message}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise unreached(SLACK, error) from None

    async def _post_as_bot(self, bot: _Bot, payload: dict[str, Any]) -> Receipt:
        answer = await self._api.ask(bot.token, lambda api: api.chat_postMessage(channel=bot.channel, **payload))
        return Receipt(_thread(answer.get("channel"), answer.get("ts")))

    def _guarded(self) -> aiohttp.ClientSession:
        if self._guarded_session is None or self._guarded_session.closed:
            raise RuntimeError("a notifier sends only within its `async with` block")
        return self._guarded_session

    async def _post_to_webhook(self, webhook: _Webhook, payload: dict[str, Any]) -> Receipt:
        session = self._api.session if webhook.own else self._guarded()
        plain = {"Accept-Encoding": "identity"}
        async with (
            self._webhook_calls.slot(webhook.namespace),
            session.post(webhook.url, json=payload, headers=plain, allow_redirects=False) as answer,
        ):
            body = (await answer.content.read(_LONGEST_ANSWER)).decode("ascii", "replace").strip()
            # Slack answers "ok", compatible servers answer other texts, and a login page in between is HTML.
            if answer.status != 200 or body.startswith("<"):
                raise refusal(body, answer.status, parse_retry_after(answer.headers, LONGEST_WAIT))
        return Receipt()


def _address(channel: Channel) -> SlackAddress:
    return channel.address if isinstance(channel.address, SlackAddress) else SlackAddress()


def _plain_name(channel: str) -> str:
    return channel.strip().removeprefix("#")


def _thread(channel: object, timestamp: object) -> str:
    """The thread of a message, if the answer names it in a known form; it is kept in status."""
    if not isinstance(channel, str) or not isinstance(timestamp, str):
        return ""
    return f"{channel}:{timestamp}" if _CHANNEL_ID.fullmatch(channel) and _TIMESTAMP.fullmatch(timestamp) else ""
