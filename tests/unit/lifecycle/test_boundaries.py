"""Around every boundary, to the second: due messages are sent once, in any zone and year and with any clock."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clientcert.lifecycle.assessment import Observation
from clientcert.lifecycle.due import due_notifications, next_change
from clientcert.lifecycle.policy import AlertPolicy, Schedule, SendAt
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.lifecycle.schedule import days_remaining, duration, every_day, latest_due, next_after
from tests.builders import DAY, HOUR, SECOND, assessment, certificate, channel, evaluation, policy
from tests.unit.lifecycle.test_schedule import ZONES, enumerated, moments, schedules
from tests.unit.lifecycle.timeline import Timeline

CLOCK_CHANGES = [
    (ZoneInfo("Europe/London"), datetime(2026, 3, 29, 1, tzinfo=UTC)),
    (ZoneInfo("Europe/London"), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    (ZoneInfo("America/New_York"), datetime(2027, 3, 14, 7, tzinfo=UTC)),
    (ZoneInfo("America/New_York"), datetime(2027, 11, 7, 6, tzinfo=UTC)),
    (ZoneInfo("Australia/Lord_Howe"), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    (ZoneInfo("Australia/Lord_Howe"), datetime(2027, 4, 3, 15, tzinfo=UTC)),
    (ZoneInfo("America/Sao_Paulo"), datetime(2018, 11, 4, 3, tzinfo=UTC)),  # there is no midnight
    (ZoneInfo("Pacific/Apia"), datetime(2011, 12, 30, 10, tzinfo=UTC)),  # nor any other time of this day
    (ZoneInfo("Asia/Kathmandu"), datetime(2028, 2, 28, 18, 15, tzinfo=UTC)),  # no change, but a leap day begins
]
"""Zones, and moments with an irregularity of their clocks."""
NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)

DEFAULT = settings().max_examples
FEW = settings(max_examples=max(DEFAULT // 4, 20), deadline=None)
around = st.sampled_from([-SECOND, 0 * SECOND, SECOND])


@st.composite
def near_a_clock_change(draw: st.DrawFn) -> tuple[Schedule, datetime]:
    """A schedule with a time of day within two hours of a clock change, and an expiry within some days of it."""
    zone, change = draw(st.sampled_from(CLOCK_CHANGES))
    local = (change + draw(st.integers(-8, 8)) * timedelta(minutes=15)).astimezone(zone)
    at = SendAt(local.time().replace(second=0, microsecond=0, fold=0), zone, draw(st.booleans()))
    schedule = draw(schedules.filter(lambda each: each.start_days_before <= 30))
    not_after = change + draw(st.integers(-6, 6)) * DAY + draw(st.integers(-8, 8)) * timedelta(minutes=15)
    return Schedule(
        schedule.start_days_before,
        schedule.every_days,
        schedule.on_days,
        schedule.after_expiry_every_days,
        schedule.after_expiry_for_days,
        at,
    ), not_after + draw(around)


def boundaries(schedule: Schedule, not_after: datetime, start: datetime, end: datetime) -> list[datetime]:
    """Every second around each slot and each whole day before or after notAfter."""
    slots = [stage.slot for stage in enumerated(schedule, not_after, end)]
    whole = [not_after + day * DAY for day in range((start - not_after) // DAY, (end - not_after) // DAY + 1)]
    every = {moment + shift for moment in (*slots, *whole) for shift in (-SECOND, 0 * SECOND, SECOND)}
    return sorted(each for each in every | {start, end} if start <= each <= end)


def timeline(not_after: datetime, *plans: Schedule) -> Timeline:
    every = [channel(f"c{number}", schedule) for number, schedule in enumerate(plans)]
    seen = certificate(not_after, not_before=not_after - 2_000 * DAY)
    return Timeline(policy(*every), Observation(certificate=seen))


def reconciled_at(schedule: Schedule, not_after: datetime, reconciles: Iterable[datetime]) -> Timeline:
    life = timeline(not_after, schedule)
    for now in reconciles:
        life.reconcile(now)
    return life


class TestReconcilingAtNextChange:
    """Reconciling at next_change sends the same messages at the same times as reconciling around every boundary."""

    @FEW
    @given(schedules, moments(), st.integers(-10, 40), around)
    def test_with_any_schedule(self, schedule: Schedule, not_after: datetime, days: int, shift: timedelta) -> None:
        """For any start of the operator, and any schedule."""
        self.check(schedule, not_after, not_after - days * DAY + shift)

    @FEW
    @given(near_a_clock_change())
    def test_when_the_clocks_change(self, case: tuple[Schedule, datetime]) -> None:
        """Skipped and repeated hours, half hours, and days that do not exist."""
        self.check(*case, case[1] - 12 * DAY)

    @staticmethod
    def check(schedule: Schedule, not_after: datetime, start: datetime) -> None:
        end = start + 20 * DAY
        constant = reconciled_at(schedule, not_after, boundaries(schedule, not_after, start, end))
        woken = timeline(not_after, schedule)
        woken.run(start, end)
        assert [(sent.stage, sent.when) for sent in woken.sent] == [(sent.stage, sent.when) for sent in constant.sent]
        assert max(Counter(woken.stages("c0")).values(), default=1) == 1


class TestTimesOfDay:
    @FEW
    @given(near_a_clock_change())
    def test_one_message_a_day_on_the_wall(self, case: tuple[Schedule, datetime]) -> None:
        """On no date are there two messages, none is on a weekend, and each is at the configured time of day, unless
        that time
        does not exist on the date.
        """
        schedule, not_after = case
        send_at = schedule.send_at
        assert send_at is not None
        stages = enumerated(schedule, not_after, not_after + 20 * DAY)
        slots = sorted({stage.slot for stage in stages})
        local = [slot.astimezone(send_at.timezone) for slot in slots]
        assert len({each.date() for each in local}) == len(local)
        for slot, each in zip(slots, local, strict=True):
            due = latest_due(schedule, not_after, slot)
            assert due is not None
            assert due.slot == slot
            exists = each.replace(tzinfo=None, fold=0).time() == send_at.time_of_day
            skipped = datetime.combine(each.date(), send_at.time_of_day, send_at.timezone)
            assert exists or skipped.astimezone(UTC).astimezone(send_at.timezone).time() != send_at.time_of_day
            assert exists is False or not (send_at.weekdays_only and each.weekday() >= 5)


class TestAGap:
    @given(st.lists(schedules, min_size=1, max_size=3), moments(), st.integers(-500, 90), st.integers(1, 500 * 24))
    def test_the_latest_stage_once(self, plans: list[Schedule], not_after: datetime, days: int, hours: int) -> None:
        """After any downtime: one message a channel, of the latest stage; then none."""
        life = timeline(not_after, *plans)
        begin = not_after - days * DAY
        life.reconcile(begin)
        before = len(life.sent)
        now = begin + hours * HOUR
        life.reconcile(now)
        for number, schedule in enumerate(plans):
            first, latest = latest_due(schedule, not_after, begin), latest_due(schedule, not_after, now)
            told = [sent.stage for sent in life.sent[before:] if sent.channel == f"c{number}"]
            assert told == ([latest.days] if latest and (first is None or first.days != latest.days) else [])
        everything = len(life.sent)
        life.reconcile(now)
        assert len(life.sent) == everything


class TestNeverSilentAfterExpiry:
    @FEW
    @given(schedules.filter(lambda each: each.after_expiry_for_days is None), moments(), st.integers(0, 800))
    def test_without_for_days(self, schedule: Schedule, not_after: datetime, days: int) -> None:
        """Never longer than its interval, plus a weekend and a clock change."""
        life = timeline(not_after, schedule)
        start = not_after + days * DAY
        end = start + 60 * DAY
        life.run(start, end)
        heard = [start, *(sent.when for sent in life.sent), end]
        longest = schedule.after_expiry_every_days * DAY + (4 * DAY if schedule.send_at else 0 * DAY)
        assert all(later - earlier <= longest for earlier, later in pairwise(heard))

    @FEW
    @given(schedules, moments(), st.integers(-300, 300), st.integers(0, 200))
    def test_something_wrong_alerts_daily(self, schedule: Schedule, not_after: datetime, days: int, gap: int) -> None:
        """Missing or Unreadable alerts daily, however far the date, and whatever days the schedule names."""
        daily = every_day(Schedule(schedule.start_days_before, schedule.every_days, schedule.on_days))
        now = not_after + days * DAY + gap * HOUR
        due, upcoming = latest_due(daily, not_after, now), next_after(daily, not_after, now)
        assert due is not None
        assert upcoming is not None
        assert now - DAY < due.slot <= now < upcoming.slot <= now + 2 * DAY


class TestAChangingClock:
    """±1 h and ±400 d, back and forth, several times."""

    OFFSETS = (-400 * DAY, -HOUR, HOUR, 400 * DAY, 0 * DAY)
    jumps = st.lists(st.tuples(st.sampled_from(OFFSETS), st.integers(1, 40)), min_size=1, max_size=8)

    @FEW
    @given(schedules, moments(), st.integers(-5, 40), jumps)
    def test_no_storm_and_no_early_silence(
        self, schedule: Schedule, not_after: datetime, days: int, jumps: list[tuple[timedelta, int]]
    ) -> None:
        """At most one message for each change of the clock, and one a day; with the right clock, due messages
        are sent.
        """
        life = timeline(not_after, schedule)
        now = begin = not_after - days * DAY
        for offset, hours in jumps:
            before = len(life.sent)
            for _ in range(hours):
                now += HOUR
                life.reconcile(now + offset)
            assert len(life.sent) - before <= 1 + (hours + 23) // 24
        told = len(life.sent)
        life.run(now, now + 20 * DAY)
        due = {stage.days for stage in enumerated(schedule, not_after, now + 20 * DAY) if stage.slot > now}
        later = [sent.stage for sent in life.sent[told:] if sent.when > now]
        expected = {sent.stage for sent in constant(schedule, not_after, begin, now).sent if sent.when > now}
        assert set(later) <= due
        # A message that was sent while the clock was an hour fast need not be sent again.
        assert expected - set(later) <= {sent.stage for sent in life.sent[:told]}
        assert max(Counter(later).values(), default=1) == 1

    @given(schedules, moments(), st.lists(st.integers(-3_600, 3_600), min_size=1, max_size=60))
    def test_an_hour_repeats_nothing(self, schedule: Schedule, not_after: datetime, errors: list[int]) -> None:
        """Each stage once, with any jitter."""
        life = timeline(not_after, schedule)
        for number, error in enumerate(errors):
            life.reconcile(not_after - 20 * DAY + number * 12 * HOUR + error * SECOND)
        assert max(Counter(life.stages("c0")).values(), default=1) == 1


def constant(schedule: Schedule, not_after: datetime, begin: datetime, now: datetime) -> Timeline:
    """The same with a clock that is always right."""
    life = timeline(not_after, schedule)
    life.run(begin, now + 20 * DAY)
    return life


class TestTheEndsOfTheCalendar:
    @given(
        schedules,
        st.sampled_from([NO_END, NO_END - 30 * DAY, FIRST, FIRST + 3 * DAY, datetime(2028, 2, 29, tzinfo=UTC)]),
        moments(2000, 2100),
        st.booleans(),
    )
    def test_no_overflow(self, schedule: Schedule, not_after: datetime, now: datetime, is_daily: bool) -> None:
        """Any notAfter is accepted, and the next reconcile is always in the future."""
        plan: AlertPolicy = policy(channel(schedule=every_day(schedule) if is_daily else schedule))
        found = assessment(certificate(not_after, not_before=FIRST), now)
        assert next_change(evaluation(found, plan, CertificateStatus())) > now
        for owed in due_notifications(evaluation(found, plan, CertificateStatus())):
            assert owed.stage is not None
        assert days_remaining(not_after, now) <= duration(not_after, now)

    @pytest.mark.parametrize("zone", ZONES, ids=str)
    def test_the_last_days(self, zone: ZoneInfo) -> None:
        """If a zone's calendar ends before UTC's, only the stage that cannot be sent is left out."""
        schedule = Schedule(send_at=SendAt(time(9), zone, weekdays_only=True))
        for day in range(1, 8):
            assert next_after(schedule, NO_END, NO_END - day * DAY - 20 * DAY) is not None


class TestWholeDays:
    @given(moments(), st.integers(-500, 500), st.sampled_from([-SECOND, -timedelta.resolution, 0 * SECOND, SECOND]))
    def test_floor_and_ceiling(self, now: datetime, days: int, shift: timedelta) -> None:
        """They are equal exactly on a boundary, and differ by one elsewhere."""
        not_after = now + days * DAY + shift
        remaining, rounded_up = days_remaining(not_after, now), duration(not_after, now)
        assert rounded_up - remaining == (0 if shift == 0 * SECOND else 1)
        assert (remaining, rounded_up) == (days - (shift < 0 * SECOND), days + (shift > 0 * SECOND))
