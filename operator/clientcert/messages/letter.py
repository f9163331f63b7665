"""A letter to a consumer's contact, in parts that a mail and a direct message each show in their own way."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from clientcert.delivery.interface import Attachment
from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import EmailAddress
from clientcert.lifecycle.recorded_status import AcceptedCertificate
from clientcert.messages.alert_text import Situation, days_left
from clientcert.messages.text import LONGEST_VALUE, days_ago, minute, sanitize_line
from clientcert.messages.topic import Topic

LONGEST_SUBJECT = 250
LONGEST_PARAGRAPH = 4000
COMMAND_INDENT = " " * 4
_KEY_CHARACTERS = 32


class PartKind(StrEnum):
    """The form in which a part is shown."""

    PARAGRAPH = "Paragraph"
    HEADING = "Heading"
    COMMAND = "Command"
    """A line to copy; shown unchanged."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a letter: plain text in one line."""

    kind: PartKind
    text: str


@dataclass(frozen=True, slots=True)
class Writer:
    """The sender of a letter, and the phrases that depend on the sender alone."""

    address: EmailAddress
    owner: str
    """The certificate's owner, sanitized; the signature if the policy names no sender."""

    @property
    def system(self) -> str:
        """The system that the certificate gives access to, with its article."""
        named = sanitize_line(self.address.system, LONGEST_VALUE).removeprefix("the ")
        return f"the {named}" if named else "our system"

    @property
    def introduction(self) -> Part:
        """The paragraph for recipients who may not know us."""
        return paragraph(f"We are the team who are currently maintaining {self.system}.")

    @property
    def answer(self) -> str:
        """The sentence that says how to answer a mail."""
        return "To answer, reply to this mail" + (f": it goes to {self._reply_to}." if self._reply_to else ".")

    @property
    def whom(self) -> str:
        """The sender, as a sentence names them for questions."""
        sender = self._named or f"the team that looks after {self.system}"
        return f"{sender} ({self._reply_to})" if self._reply_to else sender

    def framed(self, recipient: Recipient, parts: Iterable[Part]) -> list[Part]:
        """Add a greeting and, in a mail, a signature."""
        greeting = paragraph(f"Hello {sanitize_line(recipient.name, LONGEST_VALUE)}")
        signature = self._named or f"The team that looks after {self.system}"
        signed = [] if recipient.role is Role.SLACK else [paragraph("Thanks"), paragraph(signature)]
        return [greeting, *parts, *signed]

    @property
    def _named(self) -> str:
        return sanitize_line(self.address.sender, LONGEST_VALUE) or self.owner

    @property
    def _reply_to(self) -> str:
        return sanitize_line(self.address.reply_to, LONGEST_VALUE)


@dataclass(frozen=True, slots=True)
class LetterContext:
    """The facts that all letters of one message have in common."""

    situation: Situation
    topic: Topic
    writer: Writer
    accepted: AcceptedCertificate
    written_to: Role | None
    """In an escalation: the role that has had the letters so far."""

    @property
    def closes(self) -> bool:
        """True if this is the last letter: the certificate was replaced."""
        return self.topic is Topic.RENEWED

    @property
    def has_expired(self) -> bool:
        """True if the certificate has expired, as in the sentence of the same message."""
        return self.topic is Topic.EXPIRED

    @property
    def serial_number(self) -> str:
        """The serial number, sanitized."""
        return sanitize_line(self.accepted.serial_number, LONGEST_VALUE)

    @property
    def ends(self) -> str:
        """The second half of a sentence about the certificate: when it expires or expired."""
        expires = self.situation.assessment.expires.time
        when = minute(expires)
        if self.has_expired:
            return f"expired on {when}, {days_ago(expires, self.situation.assessment.now)}"
        days = days_left(self.situation)
        left = "24 hours" if days == 1 else f"{days} days"
        return f"is due to expire within the next {left}, on {when}"


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to one recipient."""

    recipient: Recipient
    subject: str
    parts: tuple[Part, ...]
    writer: Writer
    thread: str
    """Equal in all letters about one certificate through one channel; without personal data."""
    key: str
    """Equal whenever this letter is sent again, and different for every other letter."""
    attachments: tuple[Attachment, ...] = ()
    """Only of a mail."""

    @property
    def reply_to(self) -> str:
        """One plain address, as in the policy; empty: the address of the sender."""
        return self.writer.address.reply_to


def paragraph(text: str) -> Part:
    """A part of plain text."""
    return Part(PartKind.PARAGRAPH, text)


def sanitize_parts(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Make each part one line of at most LONGEST_PARAGRAPH characters."""
    return tuple(Part(part.kind, sanitize_line(part.text, LONGEST_PARAGRAPH)) for part in parts)


def typed_parts(text: str) -> Iterator[Part]:
    """Parse a typed text: empty lines separate paragraphs; a line that is indented by four spaces is a command."""
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        is_command = line.startswith(COMMAND_INDENT) and line.strip()
        if line.strip() and not is_command:
            lines.append(line)
            continue
        if lines:
            yield paragraph(" ".join(lines))
            lines.clear()
        if is_command:
            yield Part(PartKind.COMMAND, line.strip())


def thread_of(uid: str, fingerprint: str, channel: str) -> str:
    """The thread of all letters through one channel about the certificate with this fingerprint."""
    return stable_hash(uid, fingerprint, channel)


def stable_hash(*parts: str) -> str:
    """A hexadecimal hash. The length of each part goes in, so that no two lists of parts are the same text."""
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_KEY_CHARACTERS]
