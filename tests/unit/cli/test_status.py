"""The next thing to do, and the facts of `clientcert status`, for statuses of each kind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clientcert.cli.next_step import what_to_do
from clientcert.cli.status import Standing, lines_of

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
FOUND = {
    "metadata": {"name": "nhs-prod", "namespace": "team"},
    "spec": {
        "consumer": "nhs",
        "environment": "prod",
        "source": {"type": "Secret", "secret": {"name": "nhs-cert"}},
        "policyRef": {"name": "daily"},
    },
}


def conditions(**given: tuple[str, str]) -> list[dict[str, str]]:
    """By type: status and reason; the message is `about`, the type and the reason."""
    usual = {"Ready": ("True", "Valid"), "Expiring": ("True", "ExpiringSoon"), "AlertsDelivered": ("True", "Delivered")}
    return [
        {"type": name, "status": status, "reason": reason, "message": f"about {name} {reason}"}
        for name, (status, reason) in (usual | given).items()
    ]


def standing(status: dict[str, Any], **spec: Any) -> Standing:
    """The facts that are known if the policy may not be read."""
    found = {**FOUND, "spec": FOUND["spec"] | spec, "status": status}
    return Standing(NOW, found, None, {}, None, None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "Ask the contact to renew it, and put the renewed certificate into the source."),
        ({"Expiring": ("False", "Valid")}, "There is nothing to do."),
        ({"Ready": ("False", "Expired")}, "About Ready Expired."),
        ({"Ready": ("Unknown", "Pending")}, "The operator has not looked at it yet"),
        ({"AlertsDelivered": ("False", "PolicyNotFound")}, "About AlertsDelivered PolicyNotFound."),
        ({"ContactResolved": ("False", "ContactNotFound")}, "About ContactResolved ContactNotFound."),
        ({"Renewable": ("False", "NotConfigured")}, "Ask the contact to renew it"),
        ({"Renewable": ("False", "HostCertificate")}, "Ask the contact to renew it"),
        ({"Renewable": ("True", "Renewable")}, "It can be renewed: `clientcert renew nhs-prod` asks for it."),
        ({"Renewable": ("False", "VettingRequired")}, "About Renewable VettingRequired."),
        ({"Renewable": ("True", "Renewed")}, "About Renewable Renewed."),
        ({"Renewable": ("False", "Revoked"), "Expiring": ("False", "Valid")}, "About Renewable Revoked."),
        ({"Renewable": ("False", "TooEarly"), "Expiring": ("False", "Valid")}, "There is nothing to do."),
    ],
)
def test_what_to_do(given: dict[str, tuple[str, str]], expected: str) -> None:
    assert what_to_do(FOUND | {"status": {"conditions": conditions(**given)}}, None, NOW).startswith(expected)


def test_what_nobody_has_looked_at() -> None:
    assert what_to_do(FOUND, None, NOW).startswith("The operator has not looked at it yet")


def test_what_waits_for_its_status_after_a_restore() -> None:
    """It says until when, and what helps; afterwards the operator has to look at it."""
    created = {"creationTimestamp": "2026-11-22T08:50:00Z", "annotations": {"clientcert.dev/restored": "then"}}
    held = FOUND | {"metadata": FOUND["metadata"] | created}
    said = what_to_do(held, None, NOW)
    assert said.startswith("It was restored, and its status is awaited: nothing is sent about it before, until")
    assert "2026-11-22 09:20" in said
    assert what_to_do(held, None, NOW + timedelta(minutes=20)).startswith("The operator has not looked at it yet")


def test_an_open_request_comes_first() -> None:
    """Also after expiry: somebody has to decide."""
    request = {"metadata": {"name": "nhs-1"}, "status": {"state": "AwaitingApproval"}, "spec": {}}
    found = FOUND | {"status": {"conditions": conditions(Ready=("False", "Expired"))}}
    assert "`clientcert approve nhs-1`" in what_to_do(found, request, NOW)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ("2026-11-22T09:00:01Z", "ExpiringSoon, less than a day left: 2026-11-22 09:00 UTC"),
        ("2026-11-23T10:00:00Z", "ExpiringSoon, 1 day left: 2026-11-23 10:00 UTC"),
        ("2026-11-25T12:00:00Z", "ExpiringSoon, 3 days left: 2026-11-25 12:00 UTC"),
        ("2026-11-22T08:59:00Z", "ExpiringSoon, expired less than a day ago: 2026-11-22 08:59 UTC"),
        ("2026-11-20T08:59:00Z", "ExpiringSoon, expired 2 days ago: 2026-11-20 08:59 UTC"),
        ("9999-12-31T23:59:59-05:00", "ExpiringSoon"),
    ],
)
def test_the_days_left(ends: str, expected: str) -> None:
    known = standing({"phase": "ExpiringSoon", "expires": {"time": ends}, "conditions": conditions()})
    assert f"Status:       {expected}" in [*lines_of(known)]


def test_every_fact_of_a_full_status() -> None:
    certificate = {
        "subjectDN": "CN=nhs",
        "issuerDN": "CN=CA",
        "serialNumber": "01",
        "fingerprintSHA256": "a" * 64,
        "warnings": ["its key is short"],
    }
    status = {
        "phase": "Valid",
        "certificate": certificate,
        "expires": {
            "time": "2026-12-22T09:00:00Z",
            "subjectDN": "CN=Sub CA",
            "serialNumber": "01",
            "fingerprintSHA256": "b" * 64,
        },
        "alerts": {
            "channels": [
                {"name": "team", "stage": 30, "lastSentTime": "2026-11-22T08:00:00Z"},
                {"name": "pager", "lastFailureTime": "2026-11-22T08:30:00Z", "lastSentTime": "2026-11-21T08:00:00Z"},
                {"name": "new"},
            ]
        },
        "renewal": {"reason": "TooEarly", "message": "the window has not opened"},
        "history": [{"serialNumber": "00", "replacedTime": "2025-11-22T09:00:00Z"}],
        "conditions": conditions(Ready=("False", "\x1b[2J")),
    }
    known = standing(
        status,
        owner="integration",
        silence={"until": "2026-12-24T00:00:00Z", "reason": "moving\x1b[2J"},
        acknowledgement={"serialNumber": "01", "reason": "in progress"},
    )
    said = "\n".join(lines_of(known))
    for expected in (
        "Certificate:    nhs-prod (nhs in prod)",
        "Serial number:  01",
        "Ends first:     CN=Sub CA, in the same file",
        "Warning:        its key is short",
        "Source:         key tls.crt of Secret nhs-cert",
        "Owner:          integration",
        "Policy:         daily, which you may not read",
        "Silenced:       until 2026-12-24 00:00 UTC: moving\\x1b[2J",
        "Acknowledged:   serial number 01: in progress",
        "Renewal:        TooEarly: the window has not opened",
        "Before:         00, replaced 2025-11-22 09:00 UTC",
        "team     ?   2026-11-22 08:00 UTC, stage 30",
        "pager    ?   2026-11-21 08:00 UTC; failing since 2026-11-22 08:30 UTC",
        "new      ?   never",
    ):
        assert expected in said
    assert said.replace("\n", "").isprintable()
