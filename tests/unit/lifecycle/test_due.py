"""The messages that are due now: the rules of design section 4 (1 to 6) for one certificate at one time."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import accepted_certificate, unread
from clientcert.lifecycle.delivery_log import Delivery, DueNotification, MessageKind
from clientcert.lifecycle.due import delivered, due_notifications, next_change, next_stage, silenced
from clientcert.lifecycle.policy import AlertPolicy, Channel, EmailAddress, Schedule, SendAt
from clientcert.lifecycle.recorded_status import (
    CertificateStatus,
    ChannelStatus,
    PreviousCertificate,
)
from clientcert.lifecycle.schedule import Stage
from clientcert.lifecycle.spec import HOST, Silence
from clientcert.pki.certificate import Certificate
from tests.builders import (
    CREATED,
    DAY,
    HOUR,
    NOW,
    SECOND,
    assessment,
    certificate,
    channel,
    declaration,
    evaluation,
    notified,
    policy,
)

SEEN = certificate(NOW + 14 * DAY)
MISSING = unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it")


def due(
    seen: Certificate,
    now: datetime = NOW,
    *,
    recorded: CertificateStatus = CertificateStatus(),  # noqa: B008 - it is frozen
    plan: AlertPolicy | None = None,
    silence: Silence | None = None,
) -> list[tuple[str, MessageKind, int | None]]:
    found = assessment(seen, now, recorded=recorded)
    owed = due_notifications(evaluation(found, plan or policy(), recorded, silence))
    return [(each.channel.name, each.kind, each.stage) for each in owed]


def alert(stage: int, name: str = "team") -> tuple[str, MessageKind, int | None]:
    return name, MessageKind.ALERT, stage


def closing(name: str = "team") -> tuple[str, MessageKind, int | None]:
    return name, MessageKind.CLOSING, None


def knowing(seen: Certificate, *stages: int | None, when: datetime = NOW - DAY, problem: str = "") -> CertificateStatus:
    """A record in which the team got these stages of this certificate, the last one at `when`, with this problem."""
    records = tuple(notified(stage, seen.fingerprint_sha256, when=when, problem=problem) for stage in stages[-1:])
    return CertificateStatus(accepted=accepted_certificate(seen), channels=records)


class TestAlerts:
    def test_nothing_is_due_before_the_window(self) -> None:
        """30 days and a second before notAfter nothing is due."""
        assert due(certificate(NOW + 30 * DAY + SECOND)) == []

    def test_the_first_stage(self) -> None:
        """At 30 days to the second it begins."""
        assert due(certificate(NOW + 30 * DAY)) == [alert(30)]

    def test_a_late_declaration_alerts_once(self) -> None:
        """A certificate that is declared with five days left alerts once, and not 26 times."""
        assert due(certificate(NOW + 5 * DAY)) == [alert(5)]

    def test_a_sent_stage_is_not_due_again(self) -> None:
        """Neither this stage nor an earlier one."""
        seen = certificate(NOW + 5 * DAY)
        assert due(seen, recorded=knowing(seen, 5)) == []
        assert due(seen, NOW + DAY - SECOND, recorded=knowing(seen, 5)) == []
        assert due(seen, NOW + DAY, recorded=knowing(seen, 5)) == [alert(4)]

    def test_a_failed_send_stays_due(self) -> None:
        """A record without a stage belongs to a channel that had no delivery."""
        seen = certificate(NOW + 5 * DAY)
        assert due(seen, recorded=knowing(seen, None)) == [alert(5)]

    def test_each_channel_has_its_own_schedule_and_record(self) -> None:
        """The pager begins at three days, the consumer has a weekly schedule, and none waits for another."""
        plan = policy(channel("team"), channel("consumer", every_days=7), channel("pager", start_days_before=3))
        seen = certificate(NOW + 3 * DAY)
        assert due(seen, plan=plan) == [alert(3), alert(9, "consumer"), alert(3, "pager")]
        assert due(seen, plan=plan, recorded=knowing(seen, 3)) == [alert(9, "consumer"), alert(3, "pager")]

    def test_expired_alerts_every_day(self) -> None:
        """It alerts until it is replaced."""
        seen = certificate(NOW)
        recorded = knowing(seen, 0)
        for day in range(1, 60):
            now = NOW + (day - 1) * DAY + HOUR
            assert due(seen, now, recorded=recorded) == [alert(-day)]
            recorded = knowing(seen, -day, when=now)
            assert due(seen, now + HOUR, recorded=recorded) == []

    def test_a_team_may_set_an_end(self) -> None:
        """afterExpiry.forDays counts from notAfter."""
        plan = policy(channel(after_expiry_for_days=2))
        seen = certificate(NOW)
        assert due(seen, NOW + 10 * DAY, plan=plan, recorded=knowing(seen, -2)) == []
        assert due(seen, NOW + 10 * DAY, plan=plan, recorded=knowing(seen, -1)) == [alert(-2)]

    def test_pending_is_silent(self) -> None:
        """Before the first reading nothing is known, so no message is due, not even a closing message."""
        found = assessment(None)
        recorded = CertificateStatus(channels=(notified(3, "ab" * 32),))
        assert due_notifications(evaluation(found, policy(), recorded)) == ()


class TestProblems:
    """Missing, Unreadable and Invalid alert daily, however far the date; not yet valid does not."""

    def test_missing_alerts_at_once_and_then_daily(self) -> None:
        """By the stages of the last known notAfter."""
        seen = certificate(NOW + 200 * DAY + HOUR)
        recorded = knowing(seen)
        found = assessment(MISSING, recorded=recorded)
        (owed,) = due_notifications(evaluation(found, policy(), recorded))
        assert owed == DueNotification(channel(), MessageKind.ALERT, 201, Reason.SOURCE_NOT_FOUND)
        recorded = knowing(seen, 201, when=NOW, problem=Reason.SOURCE_NOT_FOUND)
        assert (
            due_notifications(evaluation(assessment(MISSING, NOW + HOUR / 2, recorded=recorded), policy(), recorded))
            == ()
        )
        later = assessment(MISSING, NOW + DAY, recorded=recorded)
        assert [each.stage for each in due_notifications(evaluation(later, policy(), recorded))] == [200]

    def test_one_that_was_never_read_alerts_at_once_and_then_daily(self) -> None:
        """By the days since the creation of the object, whatever end the team has set for expired certificates."""
        plan = policy(channel(after_expiry_for_days=1))
        for day in (1, 2, 30, 500):
            found = assessment(MISSING, CREATED + (day - 1) * DAY)
            assert [each.stage for each in due_notifications(evaluation(found, plan, CertificateStatus()))] == [-day]

    def test_an_object_from_a_clock_ahead_of_ours(self) -> None:
        """The API server's clock may be ahead: a certificate that was never read alerts at once nevertheless."""
        found = assessment(MISSING, CREATED - 5 * SECOND)
        assert [each.kind for each in due_notifications(evaluation(found, policy(), CertificateStatus()))] == [
            MessageKind.ALERT
        ]

    def test_a_problem_alerts_daily_in_a_weekly_channel(self) -> None:
        """It got day 9; on day 8 the Secret is missing."""
        plan = policy(channel(every_days=7))
        seen = certificate(NOW + 8 * DAY)
        recorded = knowing(seen, 9)
        found = assessment(MISSING, recorded=recorded)
        assert [each.stage for each in due_notifications(evaluation(found, plan, recorded))] == [8]

    def test_after_the_problem_the_usual_stages_come_again(self) -> None:
        """Alerts about a missing Secret at 200 days do not use up the stage of 30 days."""
        seen = certificate(NOW + 30 * DAY)
        assert due(seen, recorded=knowing(seen, 200)) == [alert(30)]

    def test_a_replacement_that_is_not_valid_yet_causes_no_early_alert(self) -> None:
        """A timely renewal looks like this; the stages of the old one continue."""
        old = certificate(NOW + 60 * DAY, serial_number=1)
        new = certificate(NOW + 400 * DAY, serial_number=2, not_before=NOW + DAY)
        assert due(new, recorded=knowing(old)) == []
        near = certificate(NOW + 6 * DAY, serial_number=1)
        assert due(new, recorded=knowing(near)) == [alert(6)]

    def test_a_replacement_of_another_consumer_alerts_daily(self) -> None:
        """The wrong certificate is in the source, which must be reported."""
        old = certificate(NOW + 60 * DAY, serial_number=1)
        assert due(certificate(common_name="acme"), recorded=knowing(old)) == [alert(60)]


class TestClosing:
    """One closing message for each channel that was alerted about another certificate."""

    OLD = certificate(NOW + 5 * DAY, serial_number=1)
    NEW = certificate(NOW + 400 * DAY, serial_number=2)

    def test_on_replacement(self) -> None:
        """An alerted channel gets the closing message, with the reference to its thread."""
        found = assessment(self.NEW, recorded=knowing(self.OLD, 6))
        (owed,) = due_notifications(evaluation(found, policy(), knowing(self.OLD, 6)))
        assert owed == DueNotification(channel(), MessageKind.CLOSING, None)

    def test_only_once(self) -> None:
        """Afterwards its record has the new fingerprint, and no stage."""
        assert due(self.NEW, recorded=knowing(self.NEW, None)) == []

    def test_none_for_a_channel_without_an_alert(self) -> None:
        """Renewed in good time: no message."""
        assert due(self.NEW, recorded=knowing(self.OLD)) == []
        assert due(self.NEW, recorded=knowing(self.OLD, None)) == []

    def test_before_the_first_alert_about_the_new_one(self) -> None:
        """If the replacement expires soon itself, its alert follows the closing message."""
        sooner = certificate(NOW + 3 * DAY, serial_number=3)
        assert due(sooner, recorded=knowing(self.OLD, 5)) == [closing()]
        assert due(sooner, recorded=knowing(sooner, None)) == [alert(3)]

    def test_it_stays_due(self) -> None:
        """A channel that failed gets it after its recovery, about the certificate that counts then."""
        newest = certificate(NOW + 800 * DAY, serial_number=4)
        recorded = CertificateStatus(
            accepted=accepted_certificate(newest), channels=(notified(5, self.OLD.fingerprint_sha256),)
        )
        assert due(newest, recorded=recorded) == [closing()]
        found = assessment(MISSING, recorded=recorded)
        assert [each.kind for each in due_notifications(evaluation(found, policy(), recorded))] == [MessageKind.CLOSING]

    def test_rolled_back_before_it_was_sent(self) -> None:
        """The old certificate is back, and the other was never reported: its alerts continue."""
        assert due(self.OLD, recorded=knowing(self.OLD, 6)) == [alert(5)]

    def test_rolled_back_after_it_was_sent(self) -> None:
        """After the closing message, the alerts are sent again."""
        assert due(self.OLD, recorded=knowing(self.NEW, None)) == [alert(5)]

    def test_when_the_first_one_is_read(self) -> None:
        """A channel with an alert about unreadable content gets the closing message."""
        recorded = CertificateStatus(channels=(notified(-3, ""),))
        assert due(self.NEW, recorded=recorded) == [closing()]

    def test_only_alerted_channels(self) -> None:
        """A channel that was added since has nothing to close."""
        plan = policy(channel("team"), channel("pager", start_days_before=3))
        assert due(self.NEW, plan=plan, recorded=knowing(self.OLD, 6)) == [closing()]


class TestSilence:
    """Silenced: for this exact object, with a reason, and not a second longer."""

    UNTIL = Silence(NOW + DAY, "being decommissioned")

    def test_nothing_is_due_while_it_holds(self) -> None:
        """Neither alerts nor closing messages."""
        assert due(certificate(NOW - DAY), silence=self.UNTIL) == []
        assert due(TestClosing.NEW, recorded=knowing(TestClosing.OLD, 6), silence=self.UNTIL) == []

    @pytest.mark.parametrize(("now", "is_silent"), [(NOW + DAY - SECOND, True), (NOW + DAY, False)])
    def test_it_ends_by_itself(self, now: datetime, is_silent: bool) -> None:
        """The current message is due then, once."""
        assert silenced(self.UNTIL, now) is is_silent
        assert due(certificate(NOW - DAY), now, silence=self.UNTIL) == ([] if is_silent else [alert(-3)])

    def test_the_closing_message_is_not_lost_in_it(self) -> None:
        """Replaced during the silence: sent afterwards."""
        owed = due(TestClosing.NEW, NOW + DAY, recorded=knowing(TestClosing.OLD, 6), silence=self.UNTIL)
        assert owed == [closing()]


class TestAWrongClock:
    """`from the future`: a record that is more than a day ahead is ignored."""

    @pytest.mark.parametrize("ahead", [HOUR, DAY])
    def test_a_record_slightly_ahead_counts(self, ahead: timedelta) -> None:
        """An error of an hour repeats nothing."""
        seen = certificate(NOW + 5 * DAY)
        assert due(seen, recorded=knowing(seen, 4, when=NOW + ahead)) == []

    @pytest.mark.parametrize("ahead", [DAY + SECOND, 400 * DAY])
    def test_a_record_far_ahead_is_ignored(self, ahead: timedelta) -> None:
        """A clock that was 400 days ahead alerted about an expiry; the stage of today is due again."""
        seen = certificate(NOW + 5 * DAY)
        assert due(seen, recorded=knowing(seen, -396, when=NOW + ahead)) == [alert(5)]

    def test_a_record_far_ahead_of_the_same_stage_counts(self) -> None:
        """The clock is 400 days behind now: the same stage is not due twice."""
        seen = certificate(NOW + 5 * DAY)
        assert due(seen, NOW, recorded=knowing(seen, 5, when=NOW + 400 * DAY)) == []


class TestNextChange:
    """The time of the next reconcile: the first moment at which the same facts have another assessment."""

    def test_a_valid_certificate_is_reconciled_once_a_day(self) -> None:
        """When another whole day has passed."""
        found = assessment(certificate(NOW + 100 * DAY + HOUR))
        assert next_change(evaluation(found, policy(), CertificateStatus())) == NOW + HOUR

    def test_at_that_instant_the_next_reconcile_is_just_after(self) -> None:
        """Because the days remaining change then, and not at the same instant again and again."""
        found = assessment(certificate(NOW + 100 * DAY))
        assert next_change(evaluation(found, policy(), CertificateStatus())) == NOW + timedelta.resolution

    def test_the_next_stage(self) -> None:
        """A time of day, if the channel has one."""
        schedule = Schedule(send_at=SendAt(time(12, 0)))
        found = assessment(certificate(NOW + 10 * DAY + 12 * HOUR))
        noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
        assert next_stage(found, channel(schedule=schedule)) == Stage(11, noon)
        assert next_change(evaluation(found, policy(channel(schedule=schedule)), CertificateStatus())) == noon

    def test_the_end_of_a_silence(self) -> None:
        """Even if nothing else happens on that day."""
        found = assessment(certificate(NOW + 100 * DAY + 9 * HOUR))
        assert (
            next_change(evaluation(found, policy(), CertificateStatus(), Silence(NOW + HOUR, "maintenance")))
            == NOW + HOUR
        )
        assert (
            next_change(evaluation(found, policy(), CertificateStatus(), Silence(NOW, "maintenance"))) == NOW + 9 * HOUR
        )

    def test_the_start_of_a_renewed_certificate(self) -> None:
        """A renewed certificate counts from the second in which it becomes valid."""
        found = assessment(certificate(NOW + 100 * DAY + 9 * HOUR))
        assert next_change(evaluation(found, policy(), CertificateStatus()), starts=NOW + HOUR) == NOW + HOUR
        assert next_change(evaluation(found, policy(), CertificateStatus()), starts=NOW - HOUR) == NOW + 9 * HOUR

    def test_nothing_known(self) -> None:
        """Everything is reconciled at least once a day."""
        assert next_change(evaluation(assessment(None), AlertPolicy(channels=()), CertificateStatus())) == NOW + DAY

    @pytest.mark.parametrize("year", [1, 9999])
    def test_the_ends_of_the_calendar(self, year: int) -> None:
        """No date is an overflow."""
        end = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
        found = assessment(certificate(end, not_before=datetime(1, 1, 1, tzinfo=UTC)))
        assert NOW < next_change(evaluation(found, policy(), CertificateStatus())) <= NOW + DAY


class TestEscalations:
    """Due so many days after the first alert of the others about this certificate."""

    PLAN = policy(channel(), replace(channel("boss"), escalate_after=7))

    def notified_since(self, days: int, *others: ChannelStatus) -> CertificateStatus:
        team = replace(notified(14, SEEN.fingerprint_sha256), first_sent=NOW - days * DAY)
        return CertificateStatus(accepted=accepted_certificate(SEEN), channels=(team, *others))

    def test_not_with_the_first_alert(self) -> None:
        """However late that alert was."""
        assert due(SEEN, plan=self.PLAN) == [alert(14)]

    @pytest.mark.parametrize(("days", "expected"), [(6, []), (7, [alert(14, "boss")])])
    def test_after_so_many_days(self, days: int, expected: list[object]) -> None:
        assert due(SEEN, plan=self.PLAN, recorded=self.notified_since(days)) == expected

    def test_it_counts_from_the_first_failure_of_an_undeliverable_alert(self) -> None:
        """Otherwise it would never be due."""
        failed = ChannelStatus("team", "", None, None, last_failure=NOW - 7 * DAY)
        recorded = CertificateStatus(accepted=accepted_certificate(SEEN), channels=(failed,))
        assert due(SEEN, plan=self.PLAN, recorded=recorded) == [alert(14), alert(14, "boss")]

    def test_the_next_certificate_starts_again(self) -> None:
        """An escalation about the last certificate, and its closing message, have no effect on the next one."""
        closed = notified(None, SEEN.fingerprint_sha256, name="boss")
        assert due(SEEN, plan=self.PLAN, recorded=self.notified_since(1, closed)) == []
        old = notified(3, certificate(NOW, serial_number=1).fingerprint_sha256, name="boss")
        assert due(SEEN, plan=self.PLAN, recorded=self.notified_since(1, old)) == [closing("boss")]

    def test_the_next_reconcile_is_just_then(self) -> None:
        """The first alert may have been seconds after its slot, so the wait ends after its slot, too."""
        recorded = self.notified_since(6, ChannelStatus("events", SEEN.fingerprint_sha256, 14, NOW))
        begins = NOW + DAY + 4 * SECOND
        recorded = replace(
            recorded, channels=tuple(replace(each, first_sent=begins - 7 * DAY) for each in recorded.channels)
        )
        now = NOW + DAY + SECOND
        found = assessment(SEEN, now, recorded=recorded)
        assert next_change(evaluation(found, self.PLAN, recorded)) == begins
        assert alert(13, "boss") not in due(SEEN, begins - SECOND, plan=self.PLAN, recorded=recorded)
        assert alert(13, "boss") in due(SEEN, begins, plan=self.PLAN, recorded=recorded)

    def test_a_failure_about_the_last_certificate_does_not_count(self) -> None:
        """Neither when the next one is first read nor later."""
        failed = ChannelStatus("team", "", None, None, last_failure=NOW - 40 * DAY)
        old = CertificateStatus(accepted=accepted_certificate(certificate(NOW, serial_number=1)), channels=(failed,))
        assert due(SEEN, plan=self.PLAN, recorded=old) == [alert(14)]
        later = replace(
            old,
            accepted=accepted_certificate(SEEN),
            history=(PreviousCertificate("1", NOW, NOW - 30 * DAY + timedelta(microseconds=7)),),
        )
        assert due(SEEN, plan=self.PLAN, recorded=later) == [alert(14)]
        since = replace(later, channels=(replace(failed, last_failure=NOW - 30 * DAY),))
        assert due(SEEN, plan=self.PLAN, recorded=since) == [alert(14), alert(14, "boss")]

    def test_a_first_alert_in_the_future_does_not_count(self) -> None:
        """Otherwise no escalation would be due before that future date."""
        seen = certificate(NOW + 29 * DAY)
        ahead = replace(notified(9, seen.fingerprint_sha256, when=NOW + 20 * DAY), first_sent=NOW + 20 * DAY)
        recorded = CertificateStatus(accepted=accepted_certificate(seen), channels=(ahead,))
        found = assessment(seen, recorded=recorded)
        [owed] = due_notifications(evaluation(found, policy(), recorded))
        assert delivered(evaluation(found, policy(), recorded), owed, Delivery(NOW)).first_sent == NOW

    def test_a_failure_of_a_removed_channel_does_not_count(self) -> None:
        """But a delivery to it counts: the channel may have a new name."""
        gone = ChannelStatus("old", "", None, None, last_failure=NOW - 70 * DAY)
        recorded = CertificateStatus(accepted=accepted_certificate(SEEN), channels=(gone,))
        assert due(SEEN, plan=self.PLAN, recorded=recorded) == [alert(14)]
        renamed = replace(notified(14, SEEN.fingerprint_sha256, name="old"), first_sent=NOW - 7 * DAY)
        recorded = CertificateStatus(accepted=accepted_certificate(SEEN), channels=(renamed,))
        assert alert(14, "boss") in due(SEEN, plan=self.PLAN, recorded=recorded)


class TestHostCertificates:
    """The consumer's side gets one letter: a host certificate is not renewed here."""

    PLAN = policy(channel(), Channel("consumer", "Email", Schedule(), EmailAddress()))

    @pytest.mark.parametrize("starts", [30, 20, 60])
    def test_once_after_any_change_of_the_policy(self, starts: int) -> None:
        """The team is alerted daily."""
        record = notified(30, SEEN.fingerprint_sha256, name="consumer")
        recorded = CertificateStatus(accepted=accepted_certificate(SEEN), channels=(record,))
        consumer = replace(self.PLAN.channels[1], schedule=Schedule(start_days_before=starts))
        plan = replace(self.PLAN, channels=(self.PLAN.channels[0], consumer))
        found = assessment(SEEN, recorded=recorded, declared=declaration(profile=HOST))
        assert [each.channel.name for each in due_notifications(evaluation(found, plan, recorded))] == ["team"]

    def test_once_more_after_a_letter_in_the_future(self) -> None:
        """That was before its last month."""
        record = notified(30, SEEN.fingerprint_sha256, name="consumer", when=NOW + 20 * DAY)
        recorded = CertificateStatus(accepted=accepted_certificate(SEEN), channels=(record,))
        found = assessment(SEEN, recorded=recorded, declared=declaration(profile=HOST))
        assert "consumer" in [each.channel.name for each in due_notifications(evaluation(found, self.PLAN, recorded))]

    def test_the_next_certificate_has_a_letter_of_its_own(self) -> None:
        """Without a closing message: the requester knows about the new certificate of the host."""
        record = notified(30, certificate(NOW, serial_number=1).fingerprint_sha256, name="consumer")
        for days, expected in ((31, []), (30, [30])):
            seen = certificate(NOW + days * DAY)
            recorded = CertificateStatus(accepted=accepted_certificate(seen), channels=(record,))
            found = assessment(seen, recorded=recorded, declared=declaration(profile=HOST))
            owed = due_notifications(evaluation(found, self.PLAN, recorded))
            assert [each.stage for each in owed if each.channel.name == "consumer"] == expected
