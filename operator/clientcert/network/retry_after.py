"""The response header Retry-After (RFC 9110 section 10.2.3)."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[0-9]{1,9}")


def parse_retry_after(headers: Mapping[str, str], longest: float, now: datetime | None = None) -> float | None:
    """Return the seconds to wait, at most `longest`; None if the header is absent, invalid, zero or in the past.

    The header holds a number of seconds or a date. A date is compared with `now`, in any time zone, or else with the
    header Date of the same response.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), longest) or None
    try:
        seconds = (parsedate_to_datetime(text) - (now or parsedate_to_datetime(headers["Date"]))).total_seconds()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return min(seconds, longest) if seconds > 0 else None
