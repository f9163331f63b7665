"""A moment is no alarm, and a new problem is told at once, on a real API server (design section 4, rule 15)."""

import time
from datetime import timedelta

import pytest

from tests.control_plane.operators import Operators
from tests.control_plane.sentences import expiring
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, secret
from tools.certificates import CertificateAuthority

MINUTE = timedelta(minutes=1)
GONE = "Secret team/nhs-cert does not exist: create it, or correct the reference"


def last_known(team: Team, days: int) -> str:
    return f"the last known one expires on {team.began + timedelta(days=days):%Y-%m-%d}"


@pytest.mark.parametrize("seconds", [0.2, 3.0])
def test_a_short_gap(team: Team, operators: Operators, seconds: float) -> None:
    """A Secret that is deleted and created again: no message, and the status has the gap if it was seen."""
    issued = team.hand_out("nhs", days=100)
    with operators.running(team.namespace) as operator:
        eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
        team.delete("Secret", "nhs-cert")
        if seconds >= 1:
            eventually(lambda: team.condition("nhs", "Ready"), ("False", "SourceNotFound"))
            assert team.phase("nhs") == "Missing"
        time.sleep(seconds)
        team.put("nhs", issued)
        operator.settle()
        eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
        assert ("endTime" in (team.status("nhs")["source"].get("gap") or {})) or seconds < 1
    with operators.running(team.namespace, later=5 * MINUTE) as operator:
        operator.settle()
    assert team.notified("nhs") == []


@pytest.mark.parametrize("emptied", [False, True])
def test_a_gap_of_three_minutes(team: Team, operators: Operators, emptied: bool) -> None:
    """It is told when the grace is over, once, whatever operator runs then; missing and empty are one gap."""
    issued = team.hand_out("nhs", days=100)
    with operators.running(team.namespace):
        eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
        team.delete("Secret", "nhs-cert")
        eventually(lambda: team.condition("nhs", "Ready"), ("False", "SourceNotFound"))
    if emptied:
        team.apply(secret("nhs-cert", tls_crt=b""))
    with operators.running(team.namespace, later=MINUTE) as operator:
        operator.settle()
        eventually(lambda: team.condition("nhs", "Ready"), ("False", "Empty" if emptied else "SourceNotFound"))
    assert team.notified("nhs") == []
    if emptied:
        team.delete("Secret", "nhs-cert")
    with operators.running(team.namespace, later=2.5 * MINUTE) as operator:
        operator.settle()
        text = f"The certificate for nhs in prod is missing: {GONE}; {last_known(team, 100)}"
        eventually(lambda: team.notified("nhs"), [text])
    with operators.running(team.namespace, later=3 * MINUTE) as operator:
        operator.settle()
        team.put("nhs", issued)
        eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
        operator.settle()
    assert len(team.notified("nhs")) == 1


def test_a_problem_inside_the_alert_window(team: Team, operators: Operators) -> None:
    """Today's alert was sent, and weekdays only: the deleted Secret is told at once all the same, and once."""
    team.apply(certificate_policy("weekdays", sendAt={"time": "09:00", "weekdaysOnly": True}, sourceGrace="0s"))
    team.hand_out("nhs", days=20, policyRef={"name": "weekdays"})
    with operators.running(team.namespace) as operator:
        until(lambda: team.notified("nhs"))
        operator.settle()
        said = team.notified("nhs")
        assert len(said) == 1
        assert said[0].startswith(expiring("nhs", 20)[:60])
        team.delete("Secret", "nhs-cert")
        text = f"The certificate for nhs in prod is missing: {GONE}; {last_known(team, 20)}"
        eventually(lambda: team.notified("nhs"), [*said, text])
        team.put("nhs", b"<html>404</html>")
        eventually(lambda: len(team.notified("nhs")), 3)
    before = team.versions()
    with operators.running(team.namespace) as operator:
        operator.settle()
    assert team.versions() == before
    assert len(team.notified("nhs")) == 3
    assert [each["reason"] for each in team.channel("nhs", "operator/slack")["problems"]] == [
        "SourceNotFound",
        "NotACertificate",
    ]


def test_a_temporary_certificate(team: Team, operators: Operators) -> None:
    """cert-manager's placeholder is no replacement and no alarm; the real one is accepted."""
    old = team.hand_out("nhs", days=100)
    throwaway = CertificateAuthority.create("cert-manager.local")
    began, ends = team.began - timedelta(hours=1), team.began + timedelta(days=90)
    with operators.running(team.namespace) as operator:
        eventually(lambda: team.condition("nhs", "Ready"), ("True", "Valid"))
        team.put("nhs", throwaway.issue(team.consumer("nhs"), began, ends, serial_number=0x1234567890))
        eventually(lambda: team.condition("nhs", "IdentityMatches"), ("False", "TemporaryCertificate"))
        assert team.serial("nhs") == old.serial_number_hex
        new = team.renew("nhs", days=365)
        eventually(lambda: team.serial("nhs"), new.serial_number_hex)
        operator.settle()
    assert team.notified("nhs") == []
