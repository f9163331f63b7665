"""The messages about a request in the team's channels, for people and machines."""

from dataclasses import replace
from typing import Any

import pytest

from clientcert.lifecycle.contacts import Recipient, Role
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Schedule
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.evaluation import RenewalEvaluation
from clientcert.lifecycle.renewal.notices import Notice, NoticeKind
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.lifecycle.renewal.status import STORED, DeliveryRecord, State
from clientcert.messages.digest import MOST_LINES
from clientcert.messages.message import Message
from clientcert.messages.renewal_digest import NoticeLine, compose_notices
from clientcert.messages.renewal_message import compose_renewal
from clientcert.notifiers.apprise import title_and_body
from clientcert.notifiers.http.alertmanager import RENEWAL, alerts
from clientcert.notifiers.http.webhook import cloud_event, event_id
from clientcert.notifiers.slack.block_kit import alert_payload, details_payload
from tests.adapters.sample_messages import alert, closing
from tests.builders import DAY, NOW
from tests.unit.messages.renewals import (
    APPROVED,
    FULL,
    ISSUER_ALONE,
    KEY_HASH,
    RA,
    SENDER,
    TEAM,
    TOO_SHORT,
    request,
    status,
)

NOT_STORED = Condition(STORED, "False", "SourceChanged", "Secret nhs-client-cert has changed: put it there.", NOW)
STATES = {
    NoticeKind.WAITING: status(State.AWAITING_APPROVAL),
    NoticeKind.REFUSED: status(State.REFUSED, checks=(TOO_SHORT,)),
    NoticeKind.ISSUED: status(State.ISSUED),
    NoticeKind.DELIVERED: status(State.DELIVERED),
    NoticeKind.NOT_STORED: status(State.DELIVERED, conditions=(NOT_STORED,)),
    NoticeKind.RETIRING: status(State.DONE),
}
REFUSAL = "the RSA key has 1024 bits: have a longer one made (check KeyAllowed)"
NEW_ONE, CHANGED = "serial number 2aeb3f, valid until 2027-12-22", "Secret nhs-client-cert has changed: put it there"
DONE = frozenset({NoticeKind.ISSUED, NoticeKind.DELIVERED})
TYPES = {
    NoticeKind.WAITING: "waiting",
    NoticeKind.REFUSED: "refused",
    NoticeKind.ISSUED: "issued",
    NoticeKind.DELIVERED: "delivered",
    NoticeKind.NOT_STORED: "not-stored",
    NoticeKind.RETIRING: "retirement",
}


def message(
    kind: NoticeKind,
    renewal: RenewalPolicy = FULL,
    evaluation: RenewalEvaluation | None = None,
    *,
    number: int = 0,
    **changes: Any,
) -> Message:
    about = evaluation or request(STATES[kind], renewal, approval=APPROVED, **changes)
    return compose_renewal(about, Notice(kind, TEAM, TEAM.name, None, number), SENDER)


@pytest.mark.parametrize(("mode", "told"), [(Mode.RENEW, True), (Mode.REISSUE, False)])
def test_a_proof_counts_where_it_is_verified(mode: Mode, told: bool) -> None:
    """The checks refuse a wrong one of a renewal; that of a Reissue may be anything, and proves nothing."""
    found = request(STATES[NoticeKind.WAITING], mode=mode, proof_pem="anything")
    for notice in (
        Notice(NoticeKind.WAITING, TEAM, TEAM.name),
        Notice(NoticeKind.WAITING, TEAM, "notify", Recipient(Role.AUTHORITY, RA)),
    ):
        composed = compose_renewal(found, notice, SENDER)
        text = " ".join([composed.next_step, *(part.text for each in composed.letters for part in each.parts)])
        assert (("has a proof by the" in text), "ompare the" in text) == (told, not told)
        assert ("Proof of possession", "by the current key" if told else "none") in composed.details


class TestTheText:
    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (NoticeKind.WAITING, "A request to renew the certificate for nhs in prod waits for approval"),
            (
                NoticeKind.REFUSED,
                "A request to renew the certificate for nhs in prod was refused: " + REFUSAL,
            ),
            (
                NoticeKind.ISSUED,
                "A new certificate for nhs in prod was issued: " + NEW_ONE,
            ),
            (
                NoticeKind.DELIVERED,
                "The new certificate for nhs in prod was sent to the technical contact: " + NEW_ONE,
            ),
            (
                NoticeKind.NOT_STORED,
                "The new certificate for nhs in prod is with the consumer, but not in its source: " + CHANGED,
            ),
        ],
    )
    def test_is_complete_in_itself(self, kind: NoticeKind, text: str) -> None:
        found = message(kind)
        assert (found.text, found.kind, found.letters) == (text, MessageKind.NOTICE, ())

    def test_says_that_it_was_handed_over(self) -> None:
        handed = request(status(State.DELIVERED, delivery=DeliveryRecord(NOW, "handed over", "")))
        assert " was handed over: serial number " in message(NoticeKind.DELIVERED, evaluation=handed).text

    @pytest.mark.parametrize(
        ("kind", "commands"),
        [
            (NoticeKind.WAITING, ("approve nhs-prod-4f1d0c9a2b", "deny nhs-prod-4f1d0c9a2b")),
            (NoticeKind.REFUSED, ("vet nhs-prod", "renew nhs-prod")),
            (NoticeKind.ISSUED, ("retrieve nhs-prod-4f1d0c9a2b", "handed-over nhs-prod-4f1d0c9a2b")),
            (NoticeKind.NOT_STORED, ("retrieve nhs-prod-4f1d0c9a2b",)),
        ],
    )
    def test_has_the_command_for_the_next_step(self, kind: NoticeKind, commands: tuple[str, ...]) -> None:
        for command in commands:
            assert f"clientcert {command} --namespace integration" in message(kind).next_step

    def test_says_whom_to_call_where_there_is_no_registration_authority(self) -> None:
        for kind in DONE:
            words = message(kind, ISSUER_ALONE).next_step
            assert "report that at once: team@integration.example." in words

    @pytest.mark.parametrize("kind", STATES)
    def test_names_users_only_where_there_is_no_registration_authority(self, kind: NoticeKind) -> None:
        """They are named to `notify` alone; without one the channels hear what it would."""
        for renewal, named in ((FULL, False), (ISSUER_ALONE, True)):
            found = message(kind, renewal)
            shown = str(alert_payload(found)) + str(details_payload(found))
            assert ("kim.roe@gov.example" in shown) is named

    def test_names_no_contact(self) -> None:
        """Roles only."""
        found = message(NoticeKind.DELIVERED, ISSUER_ALONE)
        everything = str(alert_payload(found)) + str(details_payload(found)) + str(cloud_event(found))
        assert "jo@nhs.example" not in everything
        assert "Jo Bloggs" not in everything


class TestForAWebhook:
    @pytest.mark.parametrize("kind", STATES)
    def test_it_is_a_type_of_its_own(self, kind: NoticeKind) -> None:
        """Of the kind Notice, which opens and closes no incident."""
        event = cloud_event(message(kind))
        assert event["type"] == f"dev.clientcert.certificate.renewal.{TYPES[kind]}"
        assert event["source"].endswith("/namespaces/integration/certificaterenewals/nhs-prod-4f1d0c9a2b")
        assert (event["data"]["kind"], event["data"]["name"], event["data"]["stage"]) == ("Notice", "nhs-prod", None)

    def test_it_has_the_request(self) -> None:
        assert cloud_event(message(NoticeKind.DELIVERED))["data"]["renewal"] == {
            "name": "nhs-prod-4f1d0c9a2b",
            "uid": "7d0f5c52-2a3e-4c0b-9d49-5b1f6f0e8a11",
            "state": "Delivered",
            "mode": "Renew",
            "oldSerialNumber": "1a2b3",
            "serialNumber": "2aeb3f",
            "notAfter": "2027-12-22T09:00:00Z",
            "keySHA256": KEY_HASH,
        }

    def test_other_messages_have_no_such_field(self) -> None:
        """They are what they were."""
        assert "renewal" not in cloud_event(alert())["data"]
        assert "renewal" not in cloud_event(closing())["data"]

    def test_it_has_an_id_of_its_own(self) -> None:
        """Equal for a repeat, also after the source was replaced; another one for each occasion, day and channel."""
        ids = [event_id(message(kind)) for kind in STATES]
        ids += [event_id(message(NoticeKind.WAITING, number=number)) for number in (1, 2)]
        other = Notice(NoticeKind.WAITING, replace(TEAM, name="other"), "other")
        ids.append(event_id(compose_renewal(request(STATES[NoticeKind.WAITING]), other, SENDER)))
        assert len(set(ids)) == len(ids)
        later = message(NoticeKind.WAITING, now=NOW + DAY)
        assert event_id(later) == event_id(message(NoticeKind.WAITING))


class TestForAlertmanager:
    @pytest.mark.parametrize("kind", STATES)
    def test_an_alert_fires_until_it_is_done(self, kind: NoticeKind) -> None:
        """A message that only says what was done resolves it; without one it ends when no other message comes."""
        [found] = alerts(Schedule(), message(kind))
        assert found["labels"]["alertname"] == RENEWAL
        assert found["labels"]["renewal"] == "nhs-prod-4f1d0c9a2b"
        ends = "2026-11-22T09:00:00Z" if kind in DONE else "2026-11-24T09:00:00Z"
        assert (found["endsAt"], "startsAt" in found) == (ends, kind not in DONE)

    def test_it_is_the_same_alert_throughout(self) -> None:
        labels = [alerts(Schedule(), message(kind))[0]["labels"] for kind in STATES]
        assert all(each == labels[0] for each in labels)

    def test_other_alerts_have_no_such_label(self) -> None:
        """Another label would make another alert of one that fires."""
        assert all("renewal" not in each["labels"] for each in alerts(Schedule(), alert()))


@pytest.mark.parametrize("kind", STATES)
def test_apprise_has_a_title_and_the_next_step(kind: NoticeKind) -> None:
    found = message(kind)
    title, body = title_and_body(found)
    assert title == f"nhs in prod: {found.reason}"
    assert "\n\n" in body
    assert found.is_done is (kind in DONE)


def test_a_check_cannot_mention_anybody_in_slack() -> None:
    """Its sentence may repeat what the consumer has sent."""
    hostile = replace(TOO_SHORT, message="<!channel> <https://evil.example|here>\n*bold*")
    found = message(NoticeKind.REFUSED, evaluation=request(status(State.REFUSED, checks=(hostile,))))
    shown = str(alert_payload(found)) + str(details_payload(found))
    assert "<!channel>" not in shown
    assert "<https://evil" not in shown
    assert "\n*bold*" not in found.text


def test_of_more_than_fit_those_that_end_first_have_a_line() -> None:
    """The others are counted, and a command lists all."""
    many = [NoticeLine(f"c{number}", NOW + number * DAY, str(number)) for number in reversed(range(MOST_LINES + 70))]
    digest = compose_notices(request(STATES[NoticeKind.WAITING]), NoticeKind.WAITING, many, SENDER)
    assert (len(digest.lines), digest.more) == (MOST_LINES, 70)
    assert [each.text for each in digest.lines[:2]] == ["c0", "c1"]
    assert digest.text.startswith(f"{MOST_LINES + 70} requests for renewals wait for approval")
