"""Keys, tokens and URLs of channels, in Secrets of the certificate's namespace."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from clientcert.errors import ClientCertError, DeliveryError, Reason
from clientcert.lifecycle.spec import SecretKeyRef

ReadSecret: TypeAlias = Callable[[str, SecretKeyRef], Awaitable[str]]
"""Returns the value of one key of a Secret in the namespace; raises ClientCertError with a message for the user."""


def key_name(ref: SecretKeyRef) -> str:
    """The key of a Secret, as errors name it."""
    return f"key {ref.key} of Secret {ref.name}"


async def secret_value(read_secret: ReadSecret, receiver: str, namespace: str, ref: SecretKeyRef) -> str:
    """Read a value, and strip white space around it. Raises DeliveryError; its message names the `receiver`."""
    try:
        return (await read_secret(namespace, ref)).strip()
    except ClientCertError as error:
        words = f"the Secret for {receiver} cannot be read: {error.message}"
        if error.retryable:  # the channel itself may be correct
            raise DeliveryError(Reason.API_UNAVAILABLE, words, retryable=True, retry_after=error.retry_after) from None
        raise DeliveryError(Reason.TOKEN_NOT_FOUND, words) from None
