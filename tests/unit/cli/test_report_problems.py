"""The problems of a certificate in a report, and the next step."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from clientcert.cli.report_model import Entry, entry_of
from clientcert.cli.report_problems import SAID_BY_THE_DATE
from clientcert.lifecycle import conditions as lifecycle_conditions
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.standing import RENEWABLE, StandingReason
from clientcert.lifecycle.renewal.troubles import is_trouble
from clientcert.lifecycle.renewal.vetting import VETTED
from tests.unit.cli.report_objects import NOW, certificate, condition

LATER = NOW + timedelta(days=100)
TYPES = frozenset(
    {
        "Ready",
        "SourceReadable",
        "IdentityMatches",
        "Expiring",
        "Silenced",
        "Acknowledged",
        "ContactResolved",
        "AlertsDelivered",
        "Renewable",
        "Vetted",
    }
)
"""Of the conditions of a ClientCertificate."""


def entry(found: dict[str, Any], request: dict[str, Any] | None = None) -> Entry:
    return entry_of(found, request, NOW)


def kinds(found: Entry) -> list[str]:
    return [each.kind.value for each in found.problems]


@pytest.mark.parametrize(
    ("conditions", "ends", "expected"),
    [
        ((), LATER, []),
        ((condition("Expiring", "True", "ExpiringSoon"),), NOW + timedelta(days=20), []),
        ((), NOW + timedelta(days=7), []),
        ((), NOW + timedelta(days=7, seconds=-1), ["EndsSoon"]),
        ((), NOW, ["EndsSoon"]),
        ((), NOW - timedelta(seconds=1), ["Expired"]),
        ((condition("Ready", "False", "Expired"),), NOW - timedelta(days=3), ["Expired"]),
        (
            (condition("Ready", "False", "Expired"), condition("SourceReadable", "False", "KeyMissing")),
            NOW - timedelta(days=3),
            ["Expired", "SourceUnreadable"],
        ),
        (
            (
                condition("Ready", "False", "IdentityMismatch"),
                condition("IdentityMatches", "False", "IdentityMismatch"),
            ),
            LATER,
            ["IdentityMismatch"],
        ),
        ((condition("Ready", "False", "NotYetValid"),), LATER, ["NotReady"]),
        ((condition("AlertsDelivered", "False", "PolicyNotFound"),), LATER, ["AlertsUndelivered"]),
        ((condition("ContactResolved", "False", "ContactNotFound"),), LATER, ["ContactUnresolved"]),
        ((condition("ContactResolved", "Unknown", "Lookup"),), LATER, []),
        ((condition("Ready", "Unknown", "Pending"),), None, ["NotObserved"]),
        ((condition("Renewable", "False", "Revoked"),), LATER, ["Revoked"]),
        ((condition("Renewable", "False", "Refused"),), LATER, ["RenewalStuck"]),
        ((condition("Renewable", "True", "Denied"),), LATER, ["RenewalStuck"]),
        ((condition("Renewable", "False", "TooEarly"),), LATER, []),
        ((condition("Renewable", "False", "Expired"),), NOW - timedelta(days=3), ["Expired"]),
        ((condition("Vetted", "False", "VettingLapses"),), LATER, ["NotVetted"]),
        (
            (condition("Vetted", "False", "VettingRequired"), condition("Renewable", "False", "VettingRequired")),
            LATER,
            ["RenewalStuck"],
        ),
        ((condition("Acknowledged", "False", "OtherCertificate"),), LATER, ["OtherAcknowledged"]),
        ((condition("AlertsDelivered", "Unknown", "ObserveOnly"),), LATER, []),
    ],
)
def test_what_is_wrong(conditions: tuple[dict[str, str], ...], ends: datetime | None, expected: list[str]) -> None:
    """The worst first, and each once."""
    assert kinds(entry(certificate("nhs-prod", ends, *conditions, phase="Valid"))) == expected


@pytest.mark.parametrize("status", ["True", "False", "Unknown"])
@pytest.mark.parametrize("name", sorted(TYPES))
def test_what_a_metric_calls_trouble_is_a_problem(name: str, status: str) -> None:
    """With what to do. What is Unknown follows Ready, or the operator asks again; the end is said by the days left."""
    for reason in StandingReason:
        found = condition(name, status, reason)
        is_left_out = SAID_BY_THE_DATE & {(name, ""), (name, reason.value)} or (
            status == "Unknown" and name not in {"Ready", "Renewable"}
        )
        is_problem = is_trouble(Condition(name, status, reason)) and not is_left_out
        shown = entry(certificate("nhs-prod", LATER, found, phase="Valid"))
        assert bool(shown.problems) == is_problem, (name, status, reason)
        assert not is_problem or shown.next_step != "There is nothing to do.", (name, status, reason)


def test_every_type_of_condition_is_known() -> None:
    """Those that the operator writes are constants of its modules."""
    written = {value for name, value in vars(lifecycle_conditions).items() if name.isupper() and isinstance(value, str)}
    assert written | {RENEWABLE, VETTED} == TYPES


def test_the_end_of_another_certificate_in_the_file() -> None:
    """It is named, and the contact is not asked for what does not help."""
    found = certificate("nhs-prod", NOW + timedelta(days=3), phase="Valid")
    found["status"]["certificate"] |= {"subjectDN": "CN=nhs", "fingerprintSHA256": "a" * 64}
    found["status"]["expires"] |= {"subjectDN": "CN=Sub CA", "serialNumber": "1", "fingerprintSHA256": "b" * 64}
    assert entry(found).ends_first == "CN=Sub CA"
    words = (
        "Its issuing certificate Sub CA, in the same file, ends first: put the new one there, and send it to the"
        " consumer."
    )
    assert entry(found).next_step == words
    found["status"]["conditions"].append(condition("Renewable", "True", "Renewable"))
    assert entry(found).next_step == f"{words} It can be renewed: `clientcert renew nhs-prod` asks for it."
    found["status"]["expires"]["fingerprintSHA256"] = "a" * 64
    assert entry(found).ends_first == ""
    assert entry(found).next_step == "It can be renewed: `clientcert renew nhs-prod` asks for it."


def test_a_next_step_names_the_namespace_among_several() -> None:
    found = certificate("nhs-prod", NOW, condition("Renewable", "True", "Renewable"), phase="ExpiringSoon")
    assert "`clientcert renew nhs-prod -n integration`" in entry_of(found, None, NOW, everywhere=True).next_step
    request = {"metadata": {"name": "nhs-1"}, "status": {"state": "AwaitingApproval"}, "spec": {}}
    step = entry_of(found, request, NOW, everywhere=True).next_step
    assert "`clientcert approve nhs-1 -n integration` or `clientcert deny nhs-1 -n integration`" in step


def test_a_near_end_is_not_hidden_by_another_problem() -> None:
    untold = condition("AlertsDelivered", "False", "ChannelNotFound", "create the channel")
    found = entry(certificate("nhs-prod", NOW + timedelta(days=6), untold, phase="Valid"))
    assert found.next_step.startswith("Ask the contact to renew it")
    assert found.next_step.endswith("Create the channel.")


def test_the_name_of_a_request_keeps_its_letters() -> None:
    refused = condition("Renewable", "False", "Refused", "nhs-1 was refused: its status says what to do")
    found = entry(certificate("nhs-prod", LATER, refused, phase="Valid"))
    assert found.next_step == "Request nhs-1 was refused: its status says what to do."


@pytest.mark.parametrize("missing", [{}, {"message": None, "reason": None}, {"message": ""}])
@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_condition_may_lack_fields(name: str, missing: dict[str, Any]) -> None:
    found = certificate("nhs-prod", LATER, {"type": name, "status": "False", **missing}, phase="Valid")
    step = entry(found).next_step
    assert step.endswith(".")
    assert len(step) > 10
    assert "None" not in step
    found["status"]["conditions"] = [{"type": name, **missing}, {"status": "False"}]
    assert entry(found).next_step


def test_an_odd_status() -> None:
    for expires in ({"time": 5}, {"time": ["x"]}, {"time": "soon"}, None):
        found = certificate("nhs-prod", LATER, phase="Valid")
        found["status"]["expires"] = expires
        assert (entry(found).status, entry(found).days) == ("Valid", None)


@pytest.mark.parametrize(("reason", "expected"), [("InvalidValidity", "Invalid"), ("IdentityMismatch", "Expired")])
def test_what_was_never_valid_has_not_expired(reason: str, expected: str) -> None:
    ready = condition("Ready", "False", reason)
    assert entry(certificate("nhs-prod", NOW - timedelta(days=3), ready, phase="Invalid")).status == expected


def test_what_the_operator_has_not_looked_at() -> None:
    found = entry(certificate("nhs-prod", None))
    assert (found.status, found.days, kinds(found)) == ("Pending", None, ["NotObserved"])
    assert found.next_step.startswith("The operator has not looked at it yet")


def test_the_end_counts_even_if_the_operator_is_away() -> None:
    """Its status still says that the certificate is valid."""
    found = entry(certificate("nhs-prod", NOW - timedelta(hours=1), phase="Valid"))
    assert (found.status, found.days, kinds(found)) == ("Expired", -1, ["Expired"])
    assert found.next_step == "Ask the contact to renew it, and put the renewed certificate into the source."


def test_an_open_request_is_the_next_step() -> None:
    request = {"metadata": {"name": "nhs-1"}, "status": {"state": "AwaitingApproval"}, "spec": {}}
    found = entry(certificate("nhs-prod", NOW, phase="ExpiringSoon"), request)
    assert "`clientcert approve nhs-1`" in found.next_step
