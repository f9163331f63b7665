"""The time limit for one notification, and the errors for a receiver that does not answer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp

from clientcert.errors import DeliveryError, Reason

ALERT_SECONDS = 10.0
"""For one message or look-up, with the Secrets that are read for it."""


@asynccontextmanager
async def deadline(receiver: str) -> AsyncGenerator[None, None]:
    """Limit the block to ALERT_SECONDS, more exactly than aiohttp's own timeout, which is rounded up.

    Raises DeliveryError after that time; `receiver` is its subject.
    """
    try:
        async with asyncio.timeout(ALERT_SECONDS):
            yield
    except TimeoutError:
        raise no_answer(receiver) from None


def unavailable(words: str, retry_after: float | None = None, *, answered: bool = False) -> DeliveryError:
    """The error for a call that was not refused, so that the same call may succeed later."""
    return DeliveryError(Reason.CHANNEL_UNAVAILABLE, words, retryable=True, retry_after=retry_after, answered=answered)


def no_answer(receiver: str) -> DeliveryError:
    """The error for an exceeded time limit."""
    return unavailable(f"{receiver} did not answer within {ALERT_SECONDS:.0f} seconds")


def unreached(receiver: str, error: Exception) -> DeliveryError:
    """The error for a failed connection, or for an answer that never came."""
    if isinstance(error, TimeoutError):
        return no_answer(receiver)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        words = f"{receiver} cannot be reached: the proxy refused the connection (HTTP status {error.status})"
        return unavailable(f"{words}: check CLIENTCERT_PROXY, and the proxy's rules")
    return unavailable(f"{receiver} cannot be reached ({type(error).__name__})")
