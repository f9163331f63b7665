"""The consumer's contact, where they are: a user of our own Slack gets a direct message, anybody else a mail."""

import asyncio
from dataclasses import replace

from clientcert.errors import DeliveryError
from clientcert.lifecycle.alerts import MessageKind
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import Channel
from clientcert.notifiers.interface import Notifier, Pace, Receipt
from clientcert.notifiers.message import Message

REFUSAL_SECONDS = 3.0
"""A refusal that took longer leaves no time for a mail before another replica may lead: that is for the next try."""


class ContactNotifier:
    """Channels of type Email."""

    def __init__(self, mail: Notifier, direct: Notifier, refusal_seconds: float = REFUSAL_SECONDS) -> None:
        """`direct` sends the first letter of a message as a direct message."""
        self._mail = mail
        self._direct = direct
        self._refusal_seconds = refusal_seconds

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:
        """The mail server's, where nobody knows who is written to."""
        return self._mail.pace(namespace, channel, kind)

    def pace_to(self, namespace: str, channel: Channel, kind: MessageKind, recipient: Recipient) -> Pace | None:
        """As the protocol says: what Slack does not take holds no mail up."""
        notifier = self._direct if recipient.role is Role.SLACK else self._mail
        return notifier.pace(namespace, channel, kind)

    async def notify(self, channel: Channel, message: Message, thread_ref: str = "") -> Receipt:
        """As the protocol says. Who is not reached in Slack, and will not be, gets a mail if there is an address."""
        mails = tuple(letter for letter in message.letters if letter.recipient.role is not Role.SLACK)
        if len(mails) == len(message.letters):
            return await self._mail.notify(channel, message, thread_ref)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await self._direct.notify(channel, message, thread_ref)
        except DeliveryError as error:
            if error.worth_retry or not mails:
                raise
            if loop.time() - began > self._refusal_seconds:
                raise DeliveryError(error.reason, error.message, worth_retry=True) from None
            receipt = await self._mail.notify(channel, replace(message, letters=mails), thread_ref)
            words = f"the {Role.SLACK} could not be written to, so the {mails[0].recipient.role} was"
            return replace(receipt, note=receipt.note or words)
