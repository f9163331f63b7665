"""A key, a token or a URL that a channel needs, out of a Secret of the certificate's namespace."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.lifecycle.spec import SecretKeyRef

ReadSecret: TypeAlias = Callable[[str, SecretKeyRef], Awaitable[str]]
"""Gives the value of one key of a Secret in the namespace; raises ClientCertError with words for the user."""


async def secret_value(read_secret: ReadSecret, receiver: str, namespace: str, ref: SecretKeyRef) -> str:
    """The value without white space around it. Raises DeliveryError, in which `receiver` says what it is for."""
    try:
        return (await read_secret(namespace, ref)).strip()
    except ClientCertError as error:
        words = f"the Secret for {receiver} cannot be read: {error.message}"
        if error.retryable:  # nothing is wrong with the channel
            raise DeliveryError(Reason.API_UNAVAILABLE, words, retryable=True, retry_after=error.retry_after) from None
        raise DeliveryError(Reason.TOKEN_NOT_FOUND, words) from None
