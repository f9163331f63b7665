"""The recipients of notices about a request for a renewal, their times and their number."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.policy import Channel, EmailAddress, Schedule, SendAt
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.due_notices import (
    can_be_mailed,
    delivery_notice,
    due_notices,
    next_notice,
    retires_at,
    with_retirement_announced,
)
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Notice, with_sent
from clientcert.lifecycle.renewal.policy import DeliverySettings, DeliveryType, RenewalPolicy
from clientcert.lifecycle.renewal.status import STORED, DeliveryRecord, NoticeRecord, State
from tests.builders import DAY, HOUR, MINUTE, NOW, SECOND, channel, policy
from tests.unit.messages.renewals import (
    ALEX,
    APPROVED,
    CONSUMER,
    DENIED,
    FULL,
    ISSUER_ALONE,
    JO,
    OLD_END,
    PAGER,
    TEAM,
    TOO_EARLY,
    TOO_SHORT,
    request,
    status,
)

CONTACT, NOTIFY = "contact", "notify"
RETIRING = replace(FULL, retire_after_days=10)


def due(evaluation: RenewalEvaluation, **how: Any) -> set[str]:
    """The due messages, as `Receipt/contact`; a destination without its hash."""
    return {_short(each) for each in found(evaluation, **how)}


def found(evaluation: RenewalEvaluation, *, has_mail_server: bool = True, **how: Any) -> tuple[Notice, ...]:
    return due_notices(evaluation, has_mail_server=has_mail_server, **how)


def _short(notice: Notice) -> str:
    return f"{notice.kind}/{notice.destination.partition('-')[0]}"


class TestWhatWaitsForApproval:
    def test_is_acknowledged_to_the_contact_and_told_to_registration_authority_and_team(self) -> None:
        assert due(request(status(State.AWAITING_APPROVAL))) == {
            f"Receipt/{CONTACT}",
            f"Waiting/{NOTIFY}",
            "Waiting/team",
        }

    def test_is_told_once_a_day(self) -> None:
        """At the hour of the first message; the receipt is sent once."""
        evaluation = request(status(State.AWAITING_APPROVAL), age=timedelta(0))
        names = [each.name for each in found(evaluation)]
        for after, expected in (
            (timedelta(0), set()),
            (DAY - SECOND, set()),
            (DAY, {f"Waiting/{NOTIFY}", "Waiting/team"}),
        ):
            told = request(status(State.AWAITING_APPROVAL, *names), age=timedelta(0), now=NOW + after)
            assert due(told) == expected, after
            assert next_notice(told, has_mail_server=True) == (NOW + DAY if after < DAY else NOW + 2 * DAY)

    def test_is_told_at_the_hours_of_the_channel(self) -> None:
        """At 09:00; a message of the evening before is not followed by one in the same night."""
        at_nine = channel("team", send_at=SendAt(time(9), UTC))
        evening = NOW + 10 * HOUR
        plan = policy(at_nine)
        sent = status(State.AWAITING_APPROVAL, "Waiting/team", when=evening)
        for now, expected in (
            (NOW + DAY - SECOND, set()),
            (NOW + DAY, {"Waiting/team"}),
        ):
            assert due(request(sent, ISSUER_ALONE, plan=plan, now=now, recipient=None)) == expected
        late = status(State.AWAITING_APPROVAL, "Waiting/team", when=NOW - 4 * HOUR)
        assert due(request(late, ISSUER_ALONE, plan=plan, recipient=None)) == set()

    def test_has_another_number_each_day(self) -> None:
        """The same message again has the same number; its Message-ID is made of that."""
        numbers = []
        for now in (NOW, NOW + MINUTE, NOW + DAY, NOW + 2 * DAY):
            evaluation = request(status(State.AWAITING_APPROVAL), age=timedelta(0), now=now)
            numbers += [each.number for each in found(evaluation) if _short(each) == "Waiting/team"]
        assert numbers[0] == numbers[1]
        assert len(set(numbers)) == 3

    def test_is_acknowledged_anew_to_another_contact(self) -> None:
        """A changed contact of record gets a receipt of its own."""
        [receipt] = [each for each in found(request(status(State.AWAITING_APPROVAL))) if each.recipient == JO]
        sam = Recipient(Role.BUSINESS, "sam@nhs.example")
        told = status(State.AWAITING_APPROVAL, receipt.name)
        assert f"Receipt/{CONTACT}" not in due(request(told))
        assert f"Receipt/{CONTACT}" in due(request(told, recipient=sam))

    def test_needs_no_receipt_if_it_was_approved_automatically(self) -> None:
        assert due(request(status(State.APPROVED))) == set()
        assert due(request(status(State.APPROVED), approval=APPROVED)) == {f"Receipt/{CONTACT}"}

    def test_names_nobody_in_its_record(self) -> None:
        """Roles and hashes, no addresses: the record is in a status."""
        names = [each.name for each in found(request(status(State.AWAITING_APPROVAL)))]
        assert not any("@" in name or "jo" in name for name in names)


class TestTheTeamsChannels:
    def test_hear_what_the_registration_authority_would_if_there_is_none(self) -> None:
        """Where the policy has only an issuer, and where no mail can be sent."""
        issued = request(status(State.ISSUED), ISSUER_ALONE)
        assert due(issued) == {"Issued/team"}
        assert due(request(status(State.ISSUED))) == {f"Issued/{NOTIFY}"}
        assert due(request(status(State.ISSUED)), has_mail_server=False) == {"Issued/team"}

    def test_are_neither_events_nor_escalations_nor_letters(self) -> None:
        events = Channel("events", "Event", Schedule())
        on_call = replace(channel("on-call"), escalate_after=14)
        plan = policy(TEAM, CONSUMER, events, on_call)
        assert due(request(status(State.AWAITING_APPROVAL), ISSUER_ALONE, plan=plan)) == {
            f"Receipt/{CONTACT}",
            "Waiting/team",
        }

    def test_hear_nothing_before_they_begin(self) -> None:
        """A pager that begins three days before the end is not called months before that."""
        plan = policy(TEAM, PAGER)
        early = request(status(State.AWAITING_APPROVAL), ISSUER_ALONE, plan=plan, recipient=None)
        late = request(status(State.AWAITING_APPROVAL), ISSUER_ALONE, plan=plan, recipient=None, now=OLD_END - 3 * DAY)
        assert (due(early), due(late)) == ({"Waiting/team"}, {"Waiting/team", "Waiting/pager"})

    def test_hear_of_a_delivery(self) -> None:
        """Also where the registration authority was told of the issuance."""
        assert due(request(status(State.DELIVERED))) == {f"Issued/{NOTIFY}", "Delivered/team"}
        assert due(request(status(State.DELIVERED), ISSUER_ALONE)) == {"Delivered/team"}

    @pytest.mark.parametrize(
        ("reason", "lasting", "told"),
        [
            ("WriteNotAllowed", timedelta(0), True),
            ("SourceChanged", timedelta(0), True),
            ("SourceUnavailable", HOUR - SECOND, False),
            ("SourceUnavailable", HOUR, True),
        ],
    )
    def test_hear_that_it_is_not_in_its_source(self, reason: str, lasting: timedelta, told: bool) -> None:
        """A fault that may pass is told after an hour."""
        stored = Condition(STORED, "False", reason, "it could not be written", NOW)
        evaluation = request(status(State.DELIVERED, conditions=(stored,)), now=NOW + lasting)
        assert ("NotStored/team" in due(evaluation)) is told
        if not told:
            assert next_notice(evaluation, has_mail_server=True) == NOW + HOUR

    def test_are_told_once(self) -> None:
        stored = Condition(STORED, "False", "SourceChanged", "", NOW)
        sent = [each.name for each in found(request(status(State.DELIVERED, conditions=(stored,))))]
        assert due(request(status(State.DELIVERED, *sent, conditions=(stored,)), now=NOW + 9 * DAY)) == set()


class TestARefusal:
    def test_is_told_to_contact_and_registration_authority(self) -> None:
        refused = status(State.REFUSED, checks=(TOO_SHORT,), ended=NOW)
        assert due(request(refused)) == {f"Refused/{CONTACT}", f"Refused/{NOTIFY}"}
        assert due(request(refused, ISSUER_ALONE)) == {f"Refused/{CONTACT}", "Refused/team"}

    def test_by_an_approver_is_told_too(self) -> None:
        denied = request(status(State.DENIED, ended=NOW), approval=DENIED)
        assert due(denied) == {f"Refused/{CONTACT}", f"Refused/{NOTIFY}"}

    @pytest.mark.parametrize(("told", "more"), [(0, True), (2, True), (3, False), (100, False)])
    def test_is_told_three_times_a_day_about_one_certificate(self, told: int, more: bool) -> None:
        refused = request(status(State.REFUSED, checks=(TOO_SHORT,), ended=NOW))
        assert bool(found(refused, refusals_told=told)) is more

    def test_is_told_within_a_day(self) -> None:
        """A hundred requests that were refused in one hour are not told for a month."""
        for age, told in ((DAY - SECOND, True), (DAY, False)):
            refused = request(status(State.REFUSED, checks=(TOO_SHORT,), ended=NOW - age))
            assert bool(found(refused)) is told

    def test_of_a_request_that_was_too_early_is_told_to_nobody(self) -> None:
        assert due(request(status(State.REFUSED, checks=(TOO_EARLY,), ended=NOW))) == set()


class TestAnIssuance:
    def test_is_told_to_the_contact_by_the_mail_with_the_certificate(self) -> None:
        """No second mail says the same."""
        assert due(request(status(State.ISSUED))) == {f"Issued/{NOTIFY}"}
        notice = delivery_notice(request(status(State.ISSUED)))
        assert notice is not None
        assert notice.recipient == JO

    @pytest.mark.parametrize(
        ("recipient", "renewal"),
        [(ALEX, FULL), (JO, replace(FULL, delivery=DeliverySettings(DeliveryType.NONE)))],
    )
    def test_is_told_to_a_contact_to_whom_nothing_is_mailed(self, recipient: Recipient, renewal: RenewalPolicy) -> None:
        evaluation = request(status(State.ISSUED), renewal, recipient=recipient)
        assert f"Issued/{CONTACT}" in due(evaluation)
        assert delivery_notice(evaluation) is None

    def test_that_was_handed_over_is_told_to_the_contact(self) -> None:
        """The contact of record hears of it, whatever took it."""
        handed = status(State.DONE, delivery=DeliveryRecord(NOW, "handed over", ""), ended=NOW)
        assert f"Issued/{CONTACT}" in due(request(handed))

    def test_is_not_told_to_an_address_that_is_new(self) -> None:
        """A request that ended long ago is of no interest to a registration authority that was just named."""
        for age, told in ((7 * DAY - SECOND, True), (7 * DAY, False)):
            assert bool(found(request(status(State.DONE, ended=NOW - age)))) is told


class TestARetirement:
    def test_is_announced_on_delivery_and_a_week_before(self) -> None:
        """To the contact the mail with the certificate announces it; the old certificate ends in 14 days."""
        assert f"Retirement/{NOTIFY}" in due(request(status(State.DELIVERED), RETIRING))
        assert f"Retirement/{CONTACT}" not in due(request(status(State.DELIVERED), RETIRING))
        first = [each.name for each in found(request(status(State.DONE), RETIRING))]
        for now, expected in (
            (NOW + 3 * DAY - SECOND, set()),
            (NOW + 3 * DAY, {f"Retiring/{CONTACT}", f"Retiring/{NOTIFY}"}),
            (NOW + 10 * DAY, set()),
        ):
            done = request(status(State.DONE, *first, ended=NOW), RETIRING, now=now)
            assert due(done) == expected, now
            if now < NOW + 3 * DAY:
                assert next_notice(done, has_mail_server=True) == NOW + 3 * DAY

    def test_is_announced_to_the_contact_if_the_certificate_was_handed_over(self) -> None:
        handed = status(State.DELIVERED, delivery=DeliveryRecord(NOW, "handed over", ""))
        assert f"Retirement/{CONTACT}" in due(request(handed, RETIRING))

    @pytest.mark.parametrize("days", [None, 14, 30])
    def test_is_not_announced_if_the_old_certificate_ends_first(self, days: int | None) -> None:
        done = request(status(State.DONE), replace(FULL, retire_after_days=days), now=NOW + 8 * DAY)
        assert not any("Retir" in name for name in due(done))

    def test_within_a_week_is_announced_once(self) -> None:
        """The announcement on delivery is a week before, or less."""
        week = replace(FULL, retire_after_days=7)
        delivered = request(status(State.DELIVERED), week)
        announced = with_retirement_announced(delivered)
        assert [each.reason for each in announced.conditions] == ["Announced"]
        done = request(replace(announced, state=State.DONE), week, now=NOW + DAY)
        assert retires_at(done) == NOW + 7 * DAY
        assert not any("Retiring" in name for name in due(done))

    def test_leaves_a_week_after_the_announcement_in_any_case(self) -> None:
        """The operator was away for the week before, or the policy was changed long after the delivery."""
        for days in (10, 2):
            plan, late = replace(FULL, retire_after_days=days), NOW + 12 * DAY
            overdue = request(status(State.DONE), plan, now=late, serial_number="beef")
            begin = late + min(days, 7) * DAY - HOUR
            assert retires_at(overdue) == begin
            assert f"Retiring/{CONTACT}" in due(overdue)
            told = replace(overdue, status=with_retirement_announced(overdue))
            [condition] = told.status.conditions
            assert (condition.status, condition.reason, condition.last_transition) == ("False", "Announced", late)
            assert f"{begin:%Y-%m-%d}" in condition.message
            assert retires_at(replace(told, now=late + DAY)) == begin

    def test_moves_by_no_moment_that_the_announcement_is_late(self) -> None:
        done = request(status(State.DONE), RETIRING, now=NOW + 3 * DAY + HOUR)
        told = replace(done, status=with_retirement_announced(done))
        assert retires_at(replace(told, now=NOW + 10 * DAY)) == NOW + 10 * DAY


class TestWhoCannotBeWrittenTo:
    def test_is_left_out(self) -> None:
        """Without a mail server nothing to people is due, but direct messages to Slack users are."""
        pending = status(State.AWAITING_APPROVAL)
        assert due(request(pending), has_mail_server=False) == {"Waiting/team"}
        assert due(request(pending, recipient=ALEX), has_mail_server=False) == {f"Receipt/{CONTACT}", "Waiting/team"}
        assert due(request(pending, recipient=None)) == {f"Waiting/{NOTIFY}", "Waiting/team"}

    def test_nobody_hears_of_a_certificate_that_is_gone(self) -> None:
        assert due(replace(request(status(State.AWAITING_APPROVAL)), certificate=None)) == set()

    def test_a_policy_without_a_renewal_silences_no_refusal(self) -> None:
        """It was removed meanwhile, which is why the request was refused."""
        refused = request(status(State.REFUSED, checks=(TOO_SHORT,), ended=NOW), None)
        assert due(refused) == {f"Refused/{CONTACT}", "Refused/team"}

    @pytest.mark.parametrize("state", [State.CHECKING, State.WAITING, State.ENDED])
    def test_nothing_is_told_while_it_is_checked_nor_when_it_ended_by_itself(self, state: State) -> None:
        assert due(request(status(state))) == set()


class TestWhatIsLeftForRetrieval:
    @pytest.mark.parametrize(
        ("changes", "has_mail_server", "why"),
        [
            ({}, True, ""),
            ({}, False, "sends no mail"),
            ({"recipient": None}, True, "no contact is known"),
            ({"recipient": ALEX}, True, "is a Slack user"),
            ({"renewal": replace(FULL, delivery=DeliverySettings(DeliveryType.NONE))}, True, "type is None"),
        ],
    )
    def test_says_why(self, changes: dict[str, Any], has_mail_server: bool, why: str) -> None:
        evaluation = request(status(State.ISSUED), **changes)
        words = can_be_mailed(evaluation, has_mail_server=has_mail_server)
        assert (why in words) if why else words == ""
        assert bool(words) == ("clientcert retrieve nhs-prod-4f1d0c9a2b" in words)


class TestTheRecords:
    def test_have_each_message_once(self) -> None:
        before = (NoticeRecord("Waiting/team", NOW - DAY), NoticeRecord("Receipt/contact", NOW - DAY))
        after = with_sent(before, (NoticeRecord("Waiting/team", NOW),))
        assert after == (before[1], NoticeRecord("Waiting/team", NOW))

    def test_forget_what_waited_once_it_is_decided(self) -> None:
        """There is room for 64 in a status; ten channels and ten addresses would need more."""
        before = (NoticeRecord("Waiting/team", NOW - DAY), NoticeRecord("Receipt/contact", NOW - DAY))
        issued = NoticeRecord("Issued/team", NOW)
        assert with_sent(before, (issued,)) == (before[1], issued)

    def test_of_the_largest_policy_fit_into_a_status(self) -> None:
        """Ten channels and ten addresses, through all states."""
        channels = [channel(f"team-{number}") for number in range(10)]
        renewal = replace(RETIRING, notify=tuple(f"ra-{number}@gov.example" for number in range(10)))
        records: tuple[NoticeRecord, ...] = ()
        stored = Condition(STORED, "False", "SourceChanged", "", NOW)
        for state, now, changes in (
            (State.AWAITING_APPROVAL, NOW, {}),
            (State.ISSUED, NOW, {}),
            (State.DELIVERED, NOW, {"conditions": (stored,)}),
            (State.DONE, NOW + 3 * DAY, {"ended": NOW}),
        ):
            facts = replace(status(state, **changes), notices=records)
            told = found(request(facts, renewal, plan=policy(*channels), now=now))
            records = with_sent(records, tuple(NoticeRecord(each.name, now) for each in told))
        assert 40 < len(records) <= 64


def test_letters_have_the_settings_of_the_policys_channel() -> None:
    """A policy without a channel to contacts has letters all the same."""
    [receipt] = [each for each in found(request(status(State.AWAITING_APPROVAL))) if each.recipient == JO]
    assert receipt.channel == CONSUMER
    plain = request(status(State.AWAITING_APPROVAL), plan=policy(TEAM))
    [receipt] = [each for each in found(plain) if each.recipient == JO]
    assert receipt.channel.address == EmailAddress()
    assert isinstance(receipt.channel, Channel)


def test_a_request_of_the_far_future_breaks_nothing() -> None:
    """A clock that was wrong."""
    evaluation = request(status(State.AWAITING_APPROVAL, "Waiting/team", when=datetime(9999, 1, 1, tzinfo=UTC)))
    assert "Waiting/team" not in due(evaluation)
