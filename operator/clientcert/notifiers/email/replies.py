"""The meaning of a mail server's refusal: who has to correct what.

    reply = Reply(Command.RCPT, 550, "5.7.1 <jo@nhs.example>: Relay access denied")
    reply.permanent, cause_of(reply)    # True, Cause.CLIENT

Only a reply that clearly is about the recipient's mailbox counts against the recipient. A server that refuses the
operator, its login or its sender does so for every recipient, at whatever command it likes: many do it at RCPT.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Command(StrEnum):
    """The step of a mail that the server answered; the first four are about the connection alone."""

    CONNECT = "connect"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    """Also the answer to the content."""

    @property
    def knows_recipient(self) -> bool:
        """True if the server may answer for this recipient alone; before, it treats all mails alike."""
        return self in {Command.RCPT, Command.DATA}


class Cause(StrEnum):
    """The cause of a permanent refusal."""

    RECIPIENT = "recipient"
    """The mailbox or its domain does not exist, or accepts no mail: another recipient may be reached."""
    UNCLEAR = "unclear"
    """The recipient, or the operator: the server says only that it does not take this mail."""
    MAILBOX_FULL = "mailbox full"
    LOGIN = "login"
    ENCRYPTION = "encryption"
    SENDER = "sender"
    """CLIENTCERT_SMTP_FROM is not allowed for this login, or not trusted."""
    CLIENT = "client"
    """The operator may not relay, or its address is not allowed."""
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a mail server."""

    command: Command
    code: int
    """The reply code (RFC 5321 section 4.2); any number, because servers are not trusted."""
    text: str = ""
    """All lines without the reply code. Never repeated: it may contain addresses."""

    @property
    def permanent(self) -> bool:
        """True if the same mail is refused again. A reply code that is not of RFC 5321 is transient, but for one."""
        return 500 <= self.code < 600 or self.code == _UNKNOWN_SENDER

    @property
    def enhanced(self) -> frozenset[str]:
        """The enhanced status codes (RFC 2034), one for each line at most; qmail puts its own at the end: (#5.1.1)."""
        return frozenset(found[1] or found[2] for found in _ENHANCED.finditer(self.text))

    def __str__(self) -> str:
        """The codes alone: `550 5.7.1`."""
        codes = self.enhanced
        return f"{self.code} {min(codes)}" if len(codes) == 1 else str(self.code)


_STATUS = r"([245]\.\d{1,3}\.\d{1,3})(?![.\d])"
_ENHANCED = re.compile(rf"^[(\[]?#?{_STATUS}|[(\[]#?{_STATUS}[)\]]\s*$", re.MULTILINE | re.ASCII)
_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"})
"""RFC 3463 sections 3.2 and 3.3, RFC 7505. The others of 5.1 and 5.2 are about the sender, or unspecific."""
_UNCLEAR = frozenset({550, 551, 553})
_LOGIN = frozenset({530, 534, 535, 538})
"""RFC 4954 section 6. Not by an enhanced status code: servers repeat those of the recipient's server."""
_UNKNOWN_SENDER = 403
"""SendGrid's, like the status of HTTP."""
_ENCRYPTION = 523  # RFC 5248: the registered reply code of 5.7.10
_CAUSES = {
    "5.2.2": Cause.MAILBOX_FULL,
    "5.1.7": Cause.SENDER,
    "5.1.8": Cause.SENDER,
    "5.2.252": Cause.SENDER,  # Exchange: SendAsDenied
    **dict.fromkeys(("5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.26", "5.7.27", "5.7.29"), Cause.SENDER),
    "5.7.60": Cause.SENDER,  # Exchange: no permission to send as this sender
    "5.7.10": Cause.ENCRYPTION,
    "5.7.11": Cause.ENCRYPTION,
    "5.7.30": Cause.ENCRYPTION,
    "5.2.3": Cause.CONTENT,
    "5.3.4": Cause.CONTENT,
    "5.7.25": Cause.CLIENT,
    "5.7.54": Cause.CLIENT,  # Exchange: unable to relay
    "5.7.57": Cause.CLIENT,  # Exchange: the client was not authenticated
    "5.7.64": Cause.CLIENT,  # Exchange: no connector for this tenant
}
_CAUSES_OF_COMMANDS = {Command.AUTH: Cause.LOGIN, Command.MAIL: Cause.SENDER, Command.DATA: Cause.CONTENT}


def cause_of(reply: Reply) -> Cause:
    """The cause of a permanent refusal."""
    command, codes = reply.command, reply.enhanced
    if command.knows_recipient and codes and codes <= _MAILBOX:
        return Cause.RECIPIENT
    if command is Command.AUTH or (reply.code in _LOGIN and command is not Command.CONNECT):
        return Cause.LOGIN
    if command is Command.RCPT and not codes and reply.code in _UNCLEAR:
        return Cause.UNCLEAR
    if reply.code == _ENCRYPTION:
        return Cause.ENCRYPTION
    if reply.code == _UNKNOWN_SENDER:
        return Cause.SENDER
    known = {_CAUSES[code] for code in codes if code in _CAUSES}
    if len(known) == 1:
        return known.pop()
    if codes and all(code.startswith("5.6.") for code in codes):
        return Cause.CONTENT
    return _CAUSES_OF_COMMANDS.get(command, Cause.CLIENT)
