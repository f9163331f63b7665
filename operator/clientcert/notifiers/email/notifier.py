"""E-mail to the consumer's contact, over one mail server: the operator's own.

    notifier = EmailNotifier(MailServer("smtp.example.com", 587, "operator", password, "team@example.com"))
    receipt = await notifier.notify(channel, message)

A mail is accepted or it is not: what the server says no to for good because of one recipient goes to the next one,
whose role is another. Whatever passes by itself is the engine's to try again; the Message-ID stays the same.
"""

import asyncio
import ssl
from email.headerregistry import Address
from ipaddress import ip_address

from clientcert.errors import DeliveryError, Reason, SettingsError
from clientcert.lifecycle.contacts import Role, StoodIn
from clientcert.lifecycle.due import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.messages.letter import Letter
from clientcert.messages.message import Message
from clientcert.notifiers.deadline import unavailable
from clientcert.notifiers.email.mime import mail, named_address, plain_address
from clientcert.notifiers.email.smtp import CORRECT, MailRelay, MailServer
from clientcert.notifiers.interface import Pace, Receipt

MAIL_SECONDS = 10.0
"""For all recipients of one message together."""
PACE_SECONDS = 0.2

_UNREACHED = {
    Reason.CONTACT_INVALID: "has no valid e-mail address",
    Reason.RECIPIENT_NOT_ALLOWED: "has an e-mail address in a domain that is not allowed",
    Reason.RECIPIENT_REFUSED: "was refused by the mail server",
}


class EmailNotifier:
    """Sends the letters of a message by mail. Without a server every mail fails, and says so."""

    def __init__(self, server: MailServer | None, tls_context: ssl.SSLContext | None = None) -> None:
        """Raises SettingsError for a sender that is no address, and for a password that would travel in the clear."""
        self._server = server if server is not None and server.host else None
        self._sender = _sender(self._server) if self._server else None
        self._domains = frozenset(domain.lower() for domain in server.domains) if server else frozenset()
        self._relay: MailRelay | None = None
        if self._server:
            plain = self._server.tls == "none"
            self._relay = MailRelay(self._server, None if plain else tls_context or ssl.create_default_context())

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:  # noqa: ARG002
        """One place for all: the server."""
        return Pace(("Email", self._server.host, self._server.port), PACE_SECONDS) if self._server else None

    async def notify(self, channel: Channel, message: Message) -> Receipt:  # noqa: ARG002
        """As the protocol says. What is no consumer's business is sent to nobody, and that is a success."""
        if not message.letters and not message.topic.concerns_consumer:
            return Receipt()
        if not message.letters:
            raise DeliveryError(
                Reason.CONTACT_NOT_FOUND,
                "there is nobody to write to: add a contact to spec.contact, or to the client list",
            )
        if self._server is None or self._sender is None or self._relay is None:
            raise DeliveryError(
                Reason.MAIL_NOT_CONFIGURED,
                "the operator has no mail server: set CLIENTCERT_SMTP_HOST and CLIENTCERT_SMTP_FROM",
            )
        if self._server.namespaces and message.object_key.namespace not in self._server.namespaces:
            raise DeliveryError(
                Reason.CHANNEL_NOT_ALLOWED,
                "the operator's mail server does not serve this namespace: have it added to CLIENTCERT_MAIL_NAMESPACES",
            )
        try:
            async with asyncio.timeout(MAIL_SECONDS) as deadline:
                return await self._to_the_first(self._relay, self._sender, message, deadline)
        except TimeoutError:
            raise unavailable(f"the mail server did not take the mail within {MAIL_SECONDS:.0f} seconds") from None

    async def _to_the_first(
        self, relay: MailRelay, sender: Address, message: Message, deadline: asyncio.Timeout
    ) -> Receipt:
        """To the first recipient who can be reached; raises what is wrong with each if nobody can."""
        refusals: list[tuple[Role, DeliveryError]] = []
        for letter in message.letters:
            try:
                await self._deliver(relay, sender, letter, message, deadline)
            except DeliveryError as error:
                if error.reason not in _UNREACHED:
                    raise
                refusals.append((letter.recipient.role, error))
            else:
                return Receipt(stood_in=_stood_in(refusals, letter.recipient.role))
        raise DeliveryError(refusals[0][1].reason, "; ".join(error.message for _, error in refusals))

    async def _deliver(
        self, relay: MailRelay, sender: Address, letter: Letter, message: Message, deadline: asyncio.Timeout
    ) -> None:
        """Hand over one mail. Once it was accepted, nothing may make it look otherwise: the deadline is lifted."""
        recipient, reply_to = self._recipient(letter), _reply_to(letter)
        content = mail(letter, sender, recipient, reply_to, message.about.time).as_bytes()
        await relay.take(content, sender, recipient, letter.recipient.role, lambda: deadline.reschedule(None))

    def _recipient(self, letter: Letter) -> Address:
        role, address = letter.recipient.role, plain_address(letter.recipient.address)
        if address is None:
            raise DeliveryError(
                Reason.CONTACT_INVALID,
                f"the {role} has no plain e-mail address such as jo@example.com: {CORRECT}",
            )
        if self._domains and address.domain.lower() not in self._domains:
            raise DeliveryError(
                Reason.RECIPIENT_NOT_ALLOWED,
                f"the {role} has an address in a domain that the operator may not write to: add it to"
                " CLIENTCERT_MAIL_DOMAINS, or name another contact",
            )
        return address


def _reply_to(letter: Letter) -> Address | None:
    address = plain_address(letter.reply_to)
    if letter.reply_to and address is None:
        raise DeliveryError(
            Reason.MESSAGE_REFUSED, "email.replyTo of the channel is no plain e-mail address: correct the policy"
        )
    return address


def _stood_in(refusals: list[tuple[Role, DeliveryError]], reached: Role) -> StoodIn | None:
    """None when the first recipient was reached."""
    if not refusals:
        return None
    unreached = " and ".join(f"the {role} {_UNREACHED[error.reason]}" for role, error in refusals)
    return StoodIn(reached, unreached)


def _sender(server: MailServer) -> Address:
    if server.tls not in {"starttls", "implicit", "none"}:
        raise SettingsError("CLIENTCERT_SMTP_TLS is not one of starttls, implicit and none")
    if server.username and server.tls == "none" and not _is_loopback(server.host):
        raise SettingsError("CLIENTCERT_SMTP_TLS is none, so the password would be readable: use starttls or implicit")
    address = named_address(server.sender)
    if address is None:
        raise SettingsError("CLIENTCERT_SMTP_FROM is no address such as team@example.com or Team <team@example.com>")
    return address


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
