"""E-mail to the consumer's contact, over one mail server: the operator's own.

    notifier = EmailNotifier(MailServer("smtp.example.com", 587, "operator", password, "team@example.com"))
    receipt = await notifier.notify(channel, message)

A mail is accepted or it is not: what the server says no to for good because of one recipient goes to the next one,
whose role is another. Whatever passes by itself is the engine's to try again; the Message-ID stays the same.
"""

import asyncio
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from ipaddress import ip_address
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from clientcert.errors import DeliveryError, Reason, SettingsError
from clientcert.lifecycle.alerts import MessageKind
from clientcert.lifecycle.contacts import Role, instead
from clientcert.lifecycle.policy import Channel
from clientcert.notifiers.email_format import mail, named_address, plain_address
from clientcert.notifiers.interface import Pace, Receipt
from clientcert.notifiers.letter import Letter
from clientcert.notifiers.message import Message

MAIL_SECONDS = 10.0
"""For all recipients of one message together."""
LOGIN_REST_SECONDS = 300.0
"""So long nobody tries again with a login that was rejected: a few wrong ones lock an account."""
GOODBYE_SECONDS = 2.0
PACE_SECONDS = 0.2

_LOGIN_CODES = frozenset({530, 534, 535, 538})  # RFC 4954 section 6
_ABOUT_THE_MAILBOX = re.compile(r"5\.[12]\.\d")
"""Enhanced status codes of an address or a mailbox (RFC 3463 sections 3.2 and 3.3)."""
_CORRECT = "correct the e-mail address in spec.contact or in the client list"
_UNREACHED = {
    Reason.CONTACT_INVALID: "has no valid e-mail address",
    Reason.RECIPIENT_NOT_ALLOWED: "has an e-mail address in a domain that is not allowed",
    Reason.RECIPIENT_REFUSED: "was refused by the mail server",
}


@dataclass(frozen=True, slots=True)
class MailServer:
    """What the operator's settings say of the server that takes its mail."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    """The From of every mail: one plain address, or `Name <address>`."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    domains: frozenset[str] = frozenset()
    """Of recipients, exactly these; empty: any."""
    namespaces: frozenset[str] = frozenset()
    """Whose certificates mails are sent for; empty: any's."""


class EmailNotifier:
    """Sends the letters of a message by mail. Without a server every mail fails, and says so."""

    def __init__(self, server: MailServer | None, tls_context: ssl.SSLContext | None = None) -> None:
        """Raises SettingsError for a sender that is no address, and for a password that would travel in the clear."""
        self._server = server if server is not None and server.host else None
        self._sender = _sender(self._server) if self._server else None
        self._domains = frozenset(domain.lower() for domain in server.domains) if server else frozenset()
        self._tls: ssl.SSLContext | None = None
        if self._server and self._server.tls != "none":
            self._tls = tls_context or ssl.create_default_context()
        self._login_works, self._rejections = False, 0
        self._first_login = asyncio.Lock()

    def pace(self, namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:  # noqa: ARG002
        """One place for all: the server."""
        return Pace(("Email", self._server.host, self._server.port), PACE_SECONDS) if self._server else None

    async def notify(self, channel: Channel, message: Message, thread_ref: str = "") -> Receipt:  # noqa: ARG002
        """As the protocol says. What is no consumer's business is sent to nobody, and that is a success."""
        if not message.letters and not _concerns_consumer(message):
            return Receipt()
        if not message.letters:
            raise DeliveryError(
                Reason.CONTACT_NOT_FOUND,
                "there is nobody to write to: add a contact to spec.contact, or to the client list",
            )
        if self._server is None or self._sender is None:
            raise DeliveryError(
                Reason.MAIL_NOT_CONFIGURED,
                "the operator has no mail server: set CLIENTCERT_SMTP_HOST and CLIENTCERT_SMTP_FROM",
            )
        if self._server.namespaces and message.object_key.namespace not in self._server.namespaces:
            raise DeliveryError(
                Reason.CHANNEL_NOT_ALLOWED,
                "the operator's mail server does not serve this namespace: have it added to CLIENTCERT_MAIL_NAMESPACES",
            )
        refusals: list[tuple[Role, DeliveryError]] = []
        try:
            async with asyncio.timeout(MAIL_SECONDS) as deadline:
                for letter in message.letters:
                    try:
                        await self._deliver(self._server, self._sender, letter, message, deadline)
                    except DeliveryError as error:
                        if error.reason not in _UNREACHED:
                            raise
                        refusals.append((letter.recipient.role, error))
                    else:
                        return Receipt(note=_note(refusals, letter.recipient.role))
        except TimeoutError:
            raise _unavailable(f"the mail server did not take the mail within {MAIL_SECONDS:.0f} seconds") from None
        raise DeliveryError(refusals[0][1].reason, "; ".join(error.message for _, error in refusals))

    async def _deliver(
        self, server: MailServer, sender: Address, letter: Letter, message: Message, deadline: asyncio.Timeout
    ) -> None:
        """Hand over one mail. Once it was accepted, nothing may make it look otherwise: the deadline is lifted."""
        recipient, reply_to = self._recipient(letter), _reply_to(letter)
        content = mail(letter, sender, recipient, reply_to, message.about.time).as_bytes()
        client = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls=False,
            tls_context=self._tls,
            local_hostname=sender.domain,
            timeout=None,  # the deadline of all is enough
        )
        try:
            await self._enter(client, server)
            await _hand_over(client, sender, recipient, letter.recipient.role, content)
            deadline.reschedule(None)
            with suppress(SMTPException, OSError):
                await client.quit(timeout=GOODBYE_SECONDS)
        finally:
            client.close()

    async def _enter(self, client: SMTP, server: MailServer) -> None:
        """Connect and log in; one at a time, while nobody knows whether the login is right: a few wrong ones lock it.

        Whoever waited for one that was rejected has its answer, and tries nothing.
        """
        rejections = self._rejections
        if server.username and not self._login_works:
            async with self._first_login:
                if self._rejections > rejections:
                    raise _login_rejected()
                if not self._login_works:
                    await self._connect(client, server)
                    return
        await self._connect(client, server)

    async def _connect(self, client: SMTP, server: MailServer) -> None:
        try:
            await _connect(client, server)
        except DeliveryError as error:
            if error.reason is Reason.MAIL_LOGIN_REJECTED:
                self._login_works, self._rejections = False, self._rejections + 1
            raise
        self._login_works = True

    def _recipient(self, letter: Letter) -> Address:
        role, address = letter.recipient.role, plain_address(letter.recipient.address)
        if address is None:
            raise DeliveryError(
                Reason.CONTACT_INVALID,
                f"the {role} has no plain e-mail address such as jo@example.com: {_CORRECT}",
            )
        if self._domains and address.domain.lower() not in self._domains:
            raise DeliveryError(
                Reason.RECIPIENT_NOT_ALLOWED,
                f"the {role} has an address in a domain that the operator may not write to: add it to"
                " CLIENTCERT_MAIL_DOMAINS, or name another contact",
            )
        return address


async def _connect(client: SMTP, server: MailServer) -> None:
    """Connect, encrypt and log in, as far as the settings say. Never goes on without TLS where they ask for it."""
    try:
        await client.connect()
        if server.tls == "starttls":
            await client.ehlo()
            if not client.supports_extension("starttls"):
                raise _unavailable(
                    "the mail server offers no STARTTLS: check CLIENTCERT_SMTP_PORT and CLIENTCERT_SMTP_TLS"
                )
            await client.starttls()
        if server.username:
            await client.ehlo()
            await _log_in(client, server)
    except (SMTPException, OSError) as error:
        if isinstance(error, SMTPAuthenticationError):
            raise _answered(error.code, _login_rejected()) from None
        if _is_distrust(error):
            raise _unavailable(
                "the mail server's certificate is not one that is trusted for its name: check CLIENTCERT_SMTP_HOST"
            ) from None
        raise _unavailable(
            "the mail server cannot be reached: check CLIENTCERT_SMTP_HOST, CLIENTCERT_SMTP_PORT and"
            " CLIENTCERT_SMTP_TLS"
        ) from None


async def _log_in(client: SMTP, server: MailServer) -> None:
    """Once, by the first way that the server offers: several wrong passwords lock an account."""
    ways = (("plain", client.auth_plain), ("login", client.auth_login), ("cram-md5", client.auth_crammd5))
    for name, log_in in ways:
        if name in client.server_auth_methods:
            await log_in(server.username, server.password)
            return
    raise DeliveryError(
        Reason.MAIL_LOGIN_REJECTED,
        "the mail server offers no login: check CLIENTCERT_SMTP_PORT and CLIENTCERT_SMTP_TLS, or unset"
        " CLIENTCERT_SMTP_USERNAME",
    )


async def _hand_over(client: SMTP, sender: Address, recipient: Address, role: Role, content: bytes) -> None:
    try:
        await client.sendmail(sender.addr_spec, [recipient.addr_spec], content)
    except SMTPRecipientsRefused as error:
        found = _answered(error.recipients[0].code, _refused(role))
        if found.reason is Reason.CHANNEL_UNAVAILABLE:  # nothing is wrong with the server: others are written to
            words = f"the mail server cannot take mails to the {role} at the moment"
            found = DeliveryError(Reason.RECIPIENT_UNAVAILABLE, words, worth_retry=True)
        raise found from None
    except SMTPSenderRefused as error:
        words = "the mail server lets us send nothing as the address in CLIENTCERT_SMTP_FROM: allow it, or correct it"
        raise _answered(error.code, DeliveryError(Reason.MESSAGE_REFUSED, words)) from None
    except SMTPResponseException as error:
        if 500 <= error.code < 600 and _ABOUT_THE_MAILBOX.match(error.message):  # only now; the mail has one recipient
            raise _refused(role) from None
        words = "the mail server refused the mail, not its recipient: see its log, or that of its content filter"
        raise _answered(error.code, DeliveryError(Reason.MESSAGE_REFUSED, words)) from None
    except (SMTPException, OSError):
        raise _unavailable("the mail server broke off before it had taken the mail") from None


def _refused(role: Role) -> DeliveryError:
    return DeliveryError(Reason.RECIPIENT_REFUSED, f"the mail server refused the {role}: {_CORRECT}")


def _answered(code: int, refusal: DeliveryError) -> DeliveryError:
    """The error for a reply code (RFC 5321 section 4.2.1): 5xx is for good, and a few of them are about the login."""
    if code in _LOGIN_CODES:
        return _login_rejected()
    return refusal if 500 <= code < 600 else _unavailable("the mail server cannot take the mail at the moment")


def _login_rejected() -> DeliveryError:
    return DeliveryError(
        Reason.MAIL_LOGIN_REJECTED,
        "the mail server rejected the login: correct CLIENTCERT_SMTP_USERNAME and CLIENTCERT_SMTP_PASSWORD",
        retry_after=LOGIN_REST_SECONDS,
    )


def _unavailable(words: str) -> DeliveryError:
    return DeliveryError(Reason.CHANNEL_UNAVAILABLE, words, worth_retry=True)


def _is_distrust(error: BaseException) -> bool:
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in (error, error.__cause__))


def _concerns_consumer(message: Message) -> bool:
    """Whether it is about a date; `Expired` is also the reason of a problem with what is in the source."""
    if message.reason == "Expired":
        return message.about.not_after is not None and message.about.not_after <= message.about.time
    return message.reason in {"Expiring", "Renewed"}


def _reply_to(letter: Letter) -> Address | None:
    address = plain_address(letter.reply_to)
    if letter.reply_to and address is None:
        raise DeliveryError(
            Reason.MESSAGE_REFUSED, "email.replyTo of the channel is no plain e-mail address: correct the policy"
        )
    return address


def _note(refusals: list[tuple[Role, DeliveryError]], reached: Role) -> str:
    """Empty when the first recipient was reached."""
    if not refusals:
        return ""
    unreached = " and ".join(f"the {role} {_UNREACHED[error.reason]}" for role, error in refusals)
    return instead(unreached, reached)


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
