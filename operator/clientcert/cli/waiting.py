"""The longest wait of a verb, as people type it: 90s, 10m or 1h30m."""

import click

from clientcert.api.client_certificate import parse_duration

_LONGEST = 366 * 86400.0
"""Seconds."""


def seconds(_: click.Context, __: click.Parameter, value: str | None) -> float:
    """The callback of an option: its value in seconds, a year at most; 0 if it is not given."""
    try:
        return min(parse_duration(value), _LONGEST) if value is not None else 0.0
    except (ValueError, OverflowError):
        raise click.BadParameter("must be a duration like 90s, 2m or 1h30m") from None
