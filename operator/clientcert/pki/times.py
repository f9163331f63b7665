"""Reads ASN.1 times, more leniently than RFC 5280 section 4.1.2.5 requires."""

import calendar
import re
from datetime import UTC, datetime, timedelta

from clientcert.pki.der import GENERALIZED_TIME, UTC_TIME, Element, MalformedError

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

_RFC_5280_FORMS = {UTC_TIME: re.compile(rb"[0-9]{12}Z"), GENERALIZED_TIME: re.compile(rb"[0-9]{14}Z")}
_YEAR_DIGITS = {UTC_TIME: (2, 4), GENERALIZED_TIME: (4, 5, 6)}
_AFTER_THE_YEAR = re.compile(
    rb"(?P<month>[0-9]{2})(?P<day>[0-9]{2})(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?)?"
    rb"(?:[.,][0-9]+)?(?:Z|(?P<offset>[+-][0-9]{4}))?"
)


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
        try:
            moment, exact = _moment(_full_year(int(text[:digits]), digits), rest)
        except ValueError:
            continue
        return moment, exact and _RFC_5280_FORMS[element.tag].fullmatch(text) is not None
    raise MalformedError("not a time")


def _full_year(year: int, digits: int) -> int:
    """Two digits mean 1950 to 2049 (RFC 5280 section 4.1.2.5.1)."""
    return year if digits > 2 else year + (1900 if year >= 50 else 2000)


def _moment(year: int, rest: re.Match[bytes]) -> tuple[datetime, bool]:
    month, day, hour, minute, second = (int(rest[name] or 0) for name in ("month", "day", "hour", "minute", "second"))
    known_year = min(max(year, 1), 9999)
    known_day = min(day, calendar.monthrange(known_year, month)[1]) if 1 <= month <= 12 and day <= 31 else day
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
