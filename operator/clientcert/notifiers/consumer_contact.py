"""Delivery to the consumer's contact: a direct message to a user of our own Slack, a mail to everybody else."""

import asyncio
from dataclasses import replace

from clientcert.errors import DeliveryError
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.messages.message import Message
from clientcert.notifiers.interface import Notifier, Pace, Receipt

REFUSAL_SECONDS = 3.0
"""After a slower refusal there is no time for a mail before another replica may lead: the next try sends it."""
_REMEMBERED_SECONDS = 3600.0


class ContactNotifier:
    """Channels of type Email."""

    def __init__(self, mail: Notifier, direct: Notifier, refusal_seconds: float = REFUSAL_SECONDS) -> None:
        """`direct` sends the first letter of a message as a direct message."""
        self._mail = mail
        self._direct = direct
        self._refusal_seconds = refusal_seconds
        self._refused: dict[str, float] = {}
        """Keys of first letters that Slack refused too late, and the end of that knowledge on the loop's clock."""

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:
        """The limit of the mail server, for an unknown recipient."""
        return self._mail.pace(namespace, channel, kind)

    def pace_to(self, namespace: str, channel: Channel, kind: MessageKind, recipient: Recipient) -> Pace | None:
        """Slack's limit for a Slack user, so that a failed mail server does not delay direct messages.

        The destination of a mail is the recipient's domain.
        """
        if recipient.role is Role.SLACK:
            return self._direct.pace(namespace, channel, kind)
        pace = self._mail.pace(namespace, channel, kind)
        return replace(pace, destination=recipient.address.rpartition("@")[2].lower()) if pace else None

    async def notify(self, channel: Channel, message: Message) -> Receipt:
        """As in the interface. A Slack user who cannot be reached gets a mail, if an address is known as well."""
        mails = tuple(letter for letter in message.letters if letter.recipient.role is not Role.SLACK)
        if len(mails) == len(message.letters):
            return await self._mail.notify(channel, message)
        began = _now()
        if not mails or self._refused.get(message.letters[0].key, 0.0) < began:
            try:
                return await self._direct.notify(channel, message)
            except DeliveryError as error:
                if error.retryable or not mails:
                    raise
                if _now() - began > self._refusal_seconds:
                    self._remember(message.letters[0].key)
                    raise DeliveryError(error.reason, error.message, retryable=True) from None
        try:
            receipt = await self._mail.notify(channel, replace(message, letters=mails))
        except DeliveryError as error:
            # Slack may still take the messages to other contacts.
            raise DeliveryError(
                error.reason, error.message, retryable=error.retryable, retry_after=error.retry_after, elsewhere=True
            ) from None
        reached = FallbackRecipient(mails[0].recipient.role, f"the {Role.SLACK} could not be written to")
        return replace(receipt, fallback_recipient=receipt.fallback_recipient or reached)

    def _remember(self, key: str) -> None:
        now = _now()
        self._refused = {known: until for known, until in self._refused.items() if until > now}
        self._refused[key] = now + _REMEMBERED_SECONDS


def _now() -> float:
    return asyncio.get_running_loop().time()
