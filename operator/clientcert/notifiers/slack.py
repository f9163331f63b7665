"""Slack: with a bot token the alert stands in the channel and its details in its thread; a webhook gets both in one.

    notifier = SlackNotifier(own, api_url, read_secret, egress)
    async with notifier:
        receipt = await notifier.notify(channel, message)

Retries of an alert are the engine's: a call is made once, and its error says whether it is worth another. Only what
Slack refuses for its form is sent again at once, as plain text, so that no alert is lost to its formatting.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from clientcert.egress import EgressPolicy
from clientcert.errors import ClientCertError, DeliveryError, Reason, SettingsError
from clientcert.lifecycle.alerts import MessageKind
from clientcert.lifecycle.declaration import SecretKeyRef
from clientcert.lifecycle.policy import Channel, SlackAddress
from clientcert.notifiers.digest import Digest
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.notifiers.message import Message
from clientcert.notifiers.slack_answers import refusal, unavailable
from clientcert.notifiers.slack_blocks import alert_payload, details_payload, folded_payload, plain_payload
from clientcert.notifiers.slack_details import Details
from clientcert.notifiers.slack_digest import digest_payload, plain_digest_payload
from clientcert.notifiers.wording import clean

SLACK_API_URL = "https://slack.com/api/"
OWN_TOKEN = "the operator's setting CLIENTCERT_SLACK_TOKEN"  # noqa: S105
ALERT_SECONDS = 10.0
MESSAGE_SECONDS = 1.0
"""Slack takes one message a second in a channel."""

_WEBHOOK_HOSTS = frozenset({"hooks.slack.com", "hooks.slack-gov.com"})
_TOKEN = re.compile(r"[!-~]{1,1024}")
_CHANNEL_ID = re.compile(r"[A-Z0-9]{1,32}")
_TIMESTAMP = re.compile(r"[0-9]{1,16}\.[0-9]{1,10}")
_LONGEST_ANSWER = 256
_LONGEST_CHANNEL = 80

_log = logging.getLogger(__name__)
_sdk_log = logging.getLogger(f"{__name__}.sdk")
_sdk_log.setLevel(logging.CRITICAL)  # at debug level it logs bodies, and with them people's addresses

ReadSecret: TypeAlias = Callable[[str, SecretKeyRef], Awaitable[str]]
"""Gives the value of one key of a Secret in the namespace; raises ClientCertError with words for the user."""
Refusal: TypeAlias = Callable[[object, int, str | None], DeliveryError]
"""Makes an error of Slack's code, the HTTP status and the header Retry-After."""


@dataclass(frozen=True, slots=True)
class OwnSlack:
    """What the operator's settings allow it in Slack; everything may be empty."""

    channel: str = ""
    token: str = field(default="", repr=False)
    webhook_url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Bot:
    token: str = field(repr=False)
    channel: str


@dataclass(frozen=True, slots=True)
class _Webhook:
    url: str = field(repr=False)
    own: bool
    """It stands in the operator's settings, so it may lead anywhere."""


class SlackNotifier:
    """Sends to Slack, over sessions that live as long as the `async with` block.

    What the operator's settings name is trusted. A webhook out of a tenant's Secret goes through `egress`.
    """

    def __init__(self, own: OwnSlack, api_url: str, read_secret: ReadSecret, egress: EgressPolicy) -> None:
        """Raises SettingsError for an address of the settings that is not https, nor of a host that they list."""
        check_tls("CLIENTCERT_SLACK_API_URL", api_url, egress)
        check_tls("CLIENTCERT_SLACK_WEBHOOK_URL", own.webhook_url, egress)
        self._own = own
        self._api_url = api_url or SLACK_API_URL
        self._read_secret = read_secret
        self._egress = egress
        self._session: aiohttp.ClientSession | None = None
        self._guarded_session: aiohttp.ClientSession | None = None
        self._details = Details()

    async def __aenter__(self) -> Self:
        self._guarded_session = self._egress.session(timeout=aiohttp.ClientTimeout(total=ALERT_SECONDS))
        self._session = open_session()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._details.finish()
        for session in (self._session, self._guarded_session):
            if session is not None:
                await session.close()

    async def notify(self, channel: Channel, message: Message, thread_ref: str = "") -> Receipt:  # noqa: ARG002
        """As the protocol says. Every message starts its own thread: a reply in an old one is read by nobody."""
        try:
            async with asyncio.timeout(ALERT_SECONDS):
                destination = await self._destination(message.object_key.namespace, _address(channel))
                receipt = await self._send_alert(destination, message)
        except TimeoutError:
            raise no_answer() from None
        _, _, thread = receipt.thread_ref.partition(":")
        if thread and isinstance(destination, _Bot) and message.kind is MessageKind.ALERT:
            details = details_payload(message) | {"thread_ts": thread}
            self._details.add(message.object_key, partial(self._post, destination, details))
        return receipt

    async def notify_digest(self, channel: Channel, digest: Digest) -> Receipt:
        """As the protocol says. It has no thread: what has no room in the channel is counted there."""
        try:
            async with asyncio.timeout(ALERT_SECONDS):
                destination = await self._destination(digest.namespace, _address(channel))
                payloads = digest_payload(digest), plain_digest_payload(digest)
                return await self._post_or_plainly(f"a digest of {digest.namespace}", destination, *payloads)
        except TimeoutError:
            raise no_answer() from None

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace:
        """Slack takes one message a second in a channel; an alert by a bot is two, with its details."""
        address = _address(channel)
        mine = address.token_ref is None and address.webhook_ref is None
        threaded = kind is MessageKind.ALERT and address.webhook_ref is None and not (mine and self._own.webhook_url)
        place = ("Slack", _plain_name(self._own.channel)) if mine else ("Slack", namespace, address)
        return Pace(place, 2 * MESSAGE_SECONDS if threaded else MESSAGE_SECONDS)

    async def _send_alert(self, destination: _Bot | _Webhook, message: Message) -> Receipt:
        payload = alert_payload if isinstance(destination, _Bot) else folded_payload
        payloads = payload(message), plain_payload(message)
        return await self._post_or_plainly(str(message.object_key), destination, *payloads)

    async def _post_or_plainly(
        self, what: str, destination: _Bot | _Webhook, payload: dict[str, Any], plain: dict[str, Any]
    ) -> Receipt:
        try:
            return await self._post(destination, payload)
        except DeliveryError as error:
            if error.reason is not Reason.MESSAGE_REFUSED:
                raise
            _log.warning("%s: sent again as plain text: %s", what, error.message)
        return await self._post(destination, plain)

    async def _destination(self, namespace: str, address: SlackAddress) -> _Bot | _Webhook:
        if address.webhook_ref is not None:
            url = await read_key(self._read_secret, namespace, address.webhook_ref)
            self._check_webhook(url, address.webhook_ref)
            return _Webhook(url, own=False)
        if address.token_ref is not None:
            token = await read_token(self._read_secret, namespace, address.token_ref)
            if not address.channel:
                raise DeliveryError(Reason.CHANNEL_NOT_FOUND, "a token alone does not say where: name the channel, too")
            return _Bot(token, address.channel)
        return self._own_destination(address.channel)

    def _own_destination(self, channel: str) -> _Bot | _Webhook:
        own = self._own
        if channel and _plain_name(channel) != _plain_name(own.channel):
            raise DeliveryError(
                Reason.CHANNEL_NOT_ALLOWED,
                f"the operator's own Slack token may not post to {clean(channel, _LONGEST_CHANNEL)}:"
                " name a token of your own in tokenSecretRef",
            )
        if own.token and own.channel:
            check_token(own.token, OWN_TOKEN)
            return _Bot(own.token, own.channel)
        if own.webhook_url:
            return _Webhook(own.webhook_url, own=True)
        raise DeliveryError(
            Reason.TOKEN_NOT_FOUND,
            "the operator has no Slack channel of its own: name a token of your own in tokenSecretRef,"
            " or set CLIENTCERT_SLACK_TOKEN and CLIENTCERT_SLACK_CHANNEL",
        )

    def _check_webhook(self, url: str, ref: SecretKeyRef) -> None:
        """A tenant's webhook leads to Slack, or to a host that the settings list."""
        try:
            listed, parts = self._egress.lists(url), urlsplit(url)
        except ClientCertError:
            listed, parts = False, urlsplit("")
        slack = parts.scheme == "https" and parts.hostname in _WEBHOOK_HOSTS and parts.port in {None, 443}
        if not (slack or listed):
            raise DeliveryError(
                Reason.ENDPOINT_NOT_ALLOWED,
                f"key {ref.key} of Secret {ref.name} holds no address of a Slack webhook: put the one there that"
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
            raise _unreached(error) from None

    async def _post_as_bot(self, bot: _Bot, payload: dict[str, Any]) -> Receipt:
        answer = await ask(
            self._session, self._api_url, bot.token, lambda api: api.chat_postMessage(channel=bot.channel, **payload)
        )
        return Receipt(_thread(answer.get("channel"), answer.get("ts")))

    async def _post_to_webhook(self, webhook: _Webhook, payload: dict[str, Any]) -> Receipt:
        session = _opened(self._session if webhook.own else self._guarded_session)
        plain = {"Accept-Encoding": "identity"}
        async with session.post(webhook.url, json=payload, headers=plain, allow_redirects=False) as answer:
            body = (await answer.content.read(_LONGEST_ANSWER)).decode("ascii", "replace").strip()
            # Slack says "ok", what imitates it says other things, and a portal in between shows a page.
            if answer.status != 200 or body.startswith("<"):
                raise refusal(body, answer.status, answer.headers.get("Retry-After"))
        return Receipt()


def open_session() -> aiohttp.ClientSession:
    """For what the operator's settings name: no proxy, no cookie, no redirect, and nothing that takes too long."""
    refuse_redirects = aiohttp.TraceConfig()
    refuse_redirects.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=ALERT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[refuse_redirects],
    )


async def ask(
    session: aiohttp.ClientSession | None,
    api_url: str,
    token: str,
    call: Callable[[AsyncWebClient], Awaitable[AsyncSlackResponse]],
    refused: Refusal = refusal,
) -> dict[str, Any]:
    """Make one call of the Web API, once. Raises DeliveryError; `refused` words it where Slack says no."""
    client = AsyncWebClient(token, base_url=api_url, session=_opened(session), retry_handlers=[], logger=_sdk_log)
    client.proxy = None  # the SDK took one from the environment
    try:
        answer = (await call(client)).data
    except SlackApiError as error:
        raise _refused(error.response, refused) from None
    except (aiohttp.ClientError, OSError) as error:  # some of these are ValueErrors as well
        raise _unreached(error) from None
    except (SlackClientError, AttributeError, TypeError, ValueError):
        # What the SDK makes of an answer that is not a JSON object.
        raise not_slack() from None
    if not isinstance(answer, dict):
        raise not_slack()
    return answer


async def read_token(read_secret: ReadSecret, namespace: str, ref: SecretKeyRef) -> str:
    """The bot token in a key of a Secret. Raises DeliveryError."""
    token = await read_key(read_secret, namespace, ref)
    check_token(token, f"key {ref.key} of Secret {ref.name}")
    return token


async def read_key(read_secret: ReadSecret, namespace: str, ref: SecretKeyRef) -> str:
    """A token, or the address of a webhook. Raises DeliveryError."""
    try:
        return (await read_secret(namespace, ref)).strip()
    except ClientCertError as error:
        words = f"the key to Slack cannot be read: {error.message}"
        if error.worth_retry:  # nothing is wrong with the channel
            raise DeliveryError(
                Reason.API_UNAVAILABLE, words, worth_retry=True, retry_after=error.retry_after
            ) from None
        raise DeliveryError(Reason.TOKEN_NOT_FOUND, words) from None


def _address(channel: Channel) -> SlackAddress:
    return channel.address if isinstance(channel.address, SlackAddress) else SlackAddress()


def _opened(session: aiohttp.ClientSession | None) -> aiohttp.ClientSession:
    if session is None or session.closed:  # the SDK would make one of its own
        raise RuntimeError("Slack is called only within the `async with` block")
    return session


def check_tls(setting: str, url: str, egress: EgressPolicy) -> None:
    """Raise SettingsError for an address of the settings that is not https, nor of a host that they list."""
    try:
        if not url or url.lower().startswith("https://") or egress.lists(url):
            return
    except ClientCertError:
        pass  # it is no address at all
    raise SettingsError(f"{setting} is no https:// address: give one, or add its host to CLIENTCERT_ALLOWED_HOSTS")


async def _refuse_redirect(_session: aiohttp.ClientSession, _context: SimpleNamespace, _answer: object) -> None:
    raise refusal("", 302, None)


def _refused(
    answer: Any, refused: Refusal
) -> DeliveryError:  # the SDK's own response or, where that could not be made, aiohttp's
    data = getattr(answer, "data", None)
    status = getattr(answer, "status_code", None) or getattr(answer, "status", None) or 0
    return refused(data.get("error") if isinstance(data, dict) else "", status, answer.headers.get("Retry-After"))


def check_token(token: str, where: str) -> None:
    """Refuse what could not stand in a header, without repeating it: it may be another secret."""
    if not _TOKEN.fullmatch(token):
        raise DeliveryError(
            Reason.TOKEN_REJECTED, f"{where} holds no Slack token: put the bot token there, which begins with xoxb-"
        )


def _unreached(error: Exception) -> DeliveryError:
    if isinstance(error, TimeoutError):
        return no_answer()
    return unavailable(f"Slack cannot be reached ({type(error).__name__})")


def not_slack() -> DeliveryError:
    """For an answer of HTTP status 200 that Slack would not give."""
    return unavailable("what should be Slack gave an answer that is not Slack's")


def no_answer() -> DeliveryError:
    """For a call that took too long."""
    return unavailable(f"Slack did not answer within {ALERT_SECONDS:.0f} seconds")


def _plain_name(channel: str) -> str:
    return channel.strip().removeprefix("#")


def _thread(channel: object, timestamp: object) -> str:
    """Where a reply goes, if the answer said so in a form that we know; it is kept in status."""
    if not isinstance(channel, str) or not isinstance(timestamp, str):
        return ""
    return f"{channel}:{timestamp}" if _CHANNEL_ID.fullmatch(channel) and _TIMESTAMP.fullmatch(timestamp) else ""
