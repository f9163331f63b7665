"""The promises of the documentation, computed anew: the times of each stage, and the message due at a time.

Written from docs/reference.md and docs/reliability.md alone. Nothing of the operator is imported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
FOR_EVER = 100_000
_NEAR = 6
"""Days that a slot may be away from the moment at which its stage begins: a weekend, and a change of clocks."""
_SATURDAY = 5


@dataclass(frozen=True)
class Plan:
    """When one channel is told."""

    start: int = 30
    every: int = 1
    on_days: tuple[int, ...] = ()
    after_every: int = 1
    after_for: int | None = None
    at: time | None = None
    zone: str = "UTC"
    weekdays: bool = False

    def has(self, day: int) -> bool:
        """True if `day` days before notAfter is a stage; 0: the last day, -1: the first day after it."""
        if day < 0:
            return (-day - 1) % self.after_every == 0 and not (self.after_for is not None and -day > self.after_for)
        if self.on_days:
            return (day in self.on_days and day <= self.start) or day == self.start < min(self.on_days)
        return day <= self.start and (self.start - day) % self.every == 0


@dataclass(frozen=True)
class Channel:
    """A channel of a policy."""

    name: str
    type: str
    destination: str
    plan: Plan


def channels(policy: str, spec: Mapping[str, Any] | None) -> dict[str, Channel]:
    """The channels of this policy; without a policy there are only Events."""
    alerts = (spec or {}).get("alerts") or {}
    found = {}
    for each in alerts.get("channels", ()):
        where = "mail"
        if "slack" in each:
            where = each["slack"]["channel"]
        elif "webhook" in each:
            where = each["webhook"]["urlSecretRef"]["name"]
        found[each["name"]] = Channel(each["name"], each["type"], where, _plan(alerts, each))
    return found


def _plan(alerts: Mapping[str, Any], own: Mapping[str, Any]) -> Plan:
    repeat = own.get("repeat") or alerts.get("repeat") or {}
    common = alerts.get("afterExpiry") or {}
    after_every, after_for = common.get("everyDays", 1), common.get("forDays")
    if own["type"] == "Email":  # no more letters after expiry than before
        after_every = max(after_every, 7 if repeat.get("onDays") else repeat.get("everyDays", 1))
    if "afterExpiry" in own:
        after_every, after_for = own["afterExpiry"].get("everyDays", after_every), own["afterExpiry"].get("forDays")
    send_at = own.get("sendAt") or alerts.get("sendAt")
    plan = Plan(
        start=own.get("startDaysBefore") or alerts.get("startDaysBefore", 30),
        every=repeat.get("everyDays", 1),
        on_days=tuple(repeat.get("onDays", ())),
        after_every=after_every,
        after_for=after_for,
    )
    if not send_at:
        return plan
    hour, minute = send_at["time"].split(":")
    return replace(plan, at=time(int(hour), int(minute)), zone=send_at["timezone"], weekdays=send_at["weekdaysOnly"])


def every_day(plan: Plan, *, dated: bool = True) -> Plan:
    """For a problem that is there now: each day, however far away notAfter is."""
    after_for = plan.after_for if dated else None
    return replace(plan, start=FOR_EVER, every=1, on_days=(), after_every=1, after_for=after_for)


@lru_cache(maxsize=200_000)
def slot(plan: Plan, not_after: datetime, day: int) -> datetime:
    """The time from which this stage may be sent.

    `sendAt` delays a stage to a time of day, and `weekdaysOnly` to Monday; if that would be after notAfter, it moves to
    the slot before.
    """
    begins = not_after - max(day, 1) * DAY if day >= 0 else not_after + (-day - 1) * DAY
    if plan.at is None:
        return begins
    all_slots = _slots(plan.at, plan.zone, plan.weekdays, begins.date())
    following = min(each for each in all_slots if each >= begins)
    if day >= 0 and following >= not_after:
        return max(each for each in all_slots if each <= begins)
    return following


@lru_cache(maxsize=20_000)
def _slots(at: time, zone: str, weekdays: bool, around: date) -> tuple[datetime, ...]:
    found, local = [], ZoneInfo(zone)
    for days in range(-_NEAR, _NEAR + 1):
        moment = datetime.combine(around + days * DAY, at, local).astimezone(UTC)
        if not weekdays or moment.astimezone(local).weekday() < _SATURDAY:
            found.append(moment)
    return tuple(found)


def latest(plan: Plan, not_after: datetime, now: datetime) -> int | None:
    """Of all stages whose slot has come, the last one."""
    day = (not_after - now) // DAY - _NEAR
    if plan.after_for is not None:
        day = max(day, -plan.after_for)
    while day <= plan.start:
        if plan.has(day) and slot(plan, not_after, day) <= now:
            return day
        day += 1
    return None


def slots_between(plan: Plan, not_after: datetime, begins: datetime, ends: datetime) -> Iterator[datetime]:
    """The slots of all stages after `begins` and up to `ends`."""
    for day in range((not_after - ends) // DAY - _NEAR, (not_after - begins) // DAY + _NEAR):
        if plan.has(day) and begins < (found := slot(plan, not_after, day)) <= ends:
            yield found
