"""Calls of a URL that is in a Secret. A call is made once; its error says whether the engine should retry it.

Only the status and the header Retry-After of an answer are read.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Self

import aiohttp

from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.fair_queueing import FairSemaphore
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel, UrlAddress
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.network.egress import EgressPolicy
from clientcert.network.retry_after import parse_retry_after
from clientcert.notifiers.deadline import ALERT_SECONDS, unavailable, unreached
from clientcert.notifiers.interface import Pace
from clientcert.notifiers.secret_value import ReadSecret, key_name, secret_value

CALL_SECONDS = 0.1
"""Minimum interval between two calls of a URL: ten calls a second burden no receiver."""
CALLS_AT_ONCE = 64
"""Of all namespaces; one alone has half of them."""
LONGEST_WAIT = 300.0
"""Seconds; the cap of Retry-After."""

_AUTHORIZATION = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64} +[!-~][ -~]{0,4095}")
"""A scheme and its credentials (RFC 9110 section 11.4)."""


class UrlCaller:
    """Posts to URLs that are in Secrets, over a session that lasts as long as the `async with` block."""

    receiver = "the webhook"
    """The subject of this class's errors."""

    def __init__(self, read_secret: ReadSecret, egress: EgressPolicy, clock: Callable[[], datetime]) -> None:
        """`clock` gives the real time in UTC, since receivers compare it with their own."""
        self._read_secret = read_secret
        self._egress = egress
        self._clock = clock
        self._calls = FairSemaphore(CALLS_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No body is read, so none is decompressed either. In the pool of aiohttp, new calls may overtake a waiting one.
        timeout = aiohttp.ClientTimeout(total=ALERT_SECONDS)
        self._session = self._egress.session(timeout=timeout, limit=0, auto_decompress=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace:  # noqa: ARG002
        """Each URL has a limit of its own."""
        return Pace((channel.type, namespace, channel.address), CALL_SECONDS)

    async def secret(self, namespace: str, ref: SecretKeyRef) -> str:
        """Read the value of one key of a Secret; raises DeliveryError."""
        return await secret_value(self._read_secret, self.receiver, namespace, ref)

    async def url(self, namespace: str, ref: SecretKeyRef) -> str:
        """Read a URL from a Secret, and check that it may be called; raises DeliveryError."""
        url = await self.secret(namespace, ref)
        try:
            self._egress.check(url)
        except ClientCertError as error:
            raise self._refused(error) from None
        return url

    async def authorization(self, namespace: str, ref: SecretKeyRef | None) -> dict[str, str]:
        """The header Authorization, if the policy names a key for it; raises DeliveryError."""
        if ref is None:
            return {}
        value = await self.secret(namespace, ref)
        if not _AUTHORIZATION.fullmatch(value):
            raise DeliveryError(
                Reason.TOKEN_REJECTED,
                f"{key_name(ref)} must hold the whole value of the header Authorization:"
                " a scheme such as Bearer, a space, and the token",
            )
        return {"Authorization": value}

    async def post(self, namespace: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post, and return when the receiver has accepted it; raises DeliveryError, which names only the URL's host.

        Calls wait for their turn; namespaces take turns.
        """
        if self._session is None:
            raise RuntimeError("a notifier sends only within its `async with` block")
        try:
            async with (
                self._calls.slot(namespace),
                self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
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
    """Return the reference to the URL; raises DeliveryError for a channel that has none."""
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
        words = f"{receiver} refused the operator {said}: put a valid URL, key or authorization into its Secret"
        return DeliveryError(Reason.TOKEN_REJECTED, words)
    if 300 <= status < 400:
        words = (
            f"{receiver} answered with a redirect {said}, which is not followed: put the redirect's target URL there"
        )
        return DeliveryError(Reason.MESSAGE_REFUSED, words)
    return DeliveryError(Reason.MESSAGE_REFUSED, f"{receiver} refused the message {said}: see the receiver's own log")
