"""From an assessment to conditions: their reasons, and messages that do not change with time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Assessment, Observation, Problem, accepted_certificate, unread
from clientcert.lifecycle.conditions import DeliveryProblem, conditions, without_contact
from clientcert.lifecycle.contacts import UNAVAILABLE, Recipient, Resolution, Role
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.recorded_status import CertificateStatus, Condition
from clientcert.lifecycle.spec import CertificateSpec, Silence
from tests.builders import DAY, HOUR, NOW, SECOND, assessment, certificate, declaration, evaluation, policy

MISSING = unread(Reason.SOURCE_NOT_FOUND, "there is no Secret nhs-client-cert: create it")
REFUSED = DeliveryProblem(Reason.TOKEN_REJECTED, "channel team: put a token there that is in force")


def summary(
    found: Assessment,
    *,
    declared: CertificateSpec | None = None,
    shortfall: DeliveryProblem | None = None,
    recorded: CertificateStatus = CertificateStatus(),  # noqa: B008 - it is frozen
) -> dict[str, tuple[str, str]]:
    return {
        each.type: (each.status, each.reason)
        for each in conditions(evaluation(found, policy(), recorded, spec=declared), shortfall)
    }


class TestEachOfThem:
    def test_all_is_well(self) -> None:
        """A valid certificate whose alerts are delivered."""
        assert summary(assessment(certificate())) == {
            "Ready": ("True", "Valid"),
            "SourceReadable": ("True", "Read"),
            "IdentityMatches": ("True", "Matches"),
            "Expiring": ("False", "Valid"),
            "AlertsDelivered": ("True", "Delivered"),
        }

    def test_before_the_first_reading(self) -> None:
        """All conditions are Unknown."""
        assert summary(assessment(None)) == {
            "Ready": ("Unknown", "Pending"),
            "SourceReadable": ("Unknown", "Pending"),
            "IdentityMatches": ("Unknown", "Unread"),
            "Expiring": ("Unknown", "Unread"),
            "AlertsDelivered": ("True", "Delivered"),
        }

    def test_expiring_soon_is_ready_and_expired_is_not(self) -> None:
        """A certificate that is still valid is Ready."""
        soon = summary(assessment(certificate(NOW + 5 * DAY)))
        assert (soon["Ready"], soon["Expiring"]) == (("True", "ExpiringSoon"), ("True", "ExpiringSoon"))
        expired = summary(assessment(certificate(NOW - SECOND)))
        assert (expired["Ready"], expired["Expiring"]) == (("False", "Expired"), ("True", "Expired"))

    def test_missing(self) -> None:
        """The reason is in Ready and SourceReadable; the identity is unknown."""
        recorded = CertificateStatus(accepted=accepted_certificate(certificate()))
        found = summary(assessment(MISSING, recorded=recorded))
        assert found["Ready"] == found["SourceReadable"] == ("False", "SourceNotFound")
        assert found["IdentityMatches"] == ("Unknown", "Unread")
        assert found["Expiring"] == ("False", "Valid")

    def test_of_another_consumer(self) -> None:
        """It can be read, but belongs to another consumer."""
        found = summary(assessment(certificate(common_name="acme")))
        assert found["Ready"] == found["IdentityMatches"] == ("False", "IdentityMismatch")
        assert found["SourceReadable"] == ("True", "Read")

    @pytest.mark.parametrize(("ends", "expected"), [(HOUR, ("True", "Silenced")), (-HOUR, ("False", "SilenceEnded"))])
    def test_silenced(self, ends: timedelta, expected: tuple[str, str]) -> None:
        """Only if spec.silence is set; it ends by itself."""
        silence = Silence(NOW + ends, "being decommissioned")
        assert summary(assessment(certificate()), declared=declaration(silence=silence))["Silenced"] == expected
        assert "Silenced" not in summary(assessment(certificate()))

    @pytest.mark.parametrize(
        ("said", "because", "expected", "words"),
        [
            (
                "abcdef",
                "a public key has come",
                ("True", "Acknowledged"),
                "nothing is escalated: a public key has come",
            ),
            ("abcdef", "", ("True", "Acknowledged"), "nothing is escalated: somebody sees to this certificate"),
            ("abcde0", "a public key has come", ("False", "OtherCertificate"), "so the escalation goes on"),
        ],
    )
    def test_acknowledged(self, said: str, because: str, expected: tuple[str, str], words: str) -> None:
        """Only if spec.acknowledgement is set; a wrong serial number is reported, and Ready is unchanged."""
        declared = declaration(acknowledged=said, acknowledged_because=because)
        seen = assessment(certificate(serial_number=0xABCDEF), declared=declared)
        found = {
            each.type: each for each in conditions(evaluation(seen, policy(), CertificateStatus(), spec=declared), None)
        }
        assert (found["Acknowledged"].status, found["Acknowledged"].reason) == expected
        assert words in found["Acknowledged"].message
        assert ("abcdef" in found["Acknowledged"].message) == (expected[0] == "False")
        assert found["Ready"].status == "True"
        assert "Acknowledged" not in summary(seen)
        assert summary(assessment(None), declared=declared)["Acknowledged"] == ("Unknown", "Unread")

    def test_undeliverable_alerts(self) -> None:
        """A certificate with undeliverable alerts is not Ready, unless there is a more severe problem."""
        assert summary(assessment(certificate()), shortfall=REFUSED)["Ready"] == ("False", "TokenRejected")
        assert summary(assessment(certificate(NOW - DAY)), shortfall=REFUSED)["Ready"] == ("False", "Expired")
        assert summary(assessment(MISSING), shortfall=REFUSED)["Ready"] == ("False", "SourceNotFound")


class TestWhatIsCarriedOver:
    def test_a_transition_is_dated_once(self) -> None:
        """lastTransitionTime is the last change of the status: not of the reason, and not the time of the last
        reconcile.
        """
        first = conditions(evaluation(assessment(certificate(NOW + 31 * DAY)), policy(), CertificateStatus()), None)
        later = conditions(
            evaluation(
                assessment(certificate(NOW + 31 * DAY), NOW + 2 * DAY), policy(), CertificateStatus(conditions=first)
            ),
            None,
        )
        dated = {each.type: each.last_transition for each in later}
        assert dated["Ready"] == NOW
        assert dated["Expiring"] == NOW + 2 * DAY

    def test_a_transient_failure_of_the_source(self) -> None:
        """A transient network failure changes no condition of the source."""
        seen = certificate()
        before = conditions(evaluation(assessment(seen), policy(), CertificateStatus()), None)
        recorded = CertificateStatus(accepted=accepted_certificate(seen), conditions=before)
        found = assessment(Observation(), NOW + HOUR, recorded=recorded)
        assert found.unread
        assert conditions(evaluation(found, policy(), recorded), None) == before

    @pytest.mark.parametrize("reason", ["TechnicalContact", "NoContact"])
    def test_a_transient_failure_of_the_contact_lookup(self, reason: str) -> None:
        """The condition is kept, unless it may be about another person: then it is Unknown."""
        resolution = Resolution(reason, "", (Recipient(Role.TECHNICAL, "jo@nhs.example"),) if reason[0] == "T" else ())
        seen = assessment(certificate())
        recorded = CertificateStatus(
            conditions=conditions(evaluation(seen, policy(), CertificateStatus(), contact=resolution), None)
        )
        before = recorded.condition("ContactResolved")
        assert before is not None
        assert before in conditions(evaluation(seen, policy(), recorded, contact=UNAVAILABLE), None)
        later = replace(seen, now=NOW + HOUR)
        other = {
            each.type: each
            for each in conditions(evaluation(later, policy(), without_contact(recorded), contact=UNAVAILABLE), None)
        }
        assert (other["ContactResolved"].status, other["ContactResolved"].reason) == ("Unknown", UNAVAILABLE.reason)
        again = {
            each.type: each
            for each in conditions(evaluation(later, policy(), without_contact(recorded), contact=resolution), None)
        }
        assert again["ContactResolved"] == before

    def test_no_message_changes_from_day_to_day(self) -> None:
        """No counters and no relative times: an unchanged object is written at most once a day."""
        seen = certificate(NOW + 29 * DAY)
        texts = {
            tuple(
                (each.reason, each.message)
                for each in conditions(
                    evaluation(assessment(seen, NOW + day * DAY), policy(), CertificateStatus()), None
                )
            )
            for day in range(29)
        }
        assert len(texts) == 1

    def test_a_condition_without_a_time(self) -> None:
        """A status that was written by hand may lack a time: the current time is used."""
        recorded = CertificateStatus(conditions=(Condition("Ready", "True", "Valid"),))
        (ready, *_) = conditions(evaluation(assessment(certificate()), policy(), recorded), None)
        assert ready.last_transition == NOW


def test_an_unusable_spec_is_reported() -> None:
    """The problem of the observation is the reason of Ready."""
    problem = Problem(Phase.INVALID, Reason.SPEC_INVALID, "correct spec.source")
    assert summary(assessment(Observation(problem=problem)))["Ready"] == ("False", "SpecInvalid")
