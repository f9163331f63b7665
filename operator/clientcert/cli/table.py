"""What the verbs print: columns that line up, and text of strangers that cannot move the cursor of a terminal."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from clientcert.messages.text import truncate

_WIDEST_CELL = 50


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> Iterable[str]:
    """A line for the headings and one for each row; the columns with these headings end at the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        cells = (
            cell.rjust(width) if heading in right else cell.ljust(width)
            for cell, width, heading in zip(row, widths, headings, strict=True)
        )
        yield "  ".join(cells).rstrip()


def cut(cell: str) -> str:
    """At most 50 characters of it."""
    return truncate(cell, _WIDEST_CELL)


def printable(text: str) -> str:
    """Names come from strangers: nothing in them may move the cursor of a terminal, or begin a line of its own."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def to_the_minute(moment: datetime) -> str:
    """As people read it, in UTC."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ', timespec='minutes')} UTC"
