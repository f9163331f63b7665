"""The schedule of a channel: stages, counted in days before notAfter, each with one slot in which it may be sent.

Stage `d >= 1` falls due `d` times 24 hours before notAfter, when "within the next d days" becomes true. Stage 0 is
the last 24 hours, and falls due when they begin. Stage `-k` falls due when the k-th day after notAfter begins.
`sendAt` moves a stage to the next time of day (and weekday) in the policy; if a stage before notAfter would move to
notAfter or later, it moves to the previous slot instead. Later stages never have earlier slots, so "the latest due
stage" is the one with the fewest days.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from clientcert.lifecycle.policy import Schedule, SendAt

DAY = timedelta(days=1)
LONGEST_DAYS = 4_000_000
"""More days than the number of days from year 1 to year 9999."""
_WEEKEND = 5
_REACH_DAYS = 5
"""The longest distance of a slot from the time at which its stage falls due: a weekend, and a clock change."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A point of the schedule: days before notAfter (negative after it), and the time from which it may be sent."""

    days: int
    slot: datetime


def days_remaining(not_after: datetime, now: datetime) -> int:
    """Whole days from now to notAfter, rounded down: 0 within the last 24 hours, negative once it has expired."""
    return (not_after - now) // DAY


def duration(not_after: datetime, now: datetime) -> int:
    """Days to notAfter rounded up, so that "within the next {duration} days" is true."""
    return -((now - not_after) // DAY)


def latest_due(schedule: Schedule, not_after: datetime, now: datetime) -> Stage | None:
    """The last stage whose slot has come; None before the first.

    Earlier stages that were missed are skipped: after an outage there is one message, about the current state.
    """
    nearest = days_remaining(not_after, now) - _REACH_DAYS
    if schedule.after_expiry_for_days is not None:
        nearest = max(nearest, -schedule.after_expiry_for_days)
    stages = _stages(schedule, not_after, range(nearest, schedule.start_days_before + 1))
    return next((stage for stage in stages if stage.slot <= now), None)


def next_after(schedule: Schedule, not_after: datetime, now: datetime) -> Stage | None:
    """The first stage whose slot is still to come; None when the schedule has ended."""
    first = min(days_remaining(not_after, now) + _REACH_DAYS, schedule.start_days_before)
    last = min(first, 0) - schedule.after_expiry_every_days - 2 * _REACH_DAYS
    stages = _stages(schedule, not_after, range(first, last, -1))
    return next((stage for stage in stages if stage.slot > now), None)


def every_day(schedule: Schedule) -> Schedule:
    """The same channel's schedule for a current problem, however far away notAfter is."""
    return replace(schedule, start_days_before=LONGEST_DAYS, every_days=1, on_days=(), after_expiry_every_days=1)


def _stages(schedule: Schedule, not_after: datetime, days: range) -> "Iterable[Stage]":
    for day in days:
        if day < 0:
            ended = schedule.after_expiry_for_days is not None and -day > schedule.after_expiry_for_days
            is_stage = not ended and (-day - 1) % schedule.after_expiry_every_days == 0
        elif schedule.on_days:
            is_stage = day in schedule.on_days and day <= schedule.start_days_before
        else:
            before = schedule.start_days_before - day
            is_stage = before >= 0 and before % schedule.every_days == 0
        if is_stage and (slot := _slot(schedule.send_at, not_after, day)) is not None:
            yield Stage(day, slot)


def _slot(send_at: SendAt | None, not_after: datetime, day: int) -> datetime | None:
    """The time from which this stage may be sent, in UTC; None beyond the end of the calendar."""
    try:
        falls_due = not_after - (max(day, 1) if day >= 0 else day + 1) * DAY
        if send_at is None:
            return falls_due
        slot = _time_of_day(send_at, falls_due, step=DAY)
        if day >= 0 and slot >= not_after:
            slot = _time_of_day(send_at, falls_due, step=-DAY)
    except OverflowError:
        return None
    return slot


def _time_of_day(send_at: SendAt, moment: datetime, step: timedelta) -> datetime:
    """The allowed slot nearest to the moment: at or after it for a step forward, at or before it backward."""
    date = moment.astimezone(send_at.timezone).date() - step
    while True:
        slot = datetime.combine(date, send_at.time_of_day, send_at.timezone).astimezone(UTC)
        # The weekday of the slot, not of the date: if a clock change skips a whole day, its slot is on the next day.
        on_a_weekend = send_at.weekdays_only and slot.astimezone(send_at.timezone).weekday() >= _WEEKEND
        reached = slot >= moment if step > timedelta(0) else slot <= moment
        if reached and not on_a_weekend:
            return slot
        date += step
