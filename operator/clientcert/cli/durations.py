"""Durations that people type: 30d, 12h, 2w."""

import re
from datetime import timedelta
from typing import Any

import click

_DURATION = re.compile(r"([0-9]{1,4})([dhw])", re.ASCII)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_from_now(text: str) -> timedelta | None:
    """The duration; None if the text is none."""
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _UNITS[found[2]] if found else None


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
