"""Durations that people type, 30d, 12h, 2w, and times that they type as a duration from now."""

import re
from datetime import datetime, timedelta
from typing import Any

import click

from clientcert.api.kinds import moment

_DURATION = re.compile(r"([0-9]{1,4})([dhw])", re.ASCII)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_from_now(text: str) -> timedelta | None:
    """The duration; None if the text is none."""
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _UNITS[found[2]] if found else None


def parse_end(option: str, text: str, now: datetime) -> datetime:
    """The time in the future that an option names, RFC 3339 or a duration from now; raises click.UsageError."""
    ends = None
    try:
        if (from_now := parse_from_now(text)) is not None:
            ends = now + from_now
        elif _TIME.fullmatch(text):
            ends = moment(text)
    except (ValueError, OverflowError):
        pass
    if ends is None:
        examples = "2026-12-24T00:00:00Z, or like 30d, 12h or 2w"
        raise click.UsageError(f"{option} must be an RFC 3339 time such as {examples}")
    if ends <= now:
        raise click.UsageError(f"{option} is in the past: give a time in the future")
    return ends


class DurationType(click.ParamType[timedelta]):
    """The value of an option."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The duration; fails with a message for the user if the value is invalid."""
        if isinstance(value, timedelta):
            return value
        if (found := parse_from_now(str(value))) is None:
            self.fail("give a number of days, hours or weeks, such as 30d, 12h or 2w", param, ctx)
        return found
