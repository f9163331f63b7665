"""The schedule as a specification: its stages, and the times at which each may be sent."""

import time as stopwatch
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clientcert.lifecycle.policy import Schedule, SendAt
from clientcert.lifecycle.schedule import Stage, days_remaining, duration, every_day, latest_due, next_after
from tests.builders import DAY, HOUR, NOW, SECOND

LONDON = ZoneInfo("Europe/London")
ZONES = [
    UTC,
    LONDON,
    ZoneInfo("America/New_York"),
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("Australia/Lord_Howe"),  # half an hour of summer time
    ZoneInfo("Pacific/Apia"),  # had no 30 December 2011
    ZoneInfo("Pacific/Kiritimati"),  # UTC+14
    ZoneInfo("America/Sao_Paulo"),  # changed at midnight, until 2019
]


def moments(first: int = 2008, last: int = 2032) -> st.SearchStrategy[datetime]:
    seconds = st.integers(0, 365 * 86_400 * (last - first))
    return seconds.map(lambda each: datetime(first, 1, 1, tzinfo=UTC) + timedelta(seconds=each))


send_times = st.builds(
    SendAt,
    time_of_day=st.times().map(lambda each: each.replace(second=0, microsecond=0)),
    timezone=st.sampled_from(ZONES),
    weekdays_only=st.booleans(),
)
schedules = st.builds(
    Schedule,
    start_days_before=st.integers(1, 60),
    every_days=st.integers(1, 14),
    on_days=st.one_of(st.just(()), st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True).map(tuple)),
    after_expiry_every_days=st.integers(1, 14),
    after_expiry_for_days=st.one_of(st.none(), st.integers(1, 40)),
    send_at=st.one_of(st.none(), send_times),
)


def enumerated(schedule: Schedule, not_after: datetime, until: datetime) -> list[Stage]:
    """Every stage whose slot could matter before `until`, computed in the slowest and plainest way."""
    days = [day for day in range(schedule.start_days_before, -1, -1) if is_stage_before(schedule, day)]
    passed = max(0, (until - not_after) // DAY) + 3 + schedule.after_expiry_every_days + 10
    days += [-day for day in range(1, passed + 1) if is_stage_after(schedule, day)]
    stages = []
    for day in days:
        falls_due = not_after - max(day, 1) * DAY if day >= 0 else not_after + (-day - 1) * DAY
        slot = falls_due if schedule.send_at is None else allowed_slot(schedule.send_at, falls_due, not_after, day)
        stages.append(Stage(day, slot))
    return stages


def is_stage_before(schedule: Schedule, day: int) -> bool:
    if schedule.on_days:
        return day in schedule.on_days
    return day in range(schedule.start_days_before, -1, -schedule.every_days)


def is_stage_after(schedule: Schedule, day: int) -> bool:
    ends = schedule.after_expiry_for_days
    return day in range(1, 100_000, schedule.after_expiry_every_days) and (ends is None or day <= ends)


def allowed_slot(send_at: SendAt, falls_due: datetime, not_after: datetime, day: int) -> datetime:
    middle = falls_due.astimezone(send_at.timezone).date()
    dates = [middle + timedelta(days=offset) for offset in range(-6, 7)]
    slots = [as_instant(send_at, each) for each in dates]
    if send_at.weekdays_only:
        slots = [each for each in slots if each.astimezone(send_at.timezone).weekday() not in {5, 6}]
    slot = min(each for each in slots if each >= falls_due)
    if day >= 0 and slot >= not_after:
        slot = max(each for each in slots if each <= falls_due)
    return slot


def as_instant(send_at: SendAt, day: date) -> datetime:
    return datetime.combine(day, send_at.time_of_day, send_at.timezone).astimezone(UTC)


class TestCountingDays:
    @pytest.mark.parametrize(
        ("left", "remaining", "rounded_up"),
        [
            (2 * DAY + SECOND, 2, 3),
            (2 * DAY, 2, 2),
            (2 * DAY - SECOND, 1, 2),
            (DAY + SECOND, 1, 2),
            (DAY, 1, 1),
            (DAY - SECOND, 0, 1),
            (SECOND, 0, 1),
            (0 * DAY, 0, 0),
            (-SECOND, -1, 0),
            (-DAY, -1, -1),
            (-DAY - SECOND, -2, -1),
        ],
    )
    def test_status_rounds_down_and_messages_round_up(self, left: timedelta, remaining: int, rounded_up: int) -> None:
        """daysRemaining is 0 within the last 24 hours and negative after expiry; {duration} is never too small."""
        assert days_remaining(NOW + left, NOW) == remaining
        assert duration(NOW + left, NOW) == rounded_up

    @given(st.timedeltas(timedelta(days=-500), timedelta(days=500)))
    def test_the_duration_is_true_and_as_small_as_possible(self, left: timedelta) -> None:
        """It expires within the next {duration} days, and not within one day less."""
        days = duration(NOW + left, NOW)
        assert NOW + (days - 1) * DAY < NOW + left <= NOW + days * DAY

    def test_the_end_of_time_is_no_overflow(self) -> None:
        """RFC 5280's "no end" has a number of days, too."""
        no_end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
        assert days_remaining(no_end, NOW) == (no_end - NOW).days
        assert duration(no_end, NOW) == (no_end - NOW).days + 1


class TestStagesWithoutSendAt:
    """Without `sendAt` a stage is due exactly as many whole days before notAfter as it says."""

    @pytest.mark.parametrize("day", [30, 29, 14, 2])
    def test_a_stage_before_expiry(self, day: int) -> None:
        """Stage d is due when "within the next d days" becomes true, and not a second earlier."""
        not_after = NOW + 200 * DAY
        moment = not_after - day * DAY
        expected = Stage(day, moment)
        assert latest_due(Schedule(), not_after, moment) == expected
        assert latest_due(Schedule(), not_after, moment - SECOND) != expected
        assert next_after(Schedule(), not_after, moment - SECOND) == expected

    @pytest.mark.parametrize("day", [1, 2, 3, 400])
    def test_a_stage_after_expiry(self, day: int) -> None:
        """Stage -k is due when the k-th day after notAfter begins."""
        not_after = NOW
        begins = not_after + (day - 1) * DAY
        assert latest_due(Schedule(), not_after, begins) == Stage(-day, begins)
        assert next_after(Schedule(), not_after, begins - SECOND) == Stage(-day, begins)

    def test_nothing_is_due_before_the_start(self) -> None:
        """The first stage is startDaysBefore, 30 unless said otherwise."""
        not_after = NOW + 30 * DAY + SECOND
        assert latest_due(Schedule(), not_after, NOW) is None
        assert next_after(Schedule(), not_after, NOW) == Stage(30, NOW + SECOND)

    def test_missed_stages_are_skipped(self) -> None:
        """After a week without a reconcile there is one message, about the current stage."""
        not_after = NOW + 20 * DAY
        assert latest_due(Schedule(), not_after, NOW + 7 * DAY + HOUR) == Stage(13, NOW + 7 * DAY)

    def test_every_few_days_counts_from_the_start(self) -> None:
        """everyDays: 7 from day 30 means 30, 23, 16, 9 and 2."""
        assert walk(Schedule(every_days=7), NOW + 31 * DAY, NOW, 7) == [30, 23, 16, 9, 2, -1, -2]

    def test_on_days_lists_the_days(self) -> None:
        """onDays: only these, whatever everyDays says, and then each day after expiry."""
        schedule = Schedule(on_days=(30, 21, 14, 7, 3, 2, 1), every_days=5)
        assert walk(schedule, NOW + 31 * DAY, NOW, 9) == [30, 21, 14, 7, 3, 2, 1, -1, -2]

    def test_day_zero_is_the_last_24_hours(self) -> None:
        """A team that asks for onDays: [7, 0] is alerted before the expiry."""
        schedule, not_after = Schedule(on_days=(7, 0)), NOW + 10 * DAY
        assert next_after(schedule, not_after, not_after - 2 * DAY) == Stage(0, not_after - DAY)
        assert latest_due(schedule, not_after, not_after - SECOND) == Stage(0, not_after - DAY)
        assert latest_due(schedule, not_after, not_after) == Stage(-1, not_after)

    def test_a_missed_day_of_on_days_is_sent_late(self) -> None:
        """Stage 21 is sent on day 20 if the operator was down on day 21; a cron job that compares exact days
        loses it.
        """
        assert latest_due(Schedule(on_days=(30, 21, 14)), NOW + 20 * DAY, NOW) == Stage(21, NOW - DAY)

    def test_a_day_before_the_start_is_ignored(self) -> None:
        """startDaysBefore bounds onDays; the schema refuses such a policy, and no old one alerts too early."""
        assert walk(Schedule(start_days_before=10, on_days=(30, 7)), NOW + 31 * DAY, NOW, 2) == [7, -1]

    def test_after_expiry_every_few_days(self) -> None:
        """afterExpiry.everyDays: 7 means at once, then each week."""
        assert walk(Schedule(on_days=(7,), after_expiry_every_days=7), NOW, NOW - DAY, 4) == [-1, -8, -15, -22]

    def test_after_expiry_for_some_days(self) -> None:
        """afterExpiry.forDays: 3 means that the third day after expiry is the last one."""
        schedule = Schedule(after_expiry_for_days=3)
        assert next_after(schedule, NOW, NOW + 2 * DAY - SECOND) == Stage(-3, NOW + 2 * DAY)
        assert next_after(schedule, NOW, NOW + 2 * DAY) is None
        assert latest_due(schedule, NOW, NOW + 500 * DAY) == Stage(-3, NOW + 2 * DAY)

    def test_without_for_days_it_never_ends(self) -> None:
        """An expired certificate alerts even after ten years."""
        assert next_after(Schedule(), NOW, NOW + 3650 * DAY) == Stage(-3652, NOW + 3651 * DAY)

    def test_a_problem_alerts_daily_at_any_distance(self) -> None:
        """Missing and Unreadable alert daily: the same channel, the same time of day, but no start and no days."""
        schedule = Schedule(on_days=(7, 1), every_days=9, after_expiry_every_days=9, send_at=nine_in_london())
        daily, not_after = every_day(schedule), NOW + 1000 * DAY
        assert walk(daily, not_after, NOW, 3) == [999, 998, 997]
        assert walk(daily, NOW - DAY, NOW, 3) == [-3, -4, -5]
        assert daily.send_at == schedule.send_at

    def test_leap_days_are_days(self) -> None:
        """Stages count 24 hours each, over 29 February as over any other day."""
        not_after = datetime(2028, 3, 5, 12, 0, tzinfo=UTC)
        assert latest_due(Schedule(), not_after, datetime(2028, 2, 29, 12, 0, tzinfo=UTC)) == Stage(
            5, datetime(2028, 2, 29, 12, 0, tzinfo=UTC)
        )


class TestSendAt:
    """Messages are sent at a time of day, in the team's zone, on working days if configured."""

    def test_the_next_time_of_day(self) -> None:
        """A stage that is due in the afternoon waits for nine o'clock of the next day."""
        not_after = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)
        schedule = Schedule(send_at=nine_in_london())
        assert next_after(schedule, not_after, datetime(2026, 11, 20, 15, 0, tzinfo=UTC)) == Stage(
            10, datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
        )

    @pytest.mark.parametrize(
        ("local_date", "in_utc"),
        [
            (date(2026, 3, 28), datetime(2026, 3, 28, 9, 0, tzinfo=UTC)),
            (date(2026, 3, 29), datetime(2026, 3, 29, 8, 0, tzinfo=UTC)),
            (date(2026, 10, 24), datetime(2026, 10, 24, 8, 0, tzinfo=UTC)),
            (date(2026, 10, 25), datetime(2026, 10, 25, 9, 0, tzinfo=UTC)),
        ],
    )
    def test_the_local_time_is_kept_when_summer_time_changes(self, local_date: date, in_utc: datetime) -> None:
        """Summer time moves the slot in UTC, and not in local time."""
        not_after = in_utc + 10 * DAY
        stage = next_after(Schedule(send_at=nine_in_london()), not_after, in_utc - SECOND)
        assert stage is not None
        assert stage.slot == in_utc
        assert stage.slot.astimezone(LONDON).date() == local_date

    def test_a_skipped_local_time(self) -> None:
        """There is no 01:30 in London on 29 March 2026; the stage is sent nevertheless, within the hour."""
        send_at = SendAt(time(1, 30), LONDON)
        stage = latest_due(
            Schedule(send_at=send_at), datetime(2026, 4, 3, 1, 0, tzinfo=UTC), datetime(2026, 3, 29, 3, tzinfo=UTC)
        )
        assert stage == Stage(5, datetime(2026, 3, 29, 1, 30, tzinfo=UTC))

    def test_a_repeated_local_time(self) -> None:
        """01:30 in London comes twice on 25 October 2026; the first one counts, and only that."""
        schedule = Schedule(send_at=SendAt(time(1, 30), LONDON))
        not_after = datetime(2026, 10, 30, 0, 0, tzinfo=UTC)
        assert walk(schedule, not_after, datetime(2026, 10, 24, 2, 0, tzinfo=UTC), 2) == [5, 4]
        assert next_after(schedule, not_after, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == Stage(
            4, datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
        )

    def test_a_skipped_friday(self) -> None:
        """Apia had no 30 December 2011. The slots of that Friday are not on Saturday, but on Monday."""
        send_at = SendAt(time(0, 0), ZoneInfo("Pacific/Apia"), weekdays_only=True)
        thursday, monday = datetime(2011, 12, 29, 10, tzinfo=UTC), datetime(2012, 1, 1, 10, tzinfo=UTC)
        assert next_after(Schedule(send_at=send_at), monday + 9 * DAY, thursday) == Stage(11, monday)

    def test_before_expiry_nothing_moves_past_it(self) -> None:
        """It expires at eight, and messages are sent at nine: the last stage is sent the day before."""
        not_after = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)  # a Wednesday
        schedule = Schedule(send_at=nine_in_london())
        last = latest_due(schedule, not_after, not_after - SECOND)
        assert last == Stage(0, datetime(2026, 11, 24, 9, 0, tzinfo=UTC))

    def test_a_weekend_before_expiry(self) -> None:
        """It expires on Sunday: the stages of Saturday and Sunday are sent on Friday, once, as the latest of them."""
        not_after = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
        friday = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
        schedule = Schedule(send_at=nine_in_london(weekdays_only=True))
        assert latest_due(schedule, not_after, friday - SECOND) == Stage(4, friday - DAY)
        assert latest_due(schedule, not_after, friday) == Stage(0, friday)
        assert latest_due(schedule, not_after, not_after) == Stage(0, friday)

    def test_an_expiry_in_the_second_of_a_slot(self) -> None:
        """A message on Monday at nine would be too late for an expiry on Monday at nine, so it is sent on Friday."""
        monday = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
        schedule = Schedule(on_days=(1,), send_at=nine_in_london(weekdays_only=True))
        assert latest_due(schedule, monday, monday - SECOND) == Stage(1, monday - 3 * DAY)
        assert latest_due(schedule, monday, monday) == Stage(-1, monday)

    def test_a_weekend_far_from_expiry(self) -> None:
        """The stages of Saturday and Sunday wait for Monday, when Monday's own is the latest."""
        not_after = datetime(2026, 12, 10, 9, 0, tzinfo=UTC)
        monday = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
        schedule = Schedule(send_at=nine_in_london(weekdays_only=True))
        assert latest_due(schedule, not_after, monday - SECOND) == Stage(20, monday - 3 * DAY)
        assert latest_due(schedule, not_after, monday) == Stage(17, monday)

    def test_expired_on_a_weekend(self) -> None:
        """An expiry on Saturday is reported on Monday: after expiry no slot is moved forward."""
        not_after = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
        monday = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
        schedule = Schedule(send_at=nine_in_london(weekdays_only=True))
        assert next_after(schedule, not_after, not_after) == Stage(-1, monday)
        assert latest_due(schedule, not_after, monday) == Stage(-2, monday)


class TestTheEndsOfTheCalendar:
    @pytest.mark.parametrize("send_at", [None, SendAt(time(9, 0), LONDON, weekdays_only=True)])
    @pytest.mark.parametrize("year", [1, 1950, 9999])
    @pytest.mark.parametrize("ends", [None, 14])
    def test_no_date_is_an_overflow(self, year: int, send_at: SendAt | None, ends: int | None) -> None:
        """Any notAfter that can be encoded has a schedule; year 1 is due as expired, year 9999 is not due."""
        schedule = Schedule(send_at=send_at, after_expiry_for_days=ends)
        for not_after in (datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)):
            for each in (schedule, every_day(schedule)):
                due, upcoming = latest_due(each, not_after, NOW), next_after(each, not_after, NOW)
                assert due is None or due.slot <= NOW
                assert upcoming is None or upcoming.slot > NOW
            assert (latest_due(schedule, not_after, NOW) is None) == (year == 9999)

    @pytest.mark.parametrize("now", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)])
    def test_no_clock_is_an_overflow(self, now: datetime) -> None:
        """Any error of the clock has an answer, too."""
        for send_at in (None, nine_in_london()):
            latest_due(Schedule(send_at=send_at), NOW, now)
            next_after(Schedule(send_at=send_at), NOW, now)

    def test_the_cost_does_not_grow_with_the_distance(self) -> None:
        """A certificate of year 1 whose team wants an end of alerts must not delay the loop."""
        schedule = Schedule(after_expiry_for_days=14, send_at=nine_in_london())

        def cost(not_after: datetime) -> float:
            begun = stopwatch.process_time()
            for _ in range(20):
                due = latest_due(schedule, not_after, NOW)
                assert due is not None
                assert due.days == -14
            return stopwatch.process_time() - begun

        near = cost(NOW - 30 * DAY)
        assert cost(datetime(1, 1, 1, tzinfo=UTC)) < 50 * near  # of as many days it would be 25,000 times


class TestAgainstEnumeration:
    """For any schedule, both functions agree with a plain list of all stages."""

    @given(schedules, moments(), st.integers(-70 * 86_400, 60 * 86_400))
    def test_latest_due(self, schedule: Schedule, not_after: datetime, seconds: int) -> None:
        """The stage with the fewest days among those whose slot has passed."""
        now = not_after + timedelta(seconds=seconds)
        due = [stage for stage in enumerated(schedule, not_after, now) if stage.slot <= now]
        assert latest_due(schedule, not_after, now) == (min(due, key=lambda stage: stage.days) if due else None)

    @given(schedules, moments(), st.integers(-70 * 86_400, 60 * 86_400))
    def test_next_after(self, schedule: Schedule, not_after: datetime, seconds: int) -> None:
        """The first slot in the future, with the most days among stages that share it."""
        now = not_after + timedelta(seconds=seconds)
        coming = [stage for stage in enumerated(schedule, not_after, now) if stage.slot > now]
        assert next_after(schedule, not_after, now) == (max(coming, key=lambda stage: stage.days) if coming else None)

    @given(schedules, moments())
    @example(Schedule(send_at=SendAt(time(0, 0), LONDON)), datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    @example(Schedule(send_at=SendAt(time(9), ZoneInfo("Pacific/Apia"))), datetime(2011, 12, 31, 1, tzinfo=UTC))
    def test_slots(self, schedule: Schedule, not_after: datetime) -> None:
        """Every stage before expiry has its slot before notAfter; none comes earlier than that of a stage with more
        days, and none is on a forbidden day."""
        seen = latest_stages(schedule, not_after, not_after - 70 * DAY, not_after + 40 * DAY)
        for earlier, later in pairwise(seen):
            assert later.slot >= earlier.slot
            assert later.days < earlier.days
        for stage in seen:
            if stage.days >= 0:
                assert stage.slot < not_after
            else:
                assert stage.slot >= not_after
            if schedule.send_at is not None and schedule.send_at.weekdays_only:
                local = stage.slot.astimezone(schedule.send_at.timezone)
                assert local.weekday() < 5 or local.time() != schedule.send_at.time_of_day


def latest_stages(schedule: Schedule, not_after: datetime, start: datetime, end: datetime) -> list[Stage]:
    """The latest due stage at each of its changes."""
    seen: list[Stage] = []
    now: datetime | None = start
    while now is not None and now <= end:
        due = latest_due(schedule, not_after, now)
        if due is not None and (not seen or due.days != seen[-1].days):
            seen.append(due)
        upcoming = next_after(schedule, not_after, now)
        now = upcoming.slot if upcoming else None
    return seen


def walk(schedule: Schedule, not_after: datetime, now: datetime, steps: int) -> list[int]:
    """The stages that are sent, in order, by an operator that is always running."""
    days: list[int] = []
    while len(days) < steps:
        upcoming = next_after(schedule, not_after, now)
        assert upcoming is not None
        now = upcoming.slot
        due = latest_due(schedule, not_after, now)
        assert due is not None
        days.append(due.days)
    return days


def nine_in_london(*, weekdays_only: bool = False) -> SendAt:
    return SendAt(time(9, 0), LONDON, weekdays_only)
