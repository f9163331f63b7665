"""`clientcert status`: of certificates that a real operator has read, and of what it has not looked at."""

import json
from pathlib import Path

import pytest

from tests.control_plane.operators import OWN_CHANNEL, Operators
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.control_plane.waiting import eventually

ADDRESS = "jo.bloggs@nhs.example"


@pytest.fixture
def terminal(team: Team, tmp_path: Path) -> Terminal:
    return Terminal(team, tmp_path)


def facts(said: str) -> dict[str, str]:
    """The lines of the first part, by their names."""
    lines = [line.partition(":") for line in said.split("\n\n")[0].splitlines()]
    return {name: value.strip() for name, _, value in lines}


def test_everything_about_one(team: Team, terminal: Terminal, operators: Operators) -> None:
    """The last messages and the times of the next ones are there, and no address."""
    team.hand_out("nhs", days=20, contact={"technical": {"name": "Jo Bloggs", "email": ADDRESS}})
    with operators.running(team.namespace):
        eventually(lambda: len(team.notified("nhs", OWN_CHANNEL)), 1)
        eventually(lambda: "Expiring" in team.events("nhs"), True)
        eventually(lambda: bool(team.status("nhs").get("alerts", {}).get("lastSentTime")), True)
    said = terminal.succeeds("status", "nhs")
    print(said)
    found = facts(said)
    assert found["Certificate"] == f"nhs ({team.consumer('nhs')} in prod)"
    assert found["Status"].startswith(("ExpiringSoon, 20 days left: ", "ExpiringSoon, 19 days left: "))
    assert found["Serial number"] == team.status("nhs")["certificate"]["serialNumber"]
    assert found["Source"] == "key tls.crt of Secret nhs-cert"
    assert found["Contact"] == "technical contact"
    _, conditions, channels, events, advice = said.rstrip("\n").split("\n\n")
    assert [line.split()[:3] for line in conditions.splitlines()[1:]] == [["Expiring", "True", "ExpiringSoon"]]
    [told] = [line for line in channels.splitlines() if line.startswith("operator/slack")]
    assert "the operator's own Slack channel" in told
    assert " UTC, stage " in told
    assert told.endswith(" UTC")
    assert "Normal" in events or "Warning" in events
    assert advice == "Ask the contact to renew it, and put the renewed certificate into the source."
    assert ADDRESS not in said
    assert "Bloggs" not in said


def test_what_is_wrong_comes_with_what_to_do(team: Team, terminal: Terminal, operators: Operators) -> None:
    """The source first; then a channel that nobody can be told in."""
    team.declare("missing")
    team.hand_out("nhs", days=20, policyRef={"name": "no-such-policy"})
    with operators.running(team.namespace):
        eventually(lambda: team.condition("missing", "Ready")[0], "False")
        eventually(lambda: team.condition("nhs", "AlertsDelivered")[0], "False")
    said = terminal.succeeds("status", "missing")
    assert facts(said)["Status"] == "Missing"
    message = next(each["message"] for each in team.status("missing")["conditions"] if each["type"] == "Ready")
    assert said.rstrip("\n").split("\n\n")[-1] == f"{message[:1].upper()}{message[1:].rstrip('.')}."
    said = terminal.succeeds("status", "nhs")
    assert "no-such-policy" in said.rstrip("\n").split("\n\n")[-1]


def test_what_nobody_has_looked_at(team: Team, terminal: Terminal) -> None:
    team.declare("nhs")
    said = terminal.succeeds("status", "nhs")
    assert facts(said)["Status"] == "Pending"
    assert said.rstrip("\n").split("\n\n")[-1].startswith("The operator has not looked at it yet")


def test_other_forms(team: Team, terminal: Terminal) -> None:
    team.declare("nhs")
    assert terminal.succeeds("status", "nhs", "-o", "name") == "clientcertificate.clientcert.dev/nhs\n"
    assert json.loads(terminal.succeeds("status", "nhs", "-o", "json"))["metadata"]["name"] == "nhs"


def test_a_missing_one(terminal: Terminal) -> None:
    code, said = terminal.fails("status", "nhs")
    assert (code, said.startswith("Error: ClientCertificate nhs in namespace")) == (3, True)
