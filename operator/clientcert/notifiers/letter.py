"""What a consumer's contact is told, in parts that a mail and a direct message show each in its own way."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from clientcert.lifecycle.contacts import Recipient

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
class Letter:
    """A letter to one recipient."""

    recipient: Recipient
    subject: str
    parts: tuple[Part, ...]
    reply_to: str
    """One plain address; empty: the sender's own."""
    thread: str
    """The same for all letters about one certificate through one channel; no personal data."""
    key: str
    """The same whenever this very letter is sent again, and for no other."""


def paragraph(text: str) -> Part:
    """The usual part."""
    return Part(PartKind.PARAGRAPH, text)


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
