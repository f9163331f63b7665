"""Retry-After is seconds or a date, and is capped."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from clientcert.network.retry_after import parse_retry_after
from tests.builders import NOW

LONGEST = 300.0


def date(**later: float) -> str:
    return format_datetime(NOW + timedelta(**later), usegmt=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1", 1),
        (" 30 ", 30),
        ("301", LONGEST),
        ("999999999", LONGEST),
        (date(seconds=40), 40),
        (date(days=1), LONGEST),
    ],
)
def test_the_wait_is_in_seconds_and_capped(header: str, seconds: float) -> None:
    """A number of seconds, or the time until a date."""
    assert parse_retry_after({"Retry-After": header}, LONGEST, NOW) == seconds


@pytest.mark.parametrize(
    "header",
    [
        "",
        "0",
        "-5",
        "1e2",
        "soon",
        "\u0663",
        "99999999999999999999",
        date(seconds=0),
        date(days=-1),
        "Sun, 99 Nov 2026 09:00:00 GMT",
        "Sun, 22 Nov 2026 09:00:00 -0000",
    ],
)
def test_a_header_that_asks_for_no_wait(header: str) -> None:
    """Zero, a date in the past, and everything that is neither a number nor a date in GMT."""
    assert parse_retry_after({"Retry-After": header}, LONGEST, NOW) is None


def test_without_a_clock_a_date_is_compared_with_the_date_of_the_response() -> None:
    """The clocks of both sides may differ. Without that header the date says nothing."""
    headers = {"Retry-After": date(seconds=40), "Date": date(seconds=10)}
    assert parse_retry_after(headers, LONGEST) == 30
    assert parse_retry_after({"Retry-After": date(seconds=40)}, LONGEST) is None
    assert parse_retry_after({}, LONGEST) is None
