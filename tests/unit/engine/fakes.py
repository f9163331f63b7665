"""Fakes for the systems outside the engine; the gate of each one can hold back all its answers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import msgspec

from clientcert.errors import DeliveryError, KubeError, Reason, SourceError
from clientcert.lifecycle.contacts import Resolution, SlackQuestion
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel, SlackAddress
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.lifecycle.spec import SecretKeyRef, SecretSource, SourceRef
from clientcert.messages.digest import Digest
from clientcert.messages.letter import Letter
from clientcert.messages.message import Message
from clientcert.notifiers.email.notifier import PACE_SECONDS
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.notifiers.slack.web_api import MESSAGE_SECONDS
from clientcert.sources.interface import Content


def open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


class ApiServer:
    """Accepts every status and Event, and returns the content of `objects`, by path."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.statuses: list[tuple[str, Mapping[str, Any]]] = []
        """Path and content of each write, in order."""
        self.created: list[Any] = []
        """Events only."""
        self.refusals: dict[str, Exception] = {}
        """Errors of reads and writes, by a part of method and path."""
        self.held: dict[str, Awaitable[object]] = {}
        """The next write waits for this and raises its error, by a part of method and path."""
        self.gate = open_gate()
        """While it is closed, no GET of an object is answered."""
        self.version = 1000

    async def get(self, path: str) -> Any:
        self._refuse("GET", path)
        if "?" in path:
            return {"items": []}
        await self.gate.wait()
        if path not in self.objects:
            raise KubeError(Reason.NOT_FOUND, "there is no such object", status=404)
        return self.objects[path]

    async def create(self, path: str, content: Any) -> Any:
        await self._hold("POST", f"{path}/{content['metadata']['name']}")
        self._refuse("POST", f"{path}/{content['metadata']['name']}")
        self.created.append(content)
        return content

    async def merge_patch(self, path: str, content: Any, *, metadata_only: bool = False) -> Any:
        await self._hold("PATCH", path)
        self._refuse("PATCH", path)
        self.version += 1
        self.statuses.append((path, msgspec.json.decode(msgspec.json.encode(content["status"]))))  # as it is read back
        return {"metadata": {"resourceVersion": str(self.version)}}

    async def _hold(self, method: str, path: str) -> None:
        for call in tuple(self.held):
            if call in f"{method} {path}":
                await self.held.pop(call)

    def _refuse(self, method: str, path: str) -> None:
        for call, error in self.refusals.items():
            if call in f"{method} {path}":
                raise error


class Secrets:
    """The content of the Secrets by name, the same in all namespaces."""

    def __init__(self) -> None:
        self.held: dict[str, Content] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.errors: dict[str, SourceError] = {}
        """Raised instead of the content."""

    async def read(self, _namespace: str, ref: SourceRef) -> Content:
        assert isinstance(ref, SecretSource)
        if ref.name in self.gates:
            await self.gates[ref.name].wait()
        if ref.name in self.errors:
            raise self.errors[ref.name]
        if ref.name not in self.held:
            raise SourceError(Reason.SOURCE_NOT_FOUND, f"Secret {ref.name} does not exist: create it")
        return self.held[ref.name]


class Slack:
    """A channel of a team. `notified` has one entry for each message: the consumers in it."""

    def __init__(self) -> None:
        self.tries: list[tuple[str, ...]] = []
        self.notified: list[tuple[str, ...]] = []
        self.texts: list[str] = []
        """The full texts of the same messages."""
        self.channels: list[str] = []
        """The Slack channels of the same messages."""
        self.answers: Iterator[DeliveryError | None] = iter(())
        """The errors of the next tries; later tries succeed."""
        self.gate = open_gate()
        """While it is closed, all messages stay in flight."""
        self.message_seconds = MESSAGE_SECONDS
        """Between two messages in one channel."""

    def pace(self, namespace: str, channel: Channel, _kind: MessageKind) -> Pace | None:
        """Without a token it is the operator's own channel, which all namespaces share."""
        address = channel.address
        if isinstance(address, SlackAddress) and address.token_ref is None:
            return Pace(("Slack", address.channel), self.message_seconds, namespace)
        return Pace(("Slack", namespace, address), self.message_seconds)

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        return await self._take(channel, (message.about.consumer,), str(message.shown(contact=True)))

    async def notify_digest(self, channel: Channel, digest: Digest) -> Receipt:
        consumers = tuple(line.text.partition(" in ")[0] for line in digest.lines)
        return await self._take(channel, consumers, str(digest.lines))

    async def _take(self, channel: Channel, consumers: tuple[str, ...], text: str) -> Receipt:
        self.tries.append(consumers)
        await self.gate.wait()
        error = next(self.answers, None)
        if error is not None:
            raise error
        self.notified.append(consumers)
        self.texts.append(text)
        self.channels.append(channel.address.channel if isinstance(channel.address, SlackAddress) else "")
        return Receipt()


class LetterChannel:
    """Accepts letters: a mail server, or Slack's direct messages. `sent` has the addresses."""

    def __init__(self, limit_key: str, *, only_the_first: bool = False) -> None:
        self._only_the_first = only_the_first
        self.tries: list[str] = []
        self.overdue: list[bool] = []
        """For each try: an unclear refusal counts against the recipient."""
        self.sent: list[str] = []
        self.letters: list[Letter] = []
        self.answer: Callable[[str], DeliveryError | None] = lambda _: None
        """The error of a letter to this address. After RecipientRefused, the next recipient gets the letter."""
        self.gate = open_gate()
        self._pace = Pace(limit_key, PACE_SECONDS)

    def pace(self, _namespace: str, _channel: Channel, _kind: MessageKind) -> Pace | None:
        return self._pace

    async def notify(self, _channel: Channel, message: Message) -> Receipt:
        refused: list[DeliveryError] = []
        for letter in message.letters[: 1 if self._only_the_first else None]:
            self.tries.append(letter.recipient.address)
            self.overdue.append(message.overdue)
            await self.gate.wait()
            error = self.answer(letter.recipient.address)
            if error is None:
                self.sent.append(letter.recipient.address)
                self.letters.append(letter)
                return Receipt(
                    fallback_recipient=FallbackRecipient(letter.recipient.role, "the one before was refused")
                    if refused
                    else None
                )
            if error.reason is not Reason.RECIPIENT_REFUSED:
                raise error
            refused.append(error)
        raise refused[0] if refused else DeliveryError(Reason.CONTACT_NOT_FOUND, "there is nobody to write to")


class Users:
    """Slack's user lookup: every lookup returns `answer`, once the gate is open."""

    def __init__(self, answer: Resolution | DeliveryError) -> None:
        self.answer = answer
        self.gate = open_gate()

    async def find(self, _namespace: str, _ref: SecretKeyRef | None, _question: SlackQuestion) -> Resolution:
        await self.gate.wait()
        if isinstance(self.answer, DeliveryError):
            raise self.answer
        return self.answer
