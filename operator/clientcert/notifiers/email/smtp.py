"""Hands one mail over to the operator's own mail server, and interprets the answers."""

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Role
from clientcert.notifiers.deadline import unavailable

LOGIN_REST_SECONDS = 300.0
"""The time without logins after a rejected one: a few wrong logins lock an account."""
GOODBYE_SECONDS = 2.0
_LOGIN_PATIENCE = 2.0
"""The longest wait for the first login: the rest of a mail's time is for the server."""
CORRECT = "correct the e-mail address in spec.contact or in the client list"

_LOGIN_CODES = frozenset({530, 534, 535, 538})  # RFC 4954 section 6
_ABOUT_THE_MAILBOX = re.compile(r"5\.(1\.(?![78]\b)|2\.)\d")
"""Enhanced status codes about the recipient's address or mailbox (RFC 3463 sections 3.2 and 3.3); 5.1.7 and 5.1.8 are
about the sender."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """The operator's settings for its mail server."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    """The From of every mail: one plain address, or `Name <address>`."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    domains: frozenset[str] = frozenset()
    """The allowed domains of recipients, without subdomains; empty: any."""
    namespaces: frozenset[str] = frozenset()
    """The namespaces whose certificates have mails; empty: all."""


class MailRelay:
    """Hands mails over, one connection each. Safe for concurrent calls."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext | None) -> None:
        """`tls` is None if the settings disable TLS."""
        self._server = server
        self._tls = tls
        self._login_works, self._rejections = False, 0
        self._first_login = asyncio.Lock()

    async def take(
        self, content: bytes, sender: Address, recipient: Address, role: Role, taken: Callable[[], None]
    ) -> None:
        """Hand over one mail to one recipient of this role; `taken` is called as soon as the mail is accepted.

        Raises DeliveryError, whose message repeats nothing of the server's answer.
        """
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls=False,
            tls_context=self._tls,
            local_hostname=sender.domain,
            timeout=None,  # the caller has a deadline for all of it
        )
        try:
            await self._enter(client)
            await _hand_over(client, sender, recipient, role, content)
            taken()
            with suppress(SMTPException, OSError):
                await client.quit(timeout=GOODBYE_SECONDS)
        finally:
            client.close()

    async def _enter(self, client: SMTP) -> None:
        """Connect and log in; one mail at a time until a login was accepted, because wrong logins lock an account."""
        proven = self._login_works or not self._server.username
        if proven or not await self._is_the_first(client):
            await self._connect(client)

    async def _is_the_first(self, client: SMTP) -> bool:
        """True if this mail made the first login, and is connected now.

        If the first login is rejected, the mails that waited for it fail too, without a login of their own.
        """
        rejections = self._rejections
        try:
            async with asyncio.timeout(_LOGIN_PATIENCE):
                await self._first_login.acquire()
        except TimeoutError:
            words = "the first login to the mail server, by another mail, takes long: this mail is retried"
            raise DeliveryError(Reason.RECIPIENT_UNAVAILABLE, words, retryable=True) from None
        try:
            if self._rejections > rejections:
                raise _login_rejected()
            if self._login_works:
                return False
            await self._connect(client)
            return True
        finally:
            self._first_login.release()

    async def _connect(self, client: SMTP) -> None:
        try:
            await _connect(client, self._server)
        except DeliveryError as error:
            if error.reason is Reason.MAIL_LOGIN_REJECTED:
                self._login_works, self._rejections = False, self._rejections + 1
            raise
        self._login_works = True


async def _connect(client: SMTP, server: MailServer) -> None:
    """Connect, encrypt and log in, as the settings say. Fails if they require TLS and the server does not offer it."""
    try:
        await client.connect()
        if server.tls == "starttls":
            await client.ehlo()
            if not client.supports_extension("starttls"):
                raise unavailable(
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
            raise unavailable(
                "the mail server's certificate is not trusted, or not valid for its name: check CLIENTCERT_SMTP_HOST"
            ) from None
        raise unavailable(
            "the mail server cannot be reached: check CLIENTCERT_SMTP_HOST, CLIENTCERT_SMTP_PORT and"
            " CLIENTCERT_SMTP_TLS"
        ) from None


async def _log_in(client: SMTP, server: MailServer) -> None:
    """Log in once, with the first method that the server offers: several wrong passwords lock an account."""
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
        if found.reason is Reason.CHANNEL_UNAVAILABLE:  # the server works: it takes mails to others
            words = f"the mail server cannot accept mails to the {role} at the moment"
            found = DeliveryError(Reason.RECIPIENT_UNAVAILABLE, words, retryable=True)
        raise found from None
    except SMTPSenderRefused as error:
        words = "the mail server refused CLIENTCERT_SMTP_FROM as the sender: allow that address there, or correct it"
        raise _answered(error.code, DeliveryError(Reason.MESSAGE_REFUSED, words)) from None
    except SMTPResponseException as error:
        if 500 <= error.code < 600 and _ABOUT_THE_MAILBOX.match(error.message):  # the mail has one recipient
            raise _refused(role) from None
        words = "the mail server refused the mail, but not the recipient: see its log, or that of its content filter"
        raise _answered(error.code, DeliveryError(Reason.MESSAGE_REFUSED, words)) from None
    except (SMTPException, OSError):
        raise unavailable("the mail server closed the connection before it accepted the mail") from None


def _refused(role: Role) -> DeliveryError:
    return DeliveryError(Reason.RECIPIENT_REFUSED, f"the mail server refused the {role}: {CORRECT}")


def _answered(code: int, refusal: DeliveryError) -> DeliveryError:
    """The error for a reply code (RFC 5321 section 4.2.1): 5xx is permanent, and a few codes are about the login."""
    if code in _LOGIN_CODES:
        return _login_rejected()
    return refusal if 500 <= code < 600 else unavailable("the mail server cannot accept the mail at the moment")


def _login_rejected() -> DeliveryError:
    return DeliveryError(
        Reason.MAIL_LOGIN_REJECTED,
        "the mail server rejected the login: correct CLIENTCERT_SMTP_USERNAME and CLIENTCERT_SMTP_PASSWORD",
        retry_after=LOGIN_REST_SECONDS,
    )


def _is_distrust(error: BaseException) -> bool:
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in (error, error.__cause__))
