"""What a consumer's contact is told and by whom, in parts that a mail and a direct message show each in its own way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import EmailAddress
from clientcert.lifecycle.recorded_status import AcceptedCertificate
from clientcert.messages.alert_text import Situation, Topic, days_left
from clientcert.messages.text import LONGEST_VALUE, days_ago, minute, sanitize_line

LONGEST_SUBJECT = 250
LONGEST_PARAGRAPH = 4000
COMMAND_INDENT = " " * 4


class PartKind(StrEnum):
    """How a part is shown."""

    PARAGRAPH = "Paragraph"
    HEADING = "Heading"
    COMMAND = "Command"
    """To be copied: shown as it is."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a letter: plain text, in which no field can break a line."""

    kind: PartKind
    text: str


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and what of a letter depends on nothing else."""

    address: EmailAddress
    owner: str
    """Whom the certificate names, in harmless words; they sign where the policy names nobody."""

    @property
    def system(self) -> str:
        """With its article; what the certificate gives access to."""
        named = sanitize_line(self.address.system, LONGEST_VALUE).removeprefix("the ")
        return f"the {named}" if named else "our system"

    @property
    def introduction(self) -> Part:
        """To whoever may not know us."""
        return paragraph(f"We are the team who are currently maintaining {self.system}.")

    @property
    def answer(self) -> str:
        """How to answer a mail."""
        return "To answer, reply to this mail" + (f": it goes to {self._reply_to}." if self._reply_to else ".")

    @property
    def whom(self) -> str:
        """Whom to talk to, as a sentence names them."""
        sender = self._named or f"the team that looks after {self.system}"
        return f"{sender} ({self._reply_to})" if self._reply_to else sender

    def framed(self, recipient: Recipient, parts: Iterable[Part]) -> list[Part]:
        """With a greeting, and in a mail with a signature."""
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
    """What all letters of one message speak of."""

    situation: Situation
    topic: Topic
    writer: Writer
    accepted: AcceptedCertificate
    written_to: Role | None
    """Of an escalation: who has had the letters so far."""

    @property
    def closes(self) -> bool:
        """It is the last letter: the certificate was replaced."""
        return self.topic is Topic.RENEWED

    @property
    def has_expired(self) -> bool:
        """As the sentence of the same message says it."""
        return self.topic is Topic.EXPIRED

    @property
    def serial_number(self) -> str:
        """As a sentence shows it."""
        return sanitize_line(self.accepted.serial_number, LONGEST_VALUE)

    @property
    def ends(self) -> str:
        """How a sentence about the certificate goes on."""
        when = minute(self.accepted.not_after)
        if self.has_expired:
            return f"expired on {when}, {days_ago(self.accepted.not_after, self.situation.assessment.now)}"
        days = days_left(self.situation, self.accepted)
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
    """The same for all letters about one certificate through one channel; no personal data."""
    key: str
    """The same whenever this very letter is sent again, and for no other."""

    @property
    def reply_to(self) -> str:
        """As the policy has it. One plain address; empty: the sender's own."""
        return self.writer.address.reply_to


def paragraph(text: str) -> Part:
    """The usual part."""
    return Part(PartKind.PARAGRAPH, text)


def sanitize_parts(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Each in one line that no field in it can break, and not too long."""
    return tuple(Part(part.kind, sanitize_line(part.text, LONGEST_PARAGRAPH)) for part in parts)


def typed_parts(text: str) -> Iterator[Part]:
    """A text as somebody types it: paragraphs between empty lines; what is indented by four spaces is a command."""
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
