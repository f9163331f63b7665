"""The chart of a report: a bar for each month, with a part for each environment. Pure."""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clientcert.cli.report_model import EXPIRED, LATER, Interval, Report

COLOURS = 7
"""Environments with a colour of their own; if there are more, the last colour is that of all others together."""
OTHERS = "others"
_WIDEST, _NARROWEST = 96.0, 0.5
"""In percent of the room: one certificate among thousands is still seen."""
_NAMES = {EXPIRED: "Expired", LATER: "Later"}


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a bar that is one environment's; lengths are in percent of the room."""

    number: int
    begin: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval: its certificates in all environments, and in each."""

    label: str
    total: int
    counts: tuple[int, ...]
    segments: tuple[Segment, ...]
    """Empty for what is later than the months: beside all those years, no month would be seen."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars, and the names of the environments in the order of their colours."""

    environments: tuple[str, ...]
    bars: tuple[Bar, ...]


def chart_of(report: Report) -> Chart:
    """The chart of all certificates that have a date."""
    known = report.environments
    named = known if len(known) <= COLOURS else known[: COLOURS - 1]
    names = named if len(named) == len(known) else (*named, _name_of_others(named))
    largest = max(each.total for each in report.intervals if each.name != LATER) or 1
    bars = [_bar(each, named, names, largest) for each in report.intervals]
    return Chart(names, tuple(bars))


def _name_of_others(named: Sequence[str]) -> str:
    """A name that no environment beside it has."""
    name = OTHERS
    while name in named:
        name = f"all {name}"
    return name


def _bar(interval: Interval, named: Sequence[str], names: Sequence[str], largest: int) -> Bar:
    found = interval.by_environment
    counts = [found.get(name, 0) for name in named]
    if len(names) > len(named):
        counts.append(interval.total - sum(counts))
    segments = () if interval.name == LATER else tuple(_segments(counts, names, largest))
    return Bar(_label(interval.name), interval.total, tuple(counts), segments)


def _segments(counts: Sequence[int], names: Sequence[str], largest: int) -> Iterator[Segment]:
    begin = 0.0
    for number, (count, name) in enumerate(zip(counts, names, strict=True)):
        if count:
            width = max(_NARROWEST, _WIDEST * count / largest)
            yield Segment(number, round(begin, 2), round(width, 2), f"{name}: {count:,}")
            begin += width


def _label(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    year, _, month = name.partition("-")
    return f"{calendar.month_abbr[int(month)]} {year}"
