"""Reads tag-length-value encodings (X.690), leniently and with bounds; it never recurses, and copies only results.

Besides DER it accepts BER's indefinite lengths (section 8.1.3.6), which old PKCS#7 and PKCS#12 writers use, and lengths
in more octets than necessary.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31
CONTEXT_0 = 0xA0
"""The constructed context-specific tag [0]; add n for the tag [n]."""

MAX_ELEMENTS = 5_000
"""The largest number of sibling elements that are read."""
_MAX_NESTED_INDEFINITE = 32
_CACHED_OBJECT_IDENTIFIERS = 256
"""All certificates have the same few."""
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""A certificate without an end has this date (RFC 5280 section 4.1.2.5)."""

_RFC_5280_FORMS = {UTC_TIME: re.compile(rb"[0-9]{12}Z"), GENERALIZED_TIME: re.compile(rb"[0-9]{14}Z")}
_YEAR_DIGITS = {UTC_TIME: (2, 4), GENERALIZED_TIME: (4, 5, 6)}
_SHORTEST_MONTH = 28
_AFTER_THE_YEAR = re.compile(
    rb"(?P<month>[0-9]{2})(?P<day>[0-9]{2})(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?)?"
    rb"(?:[.,][0-9]+)?(?:Z|(?P<offset>[+-][0-9]{4}))?"
)


class MalformedError(ValueError):
    """The bytes violate X.690 or the expected structure. The message contains none of the bytes."""


@dataclass(slots=True, eq=False)
class Element:
    """One element inside a buffer that it shares with its neighbours.

    Not frozen, because a frozen one takes three times as long to make, and a certificate has fifty elements.
    """

    buffer: bytes = field(repr=False)
    tag: int
    """The identifier octet: class, constructed bit and number together."""
    start: int
    content_start: int
    content_end: int
    end: int
    """The position of the next element; after the end-of-contents octets of an indefinite length."""

    @property
    def content(self) -> bytes:
        """The content octets."""
        return self.buffer[self.content_start : self.content_end]

    @property
    def encoded(self) -> bytes:
        """The whole element with tag and length."""
        return self.buffer[self.start : self.end]

    def children(self) -> Iterator["Element"]:
        """Yield the elements inside; raises MalformedError at the first one that cannot be read."""
        position = self.content_start
        for _ in range(MAX_ELEMENTS):
            if position >= self.content_end:
                return
            child = read_element(self.buffer, position, self.content_end)
            yield child
            position = child.end
        raise MalformedError("too many elements")

    def readable_children(self, limit: int | None = None) -> list["Element"]:
        """The first `limit` children (default: all); an unreadable child ends the list instead of raising."""
        buffer, position, end = self.buffer, self.content_start, self.content_end
        found: list[Element] = []
        try:
            while position < end and len(found) < (MAX_ELEMENTS if limit is None else limit):
                child = read_element(buffer, position, end)
                found.append(child)
                position = child.end
        except MalformedError:
            pass
        return found

    def fields(self, count: int) -> list["Element"]:
        """The first `count` children; raises MalformedError if there are fewer."""
        found = self.readable_children(count)
        if len(found) < count:
            raise MalformedError("a field is missing")
        return found

    def integer(self) -> int:
        """The value of an INTEGER (section 8.3), negative ones included; at most 64 octets."""
        if self.tag != INTEGER or not 0 < self.content_end - self.content_start <= 64:
            raise MalformedError("not an INTEGER of at most 64 octets")
        return int.from_bytes(self.content, "big", signed=True)

    def object_identifier(self) -> str:
        """The dotted form of an OBJECT IDENTIFIER (section 8.19)."""
        octets = self.content
        if self.tag != OBJECT_IDENTIFIER or not 0 < len(octets) <= 64 or octets[-1] & 0x80:
            raise MalformedError("not an OBJECT IDENTIFIER")
        return _dotted(octets)

    def octets(self) -> bytes:
        """The value of an OCTET STRING; joins the segments of a constructed one (section 8.7.3)."""
        if self.tag & 0x20 == 0:
            return self.content
        return b"".join(piece.content for piece in self.children())


@lru_cache(_CACHED_OBJECT_IDENTIFIERS)
def _dotted(octets: bytes) -> str:
    arcs, value = [], 0
    for octet in octets:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))


def read_element(buffer: bytes, start: int = 0, limit: int | None = None) -> Element:
    """The element that begins at `start` and ends before `limit` (default: the end of the buffer)."""
    limit = len(buffer) if limit is None else limit
    if limit - start < 2:
        raise MalformedError("cut off")
    tag, length = buffer[start], buffer[start + 1]
    if tag & 0x1F == 0x1F:
        raise MalformedError("a tag number of several octets")
    content_start = start + 2
    if length == 0x80:
        content_end = _end_of_indefinite(buffer, tag, content_start, limit)
        return Element(buffer, tag, start, content_start, content_end, content_end + 2)
    if length > 0x80:
        octets = length & 0x7F
        if octets > 8 or limit - content_start < octets:
            raise MalformedError("cut off")
        length = int.from_bytes(buffer[content_start : content_start + octets], "big")
        content_start += octets
    end = content_start + length
    if end > limit:
        raise MalformedError("cut off")
    return Element(buffer, tag, start, content_start, end, end)


def _end_of_indefinite(buffer: bytes, tag: int, position: int, limit: int) -> int:
    """The position of the end-of-contents octets of the element whose content begins at `position`."""
    if tag & 0x20 == 0:
        raise MalformedError("an indefinite length of a primitive element")
    depth = 1
    for _ in range(MAX_ELEMENTS):
        if limit - position < 2:
            break
        if buffer[position : position + 2] == b"\0\0":
            depth -= 1
            if depth == 0:
                return position
            position += 2
        elif buffer[position + 1] == 0x80:
            depth += 1
            position += 2
            if depth > _MAX_NESTED_INDEFINITE:
                break
        else:
            position = read_element(buffer, position, limit).end
    raise MalformedError("an indefinite length without an end")


def read_time(element: Element) -> tuple[datetime, bool]:
    """Return the moment, and whether its form conforms to RFC 5280 and its value fits Python's `datetime`.

    Minutes and seconds may be missing, fractions of a second are dropped, a leap second becomes the second before it,
    an offset is applied, a missing zone means UTC, a day after the end of the month becomes the last day, and years
    before 1 or after 9999 become the earliest or the latest possible moment.

    Raises MalformedError.
    """
    text = element.content[:64].strip()
    for digits in _YEAR_DIGITS.get(element.tag, ()):
        rest = _AFTER_THE_YEAR.fullmatch(text, digits)
        if not text[:digits].isdigit() or rest is None:
            continue
        year = int(text[:digits])
        if digits == 2:
            year += 1900 if year >= 50 else 2000  # RFC 5280 section 4.1.2.5.1
        try:
            moment, exact = _moment(year, rest)
        except ValueError:
            continue
        return moment, exact and _RFC_5280_FORMS[element.tag].fullmatch(text) is not None
    raise MalformedError("not a time")


def shifted(moment: datetime, by: timedelta) -> datetime:
    """The date of a certificate or an object, moved by this time; the end of the calendar if there is no such date."""
    try:
        return moment + by
    except OverflowError:
        return LATEST if by > timedelta(0) else EARLIEST


def _moment(year: int, rest: re.Match[bytes]) -> tuple[datetime, bool]:
    month, day, hour, minute, second = (
        int(part or 0) for part in rest.group("month", "day", "hour", "minute", "second")
    )
    known_year, known_day = min(max(year, 1), 9999), day
    if _SHORTEST_MONTH < day <= 31 and 1 <= month <= 12:
        known_day = min(day, calendar.monthrange(known_year, month)[1])
    moment = datetime(known_year, month, known_day, hour, minute, 59 if second == 60 else second, tzinfo=UTC)
    if year != known_year:
        return (EARLIEST if year < known_year else LATEST), False
    exact = known_day == day and second != 60
    if (offset := rest["offset"]) is None:
        return moment, exact
    try:
        return moment - int(offset[:1] + b"1") * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5])), exact
    except OverflowError:
        return (EARLIEST if year < 5000 else LATEST), False
