"""Output of the verbs: aligned columns, and text from outside that cannot control the terminal."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

_WIDEST_CELL = 50


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> Iterable[str]:
    """A line for the headings and one for each row. The columns whose headings are in `right` are right-aligned."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        cells = (
            cell.rjust(width) if heading in right else cell.ljust(width)
            for cell, width, heading in zip(row, widths, headings, strict=True)
        )
        yield "  ".join(cells).rstrip()


def aligned_facts(facts: Iterable[tuple[str, str]]) -> Iterable[str]:
    """A line for each name and value."""
    known = list(facts)
    width = max(len(name) for name, _ in known) + 1
    for name, value in known:
        yield f"{name + ':':<{width}}  {printable(value)}"


def cut(cell: str) -> str:
    """The cell, truncated to 50 characters."""
    from clientcert.messages.text import truncate  # which imports cryptography: most verbs need neither

    return truncate(cell, _WIDEST_CELL)


def printable(text: str) -> str:
    """Text from outside, with control characters escaped: it can neither move the cursor nor start a line."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def to_the_day(moment: datetime) -> str:
    """The day of a time, in UTC."""
    return moment.astimezone(UTC).date().isoformat()


def to_the_minute(moment: datetime) -> str:
    """A time for people to read, in UTC."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ', timespec='minutes')} UTC"
