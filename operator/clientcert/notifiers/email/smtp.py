"""Hands one mail over to the operator's own mail server."""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from typing import Literal

from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponseException

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Role
from clientcert.notifiers.deadline import unavailable
from clientcert.notifiers.email.refusals import cut_off, explain, login_not_offered, login_rejected, refused, too_slow
from clientcert.notifiers.email.replies import Cause, Command, Reply, cause_of
from clientcert.own_secrets import OwnSecret

MAIL_SECONDS = 10.0
"""The time limit for all recipients of one message together."""
GOODBYE_SECONDS = 2.0
_LOGIN_PATIENCE = 2.0
"""The longest wait for the first login: the rest of a mail's time is for the server."""
_RECIPIENTS_KEPT = 2
"""Enough to know of any recipient whether another one was accepted."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """The operator's settings for its mail server."""

    host: str
    port: int
    username: OwnSecret = field(default_factory=OwnSecret)
    password: OwnSecret = field(default_factory=OwnSecret)
    sender: str = ""
    """The From of every mail: one plain address, or `Name <address>`."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    per_second: float = 5.0
    """The most mails in a second."""
    domains: frozenset[str] = frozenset()
    """The allowed domains of recipients, without subdomains; empty: any."""
    namespaces: frozenset[str] = frozenset()
    """The namespaces whose certificates have mails; empty: all."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One mail to one recipient."""

    recipient: Address = field(repr=False)
    role: Role
    content: bytes = field(repr=False)
    overdue: bool = False
    """True if the message could not be delivered for a day: an unclear refusal counts against the recipient now."""


class MailRelay:
    """Hands mails over, one connection each. Safe for concurrent calls."""

    def __init__(self, server: MailServer, sender: Address, tls: ssl.SSLContext | None) -> None:
        """`tls` is None if the settings disable TLS."""
        self._server = server
        self._sender = sender
        self._tls = tls
        self._rejections = 0
        self._accepted_login: tuple[str, str] | None = None
        """User name and password of the last login that was accepted; the settings may have others by now."""
        self._first_login = asyncio.Lock()
        self._accepted: set[str] = set()
        """Some recipients to whom the server has accepted a mail of this sender since the start."""

    async def take(self, envelope: Envelope, until: float) -> None:
        """Hand over one mail. `until`, on the loop's clock, does not end a mail that was accepted.

        Raises DeliveryError, whose message repeats nothing of the server's answer.
        """
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls=False,
            tls_context=self._tls,
            local_hostname=self._sender.domain,
            timeout=None,  # the caller has a deadline for all of it
        )
        session = _Session(client, server, envelope)
        try:
            async with asyncio.timeout_at(until) as deadline:
                await self._enter(session)
                await self._hand_over(session)
                deadline.reschedule(None)
            with suppress(SMTPException, OSError):
                await client.quit(timeout=GOODBYE_SECONDS)
        except TimeoutError:
            raise too_slow(session.command, envelope.role, MAIL_SECONDS) from None
        finally:
            client.close()

    @property
    def _login(self) -> tuple[str, str]:
        return self._server.username.value, self._server.password.value

    @property
    def _login_works(self) -> bool:
        return self._accepted_login == self._login

    async def _hand_over(self, session: "_Session") -> None:
        recipient = session.envelope.recipient.addr_spec
        try:
            await session.hand_over(self._sender)
        except SMTPResponseException as error:
            # A server that accepts mails to others refuses the recipient, not the operator. After a day the recipient
            # is assumed: otherwise the next one would never be written to.
            proven = session.envelope.overdue or bool(self._accepted - {recipient})
            raise session.refusal(error, recipient_is_assumed=proven) from None
        except (SMTPException, OSError):
            raise cut_off(session.command, session.envelope.role) from None
        if len(self._accepted) < _RECIPIENTS_KEPT:
            self._accepted.add(recipient)

    async def _enter(self, session: "_Session") -> None:
        """Connect and log in; one mail at a time until a login was accepted, because wrong logins lock an account."""
        proven = self._login_works or not self._server.username
        if proven or not await self._is_the_first(session):
            await self._connect(session)

    async def _is_the_first(self, session: "_Session") -> bool:
        """True if this mail made the first login, and is connected now.

        If the first login is rejected, the mails that waited for it fail too, without a login of their own.
        """
        rejections = self._rejections
        try:
            async with asyncio.timeout(_LOGIN_PATIENCE):
                await self._first_login.acquire()
        except TimeoutError:
            words = "the first login to the mail server, by another mail, takes long: this mail is retried"
            raise DeliveryError(Reason.RECIPIENT_UNAVAILABLE, words, retryable=True, elsewhere=True) from None
        try:
            if self._rejections > rejections:
                raise login_rejected()
            if self._login_works:
                return False
            await self._connect(session)
            return True
        finally:
            self._first_login.release()

    async def _connect(self, session: "_Session") -> None:
        login = self._login
        try:
            await session.connect(login)
        except DeliveryError as error:
            if error.reason is Reason.MAIL_LOGIN_REJECTED:
                self._accepted_login, self._rejections = None, self._rejections + 1
            raise
        self._accepted_login = login


class _Session:
    """One connection, and its last command: the answer, or its absence, is about that."""

    def __init__(self, client: SMTP, server: MailServer, envelope: Envelope) -> None:
        self._client = client
        self._server = server
        self.envelope = envelope
        self.command = Command.CONNECT

    async def connect(self, login: tuple[str, str]) -> None:
        """Connect, encrypt and log in, as the settings say. Raises DeliveryError, also if TLS is not offered."""
        try:
            await self._client.connect()
            if self._server.tls == "starttls":
                await self._start_tls()
            await self._greet()
            if self._server.username:
                self.command = Command.AUTH
                await self._log_in(*login)
        except SMTPResponseException as error:
            raise self.refusal(error) from None
        except (SMTPException, OSError) as error:
            if _is_distrust(error):
                words = "the mail server's certificate is not trusted, or not valid for its name"
                raise unavailable(f"{words}: check CLIENTCERT_SMTP_HOST") from None
            raise cut_off(self.command, self.envelope.role) from None

    def refusal(self, error: SMTPResponseException, *, recipient_is_assumed: bool = False) -> DeliveryError:
        """The error for the reply to the last command. An unclear refusal is of the recipient, if that is assumed."""
        reply, role = Reply(self.command, error.code, error.message), self.envelope.role
        if recipient_is_assumed and reply.permanent and cause_of(reply) is Cause.UNCLEAR:
            return refused(reply, Cause.RECIPIENT, role)
        has_login, encrypted = bool(self._server.username), self._server.tls != "none"
        return explain(reply, role, has_login=has_login, encrypted=encrypted)

    async def hand_over(self, sender: Address) -> None:
        """Send the mail. Raises the errors of aiosmtplib."""
        envelope = self.envelope
        size = (f"size={len(envelope.content)}",) if self._client.supports_extension("size") else ()  # RFC 1870
        self.command = Command.MAIL
        await self._client.mail(sender.addr_spec, options=size)
        self.command = Command.RCPT
        await self._client.rcpt(envelope.recipient.addr_spec)
        self.command = Command.DATA
        await self._client.data(envelope.content)

    async def _start_tls(self) -> None:
        self.command = Command.EHLO
        await self._client.ehlo()
        if not self._client.supports_extension("starttls"):
            raise unavailable("the mail server offers no STARTTLS: check CLIENTCERT_SMTP_PORT and CLIENTCERT_SMTP_TLS")
        self.command = Command.STARTTLS
        await self._client.starttls()

    async def _greet(self) -> None:
        self.command = Command.EHLO
        try:
            await self._client.ehlo()
        except SMTPHeloError as error:
            if error.code not in {500, 502} or self._server.username:  # RFC 5321 section 3.2: a server without EHLO
                raise
            await self._client.helo()

    async def _log_in(self, username: str, password: str) -> None:
        """Log in once, with the first method that the server offers: several wrong passwords lock an account."""
        client = self._client
        ways = (("plain", client.auth_plain), ("login", client.auth_login), ("cram-md5", client.auth_crammd5))
        for name, log_in in ways:
            if name in client.server_auth_methods:
                await log_in(username, password)
                return
        raise login_not_offered(frozenset(client.server_auth_methods))


def _is_distrust(error: BaseException) -> bool:
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in (error, error.__cause__))
