"""The longest wait of a verb, as people type it (90s, 10m or 1h30m), and its pauses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

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


@dataclass(frozen=True, slots=True)
class Pauses:
    """Pauses between questions, until the time is over by the clock: the time of each answer counts, too."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    every_seconds: float

    def within(self, seconds: float) -> Iterator[None]:
        """Yield after each pause, until this number of seconds after the call; the last pause may be shorter."""
        return self._until(self.now() + timedelta(seconds=seconds))

    def _until(self, ends: datetime) -> Iterator[None]:
        while (left := (ends - self.now()).total_seconds()) > 0:
            self.sleep(min(self.every_seconds, left))
            yield
