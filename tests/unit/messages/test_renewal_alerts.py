"""Alerts and letters about a certificate whose policy has a renewal: what waits, and for whom."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clientcert.alerting.dispatcher import decide
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.due import due_notifications
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.renewal.situation import RenewalSituation
from clientcert.lifecycle.renewal.status import State
from clientcert.lifecycle.spec import ObjectKey
from clientcert.messages.letter import Letter
from clientcert.messages.message import Message, compose
from tests.builders import DAY, NOW, assessment, certificate, declaration, evaluation, notified, policy
from tests.unit.messages.composing import knowing
from tests.unit.messages.renewals import ALEX, CONSUMER, JO, TEAM, situation, summary
from tests.unit.messages.test_letters import text

OPEN = (State.CHECKING, State.WAITING, State.AWAITING_APPROVAL, State.APPROVED, State.ISSUED)
SAM = Recipient(Role.BUSINESS, "sam@nhs.example", "Sam Patel")


def evaluated(
    renewal: RenewalSituation | None, *channels: Channel, left: timedelta = 14 * DAY, told: Recipient = JO, **spec: Any
) -> Evaluation:
    facts, seen = declaration(**spec), certificate(NOW + left)
    found = assessment(seen, recorded=knowing(seen), declared=facts)
    plan = policy(*(channels or (TEAM, CONSUMER)))
    contact = Resolution("", "", (told,))
    return replace(evaluation(found, plan, knowing(seen), spec=facts, contact=contact), renewal=renewal)


def alert(renewal: RenewalSituation | None, **changes: Any) -> Message:
    about = evaluated(renewal, TEAM, **changes)
    [due] = due_notifications(about)
    return compose(about, due)


def letter(renewal: RenewalSituation | None, told: Recipient = JO, **changes: Any) -> Letter:
    about = evaluated(renewal, CONSUMER, told=told, **changes)
    [due] = due_notifications(about)
    [found] = compose(about, due, (told,)).letters
    return found


class TestTheTeam:
    def test_is_told_the_command(self) -> None:
        """Whatever the consumer sends is passed on with it."""
        assert alert(situation()).next_step == (
            "Ask the technical contact to renew it, and pass on the public key or CSR that they send: clientcert renew"
            " nhs-prod --namespace integration --public-key FILE (or --csr FILE). Or put the renewed certificate into"
            " Secret nhs-client-cert, key tls.crt. The alerts stop when it is there."
        )

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            (State.CHECKING, "is being checked. See what it waits for: kubectl describe certificaterenewal"),
            (State.WAITING, "waits for a check (the CA). See what it waits for: kubectl describe certificaterenewal"),
            (State.AWAITING_APPROVAL, "waits for approval. Decide: clientcert approve nhs-prod-4f1d0c9a2b"),
            (State.APPROVED, "is approved, and being issued (the CA). See what it waits for:"),
            (State.ISSUED, "hand it over: clientcert retrieve nhs-prod-4f1d0c9a2b --namespace integration; then say"),
            (
                State.DELIVERED,
                "Put it into Secret nhs-client-cert, key tls.crt: clientcert retrieve nhs-prod-4f1d",
            ),
        ],
    )
    def test_is_told_what_an_open_request_waits_for(self, state: State, words: str) -> None:
        waits = "the CA." if state in {State.WAITING, State.APPROVED} else ""
        found = alert(situation(open_request=summary(state, waits_for=waits)))
        assert words in found.next_step
        assert "clientcert renew" not in found.next_step
        assert found.next_step.endswith("The alerts stop when the new certificate is there.")
        assert dict(found.facts)["Renewal"].startswith("request nhs-prod-4f1d0c9a2b ")

    @pytest.mark.parametrize(
        ("renewal", "left"),
        [
            (situation(), -DAY),
            (situation(revoked=True), 14 * DAY),
            (situation(last_ended=summary(State.REFUSED, reason="Vetted", ended=NOW)), 14 * DAY),
        ],
    )
    def test_is_told_to_vet_first_where_nothing_can_be_renewed(
        self, renewal: RenewalSituation, left: timedelta
    ) -> None:
        """Expired, revoked, or refused for an old vetting."""
        words = alert(renewal, left=left).next_step
        assert "record that with clientcert vet nhs-prod --namespace integration, and pass on" in words
        assert "clientcert renew nhs-prod --namespace integration --reissue --public-key FILE" in words

    def test_is_told_that_it_is_revoked(self) -> None:
        assert "It is revoked, so it is not accepted any more." in alert(situation(revoked=True)).next_step
        assert "revoked" not in alert(situation()).next_step

    def test_is_not_told_to_vet_after_another_refusal(self) -> None:
        refused = summary(State.REFUSED, reason="KeyAllowed", ended=NOW)
        assert "clientcert vet" not in alert(situation(last_ended=refused)).next_step

    def test_is_told_of_no_command_for_a_host_certificate(self) -> None:
        """It is not renewed here."""
        assert alert(situation(), profile="Host").next_step == alert(None, profile="Host").next_step

    def test_reads_one_line_whatever_the_request_waits_for(self) -> None:
        hostile = "a\r\n<!channel>\u202e" * 1000
        asked = summary(State.WAITING, waits_for=hostile, key=ObjectKey("integration", hostile))
        found = alert(situation(open_request=asked))
        assert found.next_step.isprintable()
        assert all(value.isprintable() for _, value in found.facts)


class TestTheConsumer:
    @pytest.mark.parametrize("recipient", [JO, SAM, ALEX])
    @pytest.mark.parametrize("state", OPEN)
    def test_is_asked_for_no_key_while_a_request_is_open(self, recipient: Recipient, state: State) -> None:
        found = letter(situation(state), recipient)
        assert found.subject == "Being renewed: certificate for nhs in prod expires on 2026-12-06"
        assert "please send us no other key" in text(found)
        assert not any(word in text(found) for word in ("openssl", "genrsa", "as soon as possible"))

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            (State.AWAITING_APPROVAL, "It waits for our approval."),
            (State.ISSUED, "The new certificate is issued, and will reach you next."),
        ],
    )
    def test_is_told_what_it_waits_for(self, state: State, words: str) -> None:
        assert words in text(letter(situation(state)))

    def test_hears_no_names_of_objects(self) -> None:
        hostile = summary(State.WAITING, waits_for="Secret client-ca")
        words = text(letter(situation(open_request=hostile)))
        assert "nhs-prod-4f1d0c9a2b" not in words
        assert "client-ca" not in words

    @pytest.mark.parametrize("recipient", [JO, SAM, ALEX])
    def test_is_asked_for_a_vetting_first_after_expiry(self, recipient: Recipient) -> None:
        words = text(letter(situation(), recipient, left=-DAY))
        assert "Because the certificate has expired, we have to verify who you are before" in words
        assert "verify who you are" not in text(letter(situation(), recipient))
        assert "verify who you are" not in text(letter(None, recipient, left=-DAY))

    def test_is_asked_for_a_vetting_if_it_was_revoked(self) -> None:
        words = text(letter(situation(revoked=True)))
        assert "Because the certificate has been revoked, and is not accepted any more, we have to verify" in words
        assert "stays valid" not in words

    def test_hears_how_long_both_are_valid(self) -> None:
        """Where the policy retires the old one."""
        assert "stays valid until" in text(letter(situation()))
        retiring = replace(situation(), policy=replace(situation().policy, retire_after_days=30))
        words = text(letter(retiring))
        assert "stays valid for 30 days after you got a new one, until" in words

    def test_hears_nothing_more_once_the_certificate_was_delivered(self) -> None:
        """That mail was the last one; the team still hears that the source has the old one."""
        names = [due.channel.name for due in due_notifications(evaluated(situation(State.DELIVERED)))]
        assert names == ["team"]


class TestTheEscalation:
    ON_CALL = replace(TEAM, name="on-call", escalate_after=0)

    @pytest.mark.parametrize("state", [*OPEN, State.DELIVERED, None])
    def test_rests_while_a_request_is_open(self, state: State | None) -> None:
        """Somebody sees to the certificate; alerts go on."""
        due = due_notifications(evaluated(situation(state), TEAM, self.ON_CALL))
        assert [each.channel.name for each in due] == (["team"] if state else ["team", "on-call"])

    def test_is_closed_also_while_a_request_is_open(self) -> None:
        """The next request is open already; who was alerted about the old certificate hears of its end."""
        old, new = certificate(NOW + 5 * DAY, serial_number=0xAA), certificate(NOW + 400 * DAY, serial_number=0xBB)
        recorded = knowing(old, notified(6, old.fingerprint_sha256, name="on-call"))
        plan = policy(self.ON_CALL)
        about = evaluation(assessment(new, recorded=recorded), plan, recorded)
        [due] = due_notifications(replace(about, renewal=situation(State.CHECKING)))
        assert due.kind is MessageKind.CLOSING


class TestTheClosingLetter:
    @pytest.mark.parametrize(
        ("changes", "owed"),
        [
            ({"new_serial": 0xBB, "mailed": True}, False),
            ({"new_serial": 0xBB, "mailed": False}, True),
            ({"new_serial": 0xCC, "mailed": True}, True),
            ({"new_serial": None, "mailed": True}, True),
        ],
    )
    def test_is_not_owed_if_the_mail_brought_this_certificate(self, changes: dict[str, Any], owed: bool) -> None:
        """The delivery mail was the closing letter. One that was handed over, or that came otherwise, is closed."""
        decision = decide(self.replaced(CONSUMER, situation(last_delivered=summary(State.DONE, **changes))))
        assert [each.kind for each in decision.due] == [MessageKind.CLOSING] * owed
        assert [each.kind for each, _ in decision.settled] == [MessageKind.CLOSING] * (not owed)

    def test_is_owed_if_nothing_is_known_of_what_was_mailed(self) -> None:
        """Also about a certificate whose serial number is zero."""
        brought = situation(last_delivered=summary(State.DONE, new_serial=None, mailed=True))
        decision = decide(self.replaced(CONSUMER, brought, serial_number=0))
        assert [each.kind for each in decision.due] == [MessageKind.CLOSING]

    def test_is_owed_to_whom_it_was_escalated(self) -> None:
        """The mail went to the contact of record, and not to them."""
        business = replace(CONSUMER, name="consumer/business", escalate_after=14)
        brought = summary(State.DONE, new_serial=0xBB, mailed=True)
        decision = decide(self.replaced(business, situation(last_delivered=brought)))
        assert [each.kind for each in decision.due] == [MessageKind.CLOSING]

    def test_is_owed_to_the_team(self) -> None:
        brought = summary(State.DONE, new_serial=0xBB, mailed=True)
        decision = decide(self.replaced(TEAM, situation(last_delivered=brought)))
        assert [each.kind for each in decision.due] == [MessageKind.CLOSING]

    @staticmethod
    def replaced(channel: Channel, renewal: RenewalSituation, serial_number: int = 0xBB) -> Evaluation:
        old = certificate(NOW + 5 * DAY, serial_number=0xAA)
        new = certificate(NOW + 400 * DAY, serial_number=serial_number)
        recorded = knowing(old, notified(6, old.fingerprint_sha256, name=channel.name))
        about = evaluation(assessment(new, recorded=recorded), policy(channel), recorded)
        return replace(about, renewal=renewal, contact=Resolution("", "", (JO,)))
