"""Stand-ins of the channels: they take messages, refuse them in all ways, and note what a reader sees."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel, SlackAddress, UrlAddress
from clientcert.messages.digest import Digest
from clientcert.messages.message import Message
from clientcert.notifiers.interface import Pace, Receipt
from tests.simulation.chronicle import Chronicle, Entry, Send, Wait

SLOWEST_SEND = 16.0
"""Seconds; the operator allows a message 17, and its Lease is longer."""
_LINE = re.compile(r"(\S+) in .*?(?:; serial number ([0-9a-f]+))?(?:;.*)?$")
_RETRY_AFTER = (5.0, 120.0)


def destination(channel: Channel) -> str:
    """The place where a message of this channel arrives."""
    if isinstance(channel.address, SlackAddress):
        return channel.address.channel
    return channel.address.url_ref.name if isinstance(channel.address, UrlAddress) else "mail"


@dataclass
class Receivers:
    """All channels of the world, as one process reaches them."""

    chronicle: Chronicle
    process: int
    now: Callable[[], datetime]
    random: Random
    step: Callable[[], Awaitable[None]]
    """Awaited at each point where the process may end."""
    uid_of: Callable[[str], str]
    """The uid of the object with this name."""
    is_slow: Callable[[], bool]
    """True if this process reaches all channels slowly."""

    async def take(self, channel: Channel, entries: tuple[Entry, ...], *, is_digest: bool) -> None:
        """Deliver, or raise DeliveryError as the adapters do."""
        where = destination(channel)
        self.chronicle.tries.append((self.now(), self.process, where))
        await self.step()
        mode = self.chronicle.channels[where].at(self.now()) if where in self.chronicle.channels else "takes"
        slow = mode == "slow" or self.is_slow() or self.random.random() < 0.02
        await asyncio.sleep(self.random.uniform(5, SLOWEST_SEND - 1) if slow else self.random.uniform(0.02, 0.5))
        self._refuse(mode, where)
        sent = Send(self.now(), self.process, channel.name, where, entries, is_digest)
        self.chronicle.sends.append(sent)
        sent.acknowledged = mode != "loses answers" or self.random.random() < 0.5
        await self.step()
        if not sent.acknowledged:
            raise DeliveryError(Reason.CHANNEL_UNAVAILABLE, "it does not answer", retryable=True)
        await asyncio.sleep(self.random.uniform(0.01, 0.2))

    def _refuse(self, mode: str, where: str) -> None:
        if mode == "down":
            raise DeliveryError(Reason.CHANNEL_UNAVAILABLE, "it answers 500", retryable=True)
        if mode == "limits":
            asked = self.random.uniform(*_RETRY_AFTER)
            until = self.now() + timedelta(seconds=asked)
            self.chronicle.waits.append(Wait(self.now(), self.process, where, until))
            raise DeliveryError(Reason.RATE_LIMITED, "it asks to wait", retryable=True, retry_after=asked)
        if mode == "refuses":
            raise DeliveryError(Reason.TOKEN_REJECTED, "it refuses the token")


class Receiver:
    """The notifier of one type of channel."""

    def __init__(self, receivers: Receivers, seconds: float) -> None:
        """`seconds` is the shortest time between two messages."""
        self._receivers, self._seconds = receivers, seconds

    def pace(self, namespace: str, channel: Channel, _kind: MessageKind) -> Pace:
        return Pace((channel.type, namespace, destination(channel)), self._seconds)

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        about, closing = message.about, message.kind is MessageKind.CLOSING
        replaced = self._receivers.chronicle.serials.get(about.replaced_fingerprint, "") if closing else ""
        entry = Entry(message.object_uid, about.consumer, about.serial_number, closing, about.stage, replaced)
        await self._receivers.take(channel, (entry,), is_digest=False)
        return Receipt()


class DigestReceiver(Receiver):
    """One that takes digests as well."""

    async def notify_digest(self, channel: Channel, digest: Digest) -> Receipt:
        found = [_LINE.match(line.text) for line in digest.lines]
        assert all(found), digest.lines
        entries = tuple(Entry(self._receivers.uid_of(each[1]), each[1], each[2] or "") for each in found if each)
        await self._receivers.take(channel, entries, is_digest=True)
        return Receipt()
