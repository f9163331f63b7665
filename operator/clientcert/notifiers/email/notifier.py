"""E-mail to the consumer's contact, over the operator's own mail server.

    notifier = EmailNotifier(MailServer("smtp.example.com", 587, username, password, "team@example.com"))
    receipt = await notifier.notify(channel, message)

If the server permanently refuses a recipient, and not the operator (`replies.py`), the mail goes to the next recipient,
who has another role. The engine retries every other failure; the Message-ID stays the same.
"""

import asyncio
import ssl
from email.headerregistry import Address
from ipaddress import ip_address

from clientcert.errors import DeliveryError, Reason, SettingsError
from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.recorded_status import FallbackRecipient
from clientcert.messages.letter import Letter
from clientcert.messages.mail_address import plain_address
from clientcert.messages.message import Message
from clientcert.notifiers.email.mime import mail, named_address
from clientcert.notifiers.email.refusals import correction
from clientcert.notifiers.email.smtp import MAIL_SECONDS, Envelope, MailRelay, MailServer
from clientcert.notifiers.interface import Pace, Receipt

PACE_SECONDS = 0.2
"""The interval of mails by default."""

_UNREACHED = {
    Reason.CONTACT_INVALID: "has no valid e-mail address",
    Reason.RECIPIENT_NOT_ALLOWED: "has an e-mail address in a domain that is not allowed",
    Reason.RECIPIENT_REFUSED: "was refused by the mail server",
}


class EmailNotifier:
    """Sends the letters of a message by mail. Without a server every mail fails with MailNotConfigured."""

    def __init__(self, server: MailServer | None, tls_context: ssl.SSLContext | None = None) -> None:
        """Raises SettingsError for an invalid sender address, and for a password that would be sent in clear text."""
        self._server = server if server is not None and server.host else None
        self._sender = _sender(self._server) if self._server else None
        self._domains = frozenset(domain.lower() for domain in server.domains) if server else frozenset()
        self._relay: MailRelay | None = None
        if self._server and self._sender:
            plain = self._server.tls == "none"
            tls = None if plain else tls_context or ssl.create_default_context()
            self._relay = MailRelay(self._server, self._sender, tls)

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:  # noqa: ARG002
        """All mails share the limit of the server."""
        if self._server is None:
            return None
        return Pace(("Email", self._server.host, self._server.port), 1 / self._server.per_second)

    async def notify(self, channel: Channel, message: Message) -> Receipt:  # noqa: ARG002
        """As in the interface. A message that does not concern the consumer is not sent; that is a success."""
        if not message.letters and not message.topic.concerns_consumer:
            return Receipt()
        if not message.letters:
            raise DeliveryError(
                Reason.CONTACT_NOT_FOUND,
                "there is no recipient: add a contact to spec.contact, or to the client list",
            )
        if self._server is None or self._sender is None or self._relay is None:
            raise DeliveryError(
                Reason.MAIL_NOT_CONFIGURED,
                "the operator has no mail server: set CLIENTCERT_SMTP_HOST and CLIENTCERT_SMTP_FROM",
            )
        if self._server.namespaces and message.object_key.namespace not in self._server.namespaces:
            raise DeliveryError(
                Reason.CHANNEL_NOT_ALLOWED,
                "the operator's mail server does not serve this namespace: have CLIENTCERT_MAIL_NAMESPACES list it",
            )
        return await self._send_to_first(self._relay, self._sender, message)

    async def _send_to_first(self, relay: MailRelay, sender: Address, message: Message) -> Receipt:
        """Send to the first recipient who can be reached; raises DeliveryError with the problem of each if none can."""
        until = asyncio.get_running_loop().time() + MAIL_SECONDS
        refusals: list[tuple[Role, DeliveryError]] = []
        for letter in message.letters:
            try:
                await relay.take(self._envelope(sender, letter, message), until)
            except DeliveryError as error:
                if error.reason not in _UNREACHED:
                    if not refusals or error.reason is Reason.MAIL_LOGIN_REJECTED:
                        raise
                    # After a refusal there was little time left, and the limit applied to another domain.
                    raise _elsewhere(error) from None
                refusals.append((letter.recipient.role, error))
            else:
                return Receipt(fallback_recipient=_fallback_recipient(refusals, letter.recipient.role))
        raise DeliveryError(refusals[0][1].reason, "; ".join(error.message for _, error in refusals))

    def _envelope(self, sender: Address, letter: Letter, message: Message) -> Envelope:
        recipient, reply_to = self._recipient(letter), _reply_to(letter)
        content = mail(letter, sender, recipient, reply_to, message.about.time).as_bytes()
        return Envelope(recipient, letter.recipient.role, content, message.overdue)

    def _recipient(self, letter: Letter) -> Address:
        role, address = letter.recipient.role, plain_address(letter.recipient.address)
        if address is None:
            raise DeliveryError(
                Reason.CONTACT_INVALID,
                f"the {role} has no plain e-mail address such as jo@example.com: {correction(role)}",
            )
        if self._domains and address.domain.lower() not in self._domains:
            raise DeliveryError(
                Reason.RECIPIENT_NOT_ALLOWED,
                f"the {role} has an address in a domain that the operator may not write to: add it to"
                f" CLIENTCERT_MAIL_DOMAINS, or name another {'recipient' if role is Role.TESTER else 'contact'}",
            )
        return address


def _reply_to(letter: Letter) -> Address | None:
    address = plain_address(letter.reply_to)
    if letter.reply_to and address is None:
        raise DeliveryError(
            Reason.MESSAGE_REFUSED, "email.replyTo of the channel is not a plain e-mail address: correct the policy"
        )
    return address


def _elsewhere(error: DeliveryError) -> DeliveryError:
    """The same error, of another destination than that of the message."""
    return DeliveryError(
        error.reason, error.message, retryable=error.retryable, retry_after=error.retry_after, elsewhere=True
    )


def _fallback_recipient(refusals: list[tuple[Role, DeliveryError]], reached: Role) -> FallbackRecipient | None:
    """None if the first recipient was reached."""
    if not refusals:
        return None
    unreached = " and ".join(f"the {role} {_UNREACHED[error.reason]}" for role, error in refusals)
    return FallbackRecipient(reached, unreached)


def _sender(server: MailServer) -> Address:
    if server.tls not in {"starttls", "implicit", "none"}:
        raise SettingsError("CLIENTCERT_SMTP_TLS is not one of starttls, implicit and none")
    if server.username and server.tls == "none" and not _is_loopback(server.host):
        raise SettingsError("CLIENTCERT_SMTP_TLS is none, so the password would be readable: use starttls or implicit")
    address = named_address(server.sender)
    if address is None:
        raise SettingsError(
            "CLIENTCERT_SMTP_FROM is not an address such as team@example.com or Team <team@example.com>"
        )
    return address


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
