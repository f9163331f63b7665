"""The consumer's contact, where they are: a user of our own Slack gets a direct message, anybody else a mail."""

from clientcert.lifecycle.alerts import MessageKind
from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.policy import Channel
from clientcert.notifiers.interface import Notifier, Pace, Receipt
from clientcert.notifiers.message import Message


class ContactNotifier:
    """Channels of type Email."""

    def __init__(self, mail: Notifier, direct: Notifier) -> None:
        """`direct` sends the first letter of a message as a direct message."""
        self._mail = mail
        self._direct = direct

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:
        """The mail server's: who is written to is not known before the message is."""
        return self._mail.pace(namespace, channel, kind)

    async def notify(self, channel: Channel, message: Message, thread_ref: str = "") -> Receipt:
        """As the protocol says."""
        in_slack = bool(message.letters) and message.letters[0].recipient.role is Role.SLACK
        notifier = self._direct if in_slack else self._mail
        return await notifier.notify(channel, message, thread_ref)
