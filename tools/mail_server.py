"""A mail server on loopback, for tests and the demo: real SMTP by aiosmtpd, in a thread of its own.

with LoopbackMailServer(tls="starttls", login=("operator", "secret")) as server:
    server.answer("RCPT", "550 5.1.1 No such user", address="jo@nhs.example")
    ...  # the client under test connects to server.host and server.port, and trusts server.tls_context()
    assert [mail.recipient for mail in server.mails] == [...]
"""

import asyncio
import logging
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd import smtp
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tools.certificates import AUTHORITY_NOT_AFTER, AUTHORITY_NOT_BEFORE, Issued, self_signed

_TAKEN = "250 OK"

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns about its own behaviour


@dataclass(frozen=True, slots=True)
class Received:
    """A mail that was accepted."""

    time: datetime
    sender: str
    """The sender of the envelope; `recipient` is of the envelope, too."""
    recipient: str
    encrypted: bool
    logged_in: bool
    content: bytes = field(repr=False)

    @property
    def message(self) -> EmailMessage:
        """The parsed mail; its text is `get_body(("plain",))`."""
        return message_from_bytes(self.content, _class=EmailMessage, policy=SMTP)

    @property
    def subject(self) -> str:
        """Without the space with which a folded one begins."""
        return str(self.message["Subject"]).strip()

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    @property
    def attachments(self) -> dict[str, bytes]:
        """Their contents by name."""
        parts = self.message.iter_attachments()
        return {part.get_filename() or "": bytes(part.get_payload(decode=True) or b"") for part in parts}

    def _body(self, kind: Literal["plain", "html"]) -> str:
        body = self.message.get_body((kind,))
        return str(body.get_content()).replace("\r\n", "\n") if body is not None else ""


class LoopbackMailServer:
    """Accepts mail to any recipient, unless `answer` says otherwise, and delivers nothing."""

    host = "localhost"

    def __init__(
        self,
        *,
        tls: Literal["starttls", "implicit", "none"] = "none",
        login: tuple[str, str] | None = None,
        port: int = 0,
        on_mail: Callable[[Received], None] | None = None,
    ) -> None:
        """With `login`, user name and password, no mail is accepted without it. `on_mail` is called in the thread."""
        self.mails: list[Received] = []
        self.commands: list[str] = []
        """The commands of all connections, by the names of `answer`."""
        self.before_mail: Callable[[Received], None] = lambda _: None
        """Called in the thread with each mail before it is accepted; a ConnectionError ends its connection instead."""
        self.on_mail = on_mail
        """Called in the thread with each mail after it was accepted, and before the answer is sent."""
        self._tls = tls
        self._login = login
        self._port = port
        self._answers: dict[tuple[str, str], str] = {}
        self._delays: dict[str, float] = {}
        self._dropped: set[str] = set()
        self._identity = self_signed("localhost", AUTHORITY_NOT_BEFORE, AUTHORITY_NOT_AFTER, is_authority=True)
        self._controller: _Controller | None = None

    @property
    def port(self) -> int:
        return self._controller.port if self._controller else self._port

    @property
    def wants_login(self) -> bool:
        return self._login is not None

    def tls_context(self) -> ssl.SSLContext:
        """A context for clients, which trusts only this server."""
        return ssl.create_default_context(cadata=self.authority_pem)

    @property
    def authority_pem(self) -> str:
        return self._identity.certificate_pem.decode()

    def answer(self, command: str, status: str, *, address: str = "") -> None:
        """Set the answer to a command from now on: EHLO, AUTH, MAIL, RCPT (to that address, if given), DATA or QUIT."""
        self._answers[command, address] = status

    def delay(self, command: str, seconds: float) -> None:
        """Wait before each answer to the command. DATA is answered after the mail was accepted."""
        self._delays[command] = seconds

    def drop(self, command: str) -> None:
        """Close the connection instead of answering the command."""
        self._dropped.add(command)

    def behave(self) -> None:
        """Remove all answers, delays and drops."""
        self._answers.clear()
        self._delays.clear()
        self._dropped.clear()

    def __enter__(self) -> Self:
        context = _server_context(self._identity) if self._tls != "none" else None
        # aiosmtpd counts only STARTTLS as TLS.
        options: dict[str, Any] = {"server_hostname": self.host, "auth_require_tls": self._tls == "starttls"}
        if self._tls == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        if self._login is not None:
            options["authenticator"] = self._authenticate
        self._controller = _Controller(
            _Hooks(self), "127.0.0.1", self._port, ssl_context=context if self._tls == "implicit" else None, **options
        )
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._controller is not None:
            self._controller.stop()

    async def meet(
        self, connection: smtp.SMTP, command: str, address: str = "", *, take: Callable[[], None] = lambda: None
    ) -> str:
        """Handle a command by the settings of its arrival: returns the answer, or an empty string.

        `take` is called if there is no other answer, before the command is visible to anybody and before any delay.
        """
        answer = self._answers.get((command, address)) or self._answers.get((command, ""), "")
        is_cut_off, delay = command in self._dropped, self._delays.get(command, 0.0)
        if not answer:
            try:
                take()
            except ConnectionError:
                is_cut_off = True
        self.commands.append(command)
        await asyncio.sleep(delay)
        if is_cut_off:
            await self.cut_off(connection)
        return answer

    async def cut_off(self, connection: smtp.SMTP) -> None:
        """Close the connection without an answer."""
        if isinstance(connection.transport, asyncio.Transport):
            connection.transport.abort()
            await asyncio.sleep(60)  # until aiosmtpd notices the closed connection, and cancels this

    def take(self, session: Session, envelope: Envelope) -> None:
        """Keep a mail, once for each recipient. Raises ConnectionError if a caller's hook does."""
        for recipient in envelope.rcpt_tos:
            received = Received(
                time=datetime.now(UTC),
                sender=envelope.mail_from or "",
                recipient=recipient,
                encrypted=self._tls == "implicit" or session.ssl is not None,
                logged_in=session.authenticated is True,
                content=envelope.original_content or b"",
            )
            self.before_mail(received)
            self.mails.append(received)
            if self.on_mail is not None:
                self.on_mail(received)

    def _authenticate(
        self, _connection: smtp.SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        self.commands.append("AUTH")
        refusal = self._answers.get(("AUTH", ""))
        known = isinstance(given, LoginPassword) and (given.login.decode(), given.password.decode()) == self._login
        if refusal is None:
            return AuthResult(success=known, handled=False)
        return AuthResult(success=False, handled=False, message=refusal)


class _Hooks:
    """The hooks that aiosmtpd calls."""

    def __init__(self, server: LoopbackMailServer) -> None:
        self._server = server

    async def handle_EHLO(  # noqa: N802
        self, connection: smtp.SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        answer = await self._server.meet(connection, "EHLO")
        return [answer] if answer else responses

    async def handle_MAIL(  # noqa: N802
        self, connection: smtp.SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._server.meet(connection, "MAIL")
        if self._server.wants_login and not session.authenticated:
            answer = answer or "530 5.7.0 Authentication required"
        if not answer:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer or _TAKEN

    async def handle_RCPT(  # noqa: N802
        self, connection: smtp.SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._server.meet(connection, "RCPT", address)
        if not answer:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return answer or _TAKEN

    async def handle_DATA(self, connection: smtp.SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = await self._server.meet(connection, "DATA", take=lambda: self._server.take(session, envelope))
        return answer or _TAKEN

    async def handle_QUIT(self, connection: smtp.SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return await self._server.meet(connection, "QUIT") or "221 Bye"


class _Controller(Controller):
    """Reports the port that the system chose, if port 0 was requested."""

    def _trigger_server(self) -> None:
        if self.server is not None and isinstance(self.server, asyncio.Server):
            self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


def _server_context(identity: Issued) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder) / "both.pem"
        both.write_bytes(identity.certificate_pem + identity.private_key_pem)
        context.load_cert_chain(both)
    return context
