"""Webhooks: a CloudEvent for each message, signed as Standard Webhooks does; and how any URL out of a Secret is called.

    notifier = WebhookNotifier(read_secret, egress, clock)
    async with notifier:
        receipt = await notifier.notify(channel, message)

docs/webhooks.md has the body, for those who build a receiver. Retries are the engine's: a call is made once, and its
error says whether it is worth another. Of an answer only the status and Retry-After are read.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp

from clientcert.api.kinds import CLIENT_CERTIFICATE, timestamp
from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.lifecycle.due import MessageKind
from clientcert.lifecycle.policy import Channel, UrlAddress
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.messages.message import Message
from clientcert.messages.text import LONGEST_VALUE, sanitize_line
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.http.standard_webhooks import signed_headers, signing_keys
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.notifiers.secret_value import ReadSecret, secret_value

ALERT_SECONDS = 10.0
"""With the Secrets that are read for it."""
CALL_SECONDS = 0.1
"""Ten calls a second are no burden for whoever listens; a place that fails is left alone as a whole."""
LONGEST_WAIT = 300.0
"""Seconds. A receiver that asks for more is asked again sooner."""
TYPE_PREFIX = "dev.clientcert.certificate."
"""The topic follows it."""

_SECONDS = re.compile(r"[0-9]{1,9}")
_AUTHORIZATION = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64} +[!-~][ -~]{0,4095}")
"""A scheme, and what stands behind it."""


class UrlCaller:
    """Posts to URLs that stand in Secrets, over a session that lives as long as the `async with` block."""

    called = "the webhook"
    """In errors, at their beginning."""

    def __init__(self, read_secret: ReadSecret, egress: EgressPolicy, clock: Callable[[], datetime]) -> None:
        """`clock` gives the time of sending, in UTC: the real one, since receivers compare it with theirs."""
        self._read_secret = read_secret
        self._egress = egress
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Nothing of a body is of interest, so nothing in it is unpacked either.
        timeout = aiohttp.ClientTimeout(total=ALERT_SECONDS)
        self._session = self._egress.session(timeout=timeout, auto_decompress=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace:  # noqa: ARG002
        """Each URL is a place of its own."""
        return Pace((channel.type, namespace, channel.address), CALL_SECONDS)

    async def secret(self, namespace: str, ref: SecretKeyRef) -> str:
        """The value of one key of a Secret; raises DeliveryError."""
        return await secret_value(self._read_secret, self.called, namespace, ref)

    async def url(self, namespace: str, ref: SecretKeyRef) -> str:
        """The URL in a Secret, if it is one that may be called; raises DeliveryError."""
        url = await self.secret(namespace, ref)
        try:
            self._egress.check(url)
        except ClientCertError as error:
            raise self._refused(error) from None
        return url

    async def authorization(self, namespace: str, ref: SecretKeyRef | None) -> dict[str, str]:
        """The header Authorization, where the policy names a key that holds it; raises DeliveryError."""
        if ref is None:
            return {}
        value = await self.secret(namespace, ref)
        if not _AUTHORIZATION.fullmatch(value):
            raise DeliveryError(
                Reason.TOKEN_REJECTED,
                f"key {ref.key} of Secret {ref.name} must hold the whole value of the header Authorization:"
                " a scheme such as Bearer, a space, and the token",
            )
        return {"Authorization": value}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Return when the other side has taken it; raises DeliveryError, with nothing of the URL in it but its host."""
        if self._session is None:
            raise RuntimeError("a notifier sends only within its `async with` block")
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    wait = seconds_to_wait(answer.headers.get("Retry-After"), self._clock())
                    raise refusal(self.called, answer.status, wait)
        except DeliveryError:
            raise
        except ClientCertError as error:
            raise self._refused(error) from None
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise no_answer(self.called) from None
            raise unavailable(f"{self.called} cannot be reached ({type(error).__name__})") from None

    def _refused(self, error: ClientCertError) -> DeliveryError:
        return DeliveryError(error.reason, f"{self.called} was not called: {error.message}")


class WebhookNotifier(UrlCaller):
    """Sends each message as a CloudEvent, with a signature where the policy names a key for it."""

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        """As the protocol says. Messages have ids, and no threads."""
        address, namespace = url_address(channel), message.object_key.namespace
        async with deadline(self.called):
            url = await self.url(namespace, address.url_ref)
            keys: tuple[bytes, ...] = ()
            if address.signing_ref is not None:
                keys = signing_keys(await self.secret(namespace, address.signing_ref), address.signing_ref)
            event = cloud_event(message)
            body = json.dumps(event, separators=(",", ":")).encode()
            headers = await self.authorization(namespace, address.authorization_ref)
            headers |= signed_headers(event["id"], self._clock(), body, keys)
            await self.post(url, body, {"Content-Type": "application/cloudevents+json; charset=utf-8", **headers})
        return Receipt()


@asynccontextmanager
async def deadline(called: str) -> AsyncGenerator[None, None]:
    """For all that belongs to one message; raises DeliveryError when it has passed."""
    try:
        async with asyncio.timeout(ALERT_SECONDS):
            yield
    except TimeoutError:
        raise no_answer(called) from None


def cloud_event(message: Message) -> dict[str, Any]:
    """The message in the JSON format of CloudEvents 1.0, structured mode; nobody's name or address is in it."""
    about = message.about
    return {
        "specversion": "1.0",
        "id": event_id(message),
        "source": CLIENT_CERTIFICATE.item(*message.object_key),
        "type": TYPE_PREFIX + message.topic.value,
        "subject": sanitize_line(about.consumer, LONGEST_VALUE),
        "time": timestamp(about.time),
        "datacontenttype": "application/json",
        "data": _data(message),
    }


def event_id(message: Message) -> str:
    """The same whenever this message is sent again, and for no other: receivers recognise a repeat by it."""
    about = message.about
    stage = "closing" if about.stage is None else about.stage
    previous = timestamp(about.previous) if about.previous else ""
    identity = (message.object_uid, about.fingerprint_sha256, about.channel, stage, message.kind, previous)
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def url_address(channel: Channel) -> UrlAddress:
    """Where the URL stands; raises DeliveryError for a channel that does not say it."""
    if not isinstance(channel.address, UrlAddress):
        raise DeliveryError(Reason.CHANNEL_NOT_FOUND, "the channel has no URL: name a Secret in urlSecretRef")
    return channel.address


def refusal(called: str, status: int, wait: float | None) -> DeliveryError:
    """The error for an answer that is not a success."""
    said = f"(HTTP status {status})"
    if status == 429:
        words = f"{called} asked to wait before the next message"
        return DeliveryError(Reason.RATE_LIMITED, words, retryable=True, retry_after=wait)
    if status >= 500 or status == 408:
        return unavailable(f"{called} could not take the message {said}", wait)
    if status in {404, 410}:
        words = f"{called} is not at this address {said}: put the right URL into the Secret that urlSecretRef names"
        return DeliveryError(Reason.CHANNEL_NOT_FOUND, words)
    if status in {401, 403}:
        words = f"{called} refused the operator {said}: put a URL, key or authorization in force into its Secret"
        return DeliveryError(Reason.TOKEN_REJECTED, words)
    if 300 <= status < 400:
        words = f"{called} answered with a redirect {said}, which is not followed: put the URL that it leads to there"
        return DeliveryError(Reason.MESSAGE_REFUSED, words)
    return DeliveryError(Reason.MESSAGE_REFUSED, f"{called} refused the message {said}: see what its own log says")


def unavailable(words: str, wait: float | None = None) -> DeliveryError:
    """Nobody said no, so the same call may succeed later."""
    return DeliveryError(Reason.CHANNEL_UNAVAILABLE, words, retryable=True, retry_after=wait)


def no_answer(called: str) -> DeliveryError:
    """It took longer than a message may take."""
    return unavailable(f"{called} did not answer within {ALERT_SECONDS:.0f} seconds")


def seconds_to_wait(retry_after: str | None, now: datetime) -> float | None:
    """The header Retry-After (RFC 9110 section 10.2.3), as a number or a date; None when it asks for no wait."""
    text = (retry_after or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT) or None
    try:
        until = parsedate_to_datetime(text)
        seconds = (until - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(seconds, LONGEST_WAIT) if seconds > 0 else None


def _data(message: Message) -> dict[str, Any]:
    about = message.about
    namespace, name = message.object_key
    return {
        "reason": message.reason,
        "text": message.text,
        "nextStep": message.next_step,
        "runbookURL": message.runbook_url,
        "kind": message.kind.value,
        "namespace": namespace,
        "name": name,
        "uid": message.object_uid,
        "consumer": sanitize_line(about.consumer, LONGEST_VALUE),
        "environment": sanitize_line(about.environment, LONGEST_VALUE),
        "owner": sanitize_line(about.owner, LONGEST_VALUE),
        "profile": sanitize_line(about.profile, LONGEST_VALUE),
        "phase": about.phase,
        "daysRemaining": about.days_remaining,
        "notBefore": timestamp(about.not_before) if about.not_before else None,
        "notAfter": timestamp(about.not_after) if about.not_after else None,
        "serialNumber": sanitize_line(about.serial_number, LONGEST_VALUE),
        "fingerprintSHA256": about.fingerprint_sha256,
        "replacedFingerprintSHA256": about.replaced_fingerprint,
        "channel": about.channel,
        "stage": about.stage,
    }
