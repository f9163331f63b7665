"""Who is told, and where: one protocol, and an adapter for each type of channel."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from clientcert.lifecycle.contacts import Recipient, StoodIn
from clientcert.lifecycle.due import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.messages.digest import Digest
from clientcert.messages.message import Message


@dataclass(frozen=True, slots=True)
class Receipt:
    """The other side has accepted the notification."""

    thread_ref: str = ""
    """Where its thread is, in the channel's own words; kept in status for people and tools."""
    stood_in: StoodIn | None = None
    """Who got it, where that is not whom it was to go to first."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a place may be written to."""

    place: Hashable
    """Equal for all that share its limit."""
    seconds: float
    """How long one message fills it."""


class Notifier(Protocol):
    """One type of channel. Safe to call for many certificates at once."""

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:
        """Which place a message goes to, and how long it fills it; None where there is no limit to keep."""

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        """Send one message, and return when the other side has accepted it.

        Raises DeliveryError; with `retryable` when the same call may succeed soon, and `retry_after` seconds if the
        other side said so.
        """


@runtime_checkable
class RecipientAware(Protocol):
    """A type of channel whose place depends on who is written to."""

    def pace_to(self, namespace: str, channel: Channel, kind: MessageKind, recipient: Recipient) -> Pace | None:
        """As `pace`, for a message whose first recipient this is."""


@runtime_checkable
class DigestCapable(Protocol):
    """A type of channel in which many alerts may be one message."""

    async def notify_digest(self, channel: Channel, digest: Digest) -> Receipt:
        """Send it, as `notify` sends a message."""
