"""Calls of a URL that stands in a Secret: each notifier makes one call, and its error says whether to retry it.

Of an answer only the status and Retry-After are read.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Self

import aiohttp

from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.lifecycle.due import MessageKind
from clientcert.lifecycle.policy import Channel, UrlAddress
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.network.egress import EgressPolicy
from clientcert.network.retry_after import parse_retry_after
from clientcert.notifiers.deadline import ALERT_SECONDS, unavailable, unreached
from clientcert.notifiers.interface import Pace
from clientcert.notifiers.secret_value import ReadSecret, secret_value

CALL_SECONDS = 0.1
"""Minimum interval between two calls of a URL: ten calls a second burden no receiver."""
LONGEST_WAIT = 300.0
"""Seconds; the cap of Retry-After."""

_AUTHORIZATION = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64} +[!-~][ -~]{0,4095}")
"""A scheme and its credentials (RFC 9110 section 11.4)."""


class UrlCaller:
    """Posts to URLs that stand in Secrets, over a session that lives as long as the `async with` block."""

    receiver = "the webhook"
    """The subject of this class's errors."""

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

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace:  # noqa: ARG002
        """Each URL is a place of its own."""
        return Pace((channel.type, namespace, channel.address), CALL_SECONDS)

    async def secret(self, namespace: str, ref: SecretKeyRef) -> str:
        """The value of one key of a Secret; raises DeliveryError."""
        return await secret_value(self._read_secret, self.receiver, namespace, ref)

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
                    retry_after = parse_retry_after(answer.headers, LONGEST_WAIT, self._clock())
                    raise refusal(self.receiver, answer.status, retry_after)
        except DeliveryError:
            raise
        except ClientCertError as error:
            raise self._refused(error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise unreached(self.receiver, error) from None

    def _refused(self, error: ClientCertError) -> DeliveryError:
        return DeliveryError(error.reason, f"{self.receiver} was not called: {error.message}")


def url_address(channel: Channel) -> UrlAddress:
    """Where the URL stands; raises DeliveryError for a channel that does not say it."""
    if not isinstance(channel.address, UrlAddress):
        raise DeliveryError(Reason.CHANNEL_NOT_FOUND, "the channel has no URL: name a Secret in urlSecretRef")
    return channel.address


def refusal(receiver: str, status: int, retry_after: float | None) -> DeliveryError:
    """The error for an answer that is not a success."""
    said = f"(HTTP status {status})"
    if status == 429:
        words = f"{receiver} asked to wait before the next message"
        return DeliveryError(Reason.RATE_LIMITED, words, retryable=True, retry_after=retry_after)
    if status >= 500 or status == 408:
        return unavailable(f"{receiver} could not take the message {said}", retry_after)
    if status in {404, 410}:
        words = f"{receiver} is not at this address {said}: put the right URL into the Secret that urlSecretRef names"
        return DeliveryError(Reason.CHANNEL_NOT_FOUND, words)
    if status in {401, 403}:
        words = f"{receiver} refused the operator {said}: put a URL, key or authorization in force into its Secret"
        return DeliveryError(Reason.TOKEN_REJECTED, words)
    if 300 <= status < 400:
        words = f"{receiver} answered with a redirect {said}, which is not followed: put the URL that it leads to there"
        return DeliveryError(Reason.MESSAGE_REFUSED, words)
    return DeliveryError(Reason.MESSAGE_REFUSED, f"{receiver} refused the message {said}: see what its own log says")
