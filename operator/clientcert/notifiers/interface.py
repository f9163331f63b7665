"""The interface of every type of channel."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from clientcert.lifecycle.contacts import Recipient
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.messages.digest import Digest
from clientcert.messages.message import Message


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receiver has accepted the notification."""

    thread_ref: str = ""
    """The thread of the message, in the channel's own notation; kept in status for people and tools."""
    fallback_recipient: FallbackRecipient | None = None
    """The fallback recipient, if the first recipient could not be reached."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The rate limit of a receiver."""

    limit_key: Hashable
    """Equal for all messages that share the limit."""
    seconds: float
    """The minimum interval between two messages."""
    destination: str = ""
    """The part of the receiver that may fail alone, such as the domain of a recipient; empty if there is none."""


class Notifier(Protocol):
    """One type of channel. Safe to call for many certificates at once."""

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:
        """The rate limit that a message keeps; None if there is none."""

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        """Send one message, and return when the receiver has accepted it.

        Raises DeliveryError; with `retryable` if the same call may succeed soon, and with `retry_after` seconds if the
        receiver asked for that.
        """


@runtime_checkable
class RecipientAware(Protocol):
    """A type of channel whose rate limit depends on the recipient."""

    def pace_to(self, namespace: str, channel: Channel, kind: MessageKind, recipient: Recipient) -> Pace | None:
        """The rate limit of a message to `recipient` first."""


@runtime_checkable
class DigestCapable(Protocol):
    """A type of channel that can send many alerts as one message."""

    async def notify_digest(self, channel: Channel, digest: Digest) -> Receipt:
        """Send a digest, as `notify` sends a message."""
