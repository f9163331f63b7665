"""Alerts over weeks: nothing is lost or repeated, with any downtimes of the operator and of its channels.

The key of a notification is (certificate, stage, channel), as in the table of faults.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Observation, unread
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.due import due_notifications, next_change
from clientcert.lifecycle.policy import AlertPolicy, Schedule, SendAt
from clientcert.lifecycle.schedule import Stage, latest_due
from clientcert.lifecycle.spec import Silence
from clientcert.pki.certificate import Certificate
from tests.builders import DAY, HOUR, NOW, SECOND, certificate, channel, evaluation, policy
from tests.unit.lifecycle.test_schedule import latest_stages, schedules
from tests.unit.lifecycle.timeline import Timeline

MISSING = unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it")
SEND_AT_NINE = SendAt(time(9, 0), ZoneInfo("Europe/London"), weekdays_only=True)

hours = st.integers(0, 50 * 24)
outages = st.lists(st.tuples(hours, st.integers(1, 200)), max_size=4)


def timeline(seen: Certificate | Observation, plan: AlertPolicy | None = None) -> Timeline:
    source = seen if isinstance(seen, Observation) else Observation(certificate=seen)
    return Timeline(plan or policy(), source)


def within(spans: list[tuple[int, int]], start: datetime, now: datetime) -> bool:
    return any(start + begin * HOUR <= now < start + (begin + length) * HOUR for begin, length in spans)


class TestWithoutAnyFault:
    def test_a_month_of_alerts(self) -> None:
        """30 stages until the last day, then one a day after expiry; a stage is never sent twice."""
        life = timeline(certificate(NOW + 31 * DAY))
        life.run(NOW, NOW + 36 * DAY)
        assert life.stages() == [*range(30, 1, -1), 0, -1, -2, -3, -4, -5, -6]

    def test_each_stage_is_sent_in_its_second(self) -> None:
        """A reconcile at the time of next_change is never late."""
        life = timeline(certificate(NOW + 31 * DAY))
        life.run(NOW, NOW + 36 * DAY)
        for sent in life.sent[:-6]:
            assert sent.stage is not None
            assert sent.when == NOW + 31 * DAY - max(sent.stage, 1) * DAY

    def test_working_days_at_nine_in_london(self) -> None:
        """Every working day, never on a weekend, also when summer time changes."""
        start = datetime(2026, 10, 10, 12, tzinfo=NOW.tzinfo)
        life = timeline(
            certificate(start + 31 * DAY, not_before=start - 300 * DAY), policy(channel(send_at=SEND_AT_NINE))
        )
        life.run(start, start + 40 * DAY)
        local = [sent.when.astimezone(SEND_AT_NINE.timezone) for sent in life.sent]
        assert {(each.hour, each.minute) for each in local} == {(9, 0)}
        assert {each.weekday() for each in local} == {0, 1, 2, 3, 4}
        assert len(local) == 29

    @given(schedules, st.integers(-20 * 86_400, 40 * 86_400))
    def test_any_schedule(self, schedule: Schedule, seconds: int) -> None:
        """Every stage of the schedule is sent, in order, and nothing else."""
        not_after = NOW + timedelta(seconds=seconds)
        seen = certificate(not_after, not_before=NOW - 300 * DAY)
        life = timeline(seen, policy(channel(schedule=schedule)))
        life.run(NOW, NOW + 60 * DAY)
        assert life.stages() == [stage.days for stage in latest_stages(schedule, not_after, NOW, NOW + 60 * DAY)]

    @given(schedules, st.integers(-20 * 86_400, 40 * 86_400), st.integers(0, 3 * 86_400))
    def test_next_change_is_sound(self, schedule: Schedule, seconds: int, later: int) -> None:
        """It is always in the future, and the assessment does not change before it."""
        plan = policy(channel(schedule=schedule))
        life = timeline(certificate(NOW + timedelta(seconds=seconds), not_before=NOW - 300 * DAY), plan)
        now = NOW + timedelta(seconds=later)
        before = life.reconcile(now)
        change = next_change(evaluation(before, plan, life.recorded))
        assert change > now
        for moment in (now + (change - now) / 2, change - timedelta.resolution):
            found = life.assess(moment)
            assert due_notifications(evaluation(found, plan, life.recorded)) == ()
            if moment > now:
                assert found.phase == life.assess(change - timedelta.resolution).phase
                assert found.days_remaining == life.assess(change - timedelta.resolution).days_remaining


class TestFaults:
    @given(st.lists(hours, min_size=1, max_size=200), outages, outages, st.booleans())
    def test_nothing_lost_and_nothing_repeated(
        self, reconciles: list[int], team_down: list[tuple[int, int]], pager_down: list[tuple[int, int]], weekly: bool
    ) -> None:
        """Reconciles and channels fail independently: each key is sent at most once, in order; after recovery each
        channel has
        the latest stage.
        """
        plan = policy(channel("team"), channel("pager", start_days_before=10, every_days=7 if weekly else 1))
        spans = {"team": team_down, "pager": pager_down}
        seen = certificate(NOW + 31 * DAY)
        life = timeline(seen, plan)
        life.is_down = lambda name, now: within(spans[name], NOW, now)
        for each in sorted(reconciles):
            life.reconcile(NOW + each * HOUR)
        life.is_down = lambda _name, _now: False
        end = NOW + 51 * DAY
        life.reconcile(end)
        assert max(Counter((sent.channel, sent.stage) for sent in life.sent).values()) == 1
        for each in plan.channels:
            told = [stage for stage in life.stages(each.name) if stage is not None]
            assert told == sorted(told, reverse=True)
            latest = latest_due(each.schedule, seen.not_after, end)
            assert latest is not None
            assert told[-1] == latest.days

    @given(st.lists(hours, min_size=1, max_size=100), outages)
    def test_no_channel_delays_another(self, reconciles: list[int], down: list[tuple[int, int]]) -> None:
        """The pager gets the same messages, whatever happens to the team's channel."""
        plan = policy(channel("team"), channel("pager", start_days_before=10))
        notified = []
        for spans in ([], down):
            life = timeline(certificate(NOW + 31 * DAY), plan)
            life.is_down = lambda name, now, spans=spans: name == "team" and within(spans, NOW, now)  # type: ignore[misc]
            for each in sorted(reconciles):
                life.reconcile(NOW + each * HOUR)
            notified.append([sent for sent in life.sent if sent.channel == "pager"])
        assert notified[0] == notified[1]

    @given(st.lists(hours, min_size=1, max_size=60), st.integers(0, 45 * 24), outages)
    def test_the_closing_message_is_sent_once_and_never_lost(
        self, reconciles: list[int], renewed_after: int, down: list[tuple[int, int]]
    ) -> None:
        """After the replacement was seen: one closing message if the channel had an alert, none otherwise, and nothing
        else about
        the old certificate.
        """
        old, new = certificate(NOW + 31 * DAY, serial_number=1), certificate(NOW + 500 * DAY, serial_number=2)
        life = timeline(old)
        life.is_down = lambda _name, now: within(down, NOW, now)
        for each in sorted(reconciles):
            if each >= renewed_after:
                life.replace_source(new)
            life.reconcile(NOW + each * HOUR)
        alerted = any(sent.kind is MessageKind.ALERT for sent in life.sent)
        life.is_down = lambda _name, _now: False
        life.replace_source(new)
        life.reconcile(NOW + 51 * DAY)
        closing = [sent for sent in life.sent if sent.kind is MessageKind.CLOSING]
        assert len(closing) == (1 if alerted else 0)
        assert all(sent.about == new.fingerprint_sha256 for sent in closing)
        if closing:
            assert life.sent[-1] == closing[0]

    @given(st.lists(hours, min_size=20, max_size=300))
    def test_an_expired_certificate_alerts_daily(self, reconciles: list[int]) -> None:
        """Between two reconciles a day or more apart there is always an alert."""
        life = timeline(certificate(NOW))
        notified = []
        for each in sorted(set(reconciles)):
            before = len(life.sent)
            life.reconcile(NOW + each * HOUR)
            notified.append((each, len(life.sent) > before))
        for (first, _), (second, told) in pairwise(notified):
            if second - first >= 24:
                assert told

    @given(st.lists(st.tuples(hours, st.sampled_from(["old", "new", "missing", "acme"])), min_size=1, max_size=60))
    def test_a_source_that_changes_often(self, changes: list[tuple[int, str]]) -> None:
        """Rollbacks, deletions and mistakes: never the same stage of the same certificate twice in a row, unless a
        problem has begun, and a closing message whenever another certificate replaces one that the channel was alerted
        about.
        """
        contents = {
            "old": Observation(certificate=certificate(NOW + 31 * DAY, serial_number=1)),
            "new": Observation(certificate=certificate(NOW + 45 * DAY, serial_number=2)),
            "acme": Observation(certificate=certificate(serial_number=3, common_name="acme")),
            "missing": MISSING,
        }
        life = timeline(contents["old"])
        for hour, content in sorted(changes):
            life.source = contents[content]
            found = life.reconcile(NOW + hour * HOUR)
            assert due_notifications(evaluation(found, life.policy, life.recorded)) == ()
        for first, second in pairwise(life.sent):
            if first.about == second.about:
                assert second.stage is not None
                is_new = second.begins and second.stage == first.stage
                assert first.stage is None or second.stage < first.stage or is_new
            elif first.stage is not None:
                assert second.kind is MessageKind.CLOSING

    def test_a_silence_of_a_week(self) -> None:
        """No message during the silence, one alert at its end, and then as usual."""
        life = timeline(certificate(NOW + 31 * DAY))
        life.silence = Silence(NOW + 10 * DAY, "moving house")
        life.run(NOW, NOW + 12 * DAY)
        assert [(sent.when, sent.stage) for sent in life.sent] == [
            (NOW + 10 * DAY, 21),
            (NOW + 11 * DAY, 20),
            (NOW + 12 * DAY, 19),
        ]

    def test_missing_for_a_week(self) -> None:
        """Daily while it is missing, at any distance from notAfter; afterwards nothing until the alert window."""
        seen = certificate(NOW + 100 * DAY)
        life = timeline(seen)
        life.run(NOW, NOW + DAY)
        life.source = MISSING
        life.run(NOW + DAY + HOUR, NOW + 5 * DAY)
        life.replace_source(seen)
        life.run(NOW + 5 * DAY + HOUR, NOW + 71 * DAY)
        assert life.stages() == [99, 98, 97, 96, 95, 30, 29]


class TestAWrongClock:
    """±1 h and ±400 d, and back: no storm and no early silence."""

    @given(st.lists(st.tuples(hours, st.integers(-3600, 3600)), min_size=1, max_size=200))
    def test_an_hour_or_less(self, reconciles: list[tuple[int, int]]) -> None:
        """A clock that is wrong by up to an hour repeats nothing, and the final state is correct."""
        seen = certificate(NOW + 31 * DAY)
        life = timeline(seen)
        for hour, error in sorted(reconciles):
            life.reconcile(NOW + hour * HOUR + error * SECOND)
        life.reconcile(NOW + 51 * DAY)
        assert max(Counter(life.stages()).values()) == 1
        assert life.stages()[-1] == latest(seen, NOW + 51 * DAY).days

    @given(
        st.sampled_from([-400, -60, -2, 2, 60, 400]),
        st.integers(0, 45),
        st.lists(st.integers(0, 71), min_size=1, max_size=10),
        st.booleans(),
    )
    def test_days_or_years(self, days_off: int, wrong_from: int, wrong_hours: list[int], missing: bool) -> None:
        """With the wrong clock, at most one message a day by that clock; with the right clock, the right
        stages again.
        """
        seen = certificate(NOW + 31 * DAY, not_before=NOW - 900 * DAY)
        life = timeline(seen)
        life.reconcile(NOW)
        if missing:
            life.source = MISSING
        begins = NOW + wrong_from * DAY
        life.run(NOW, begins)
        before = len(life.sent)
        for hour in sorted(wrong_hours):
            life.reconcile(begins + days_off * DAY + hour * HOUR)
        assert len(life.sent) - before <= 1 + 3
        life.source = Observation(certificate=seen)
        right = begins + 3 * DAY
        told = len(life.sent)
        life.run(right, right + 40 * DAY)
        expected = [stage.days for stage in latest_stages(Schedule(), seen.not_after, right, right + 40 * DAY)]
        notified = life.stages()[told:]
        # A stage that was sent within a day of its time while the clock was wrong need not be sent again.
        assert notified in (expected, expected[1:], expected[2:])

    def test_a_clock_400_days_ahead_suppresses_no_later_alert(self) -> None:
        """The wrong clock alerted about an expiry; the alert window still opens on time."""
        seen = certificate(NOW + 60 * DAY)
        life = timeline(seen)
        life.reconcile(NOW + 400 * DAY)
        life.run(NOW + HOUR, NOW + 33 * DAY)
        assert life.stages() == [-341, 30, 29, 28, 27]

    def test_a_clock_400_days_behind_does_not_replace_anything(self) -> None:
        """A renewed certificate counts as not yet valid; the old one stays, and is closed when the clock is right."""
        old, new = certificate(NOW + 5 * DAY, serial_number=1), certificate(NOW + 400 * DAY, serial_number=2)
        life = timeline(old)
        life.reconcile(NOW)
        life.replace_source(replace(new, not_before=NOW - DAY))
        life.reconcile(NOW - 400 * DAY)
        assert life.stages() == [5]
        life.reconcile(NOW + HOUR)
        assert life.stages() == [5, None]


def latest(seen: Certificate, now: datetime) -> Stage:
    found = latest_due(Schedule(), seen.not_after, now)
    assert found is not None
    return found
