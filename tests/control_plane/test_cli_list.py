"""`clientcert list`: against a real API server, with statuses as the operator writes them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.scenarios import client_certificate

PAGE = 500
HEADINGS = ["NAME", "CONSUMER", "ENVIRONMENT", "STATUS", "DAYS", "LEFT", "EXPIRES", "ALERTS"]


def status(phase: str, days: int, expires: str, alerts: str = "Delivered") -> dict[str, Any]:
    delivered = {
        "type": "AlertsDelivered",
        "status": "True" if alerts == "Delivered" else "False",
        "reason": alerts,
        "message": "words",
        "lastTransitionTime": "2026-11-22T09:00:00Z",
    }
    return {"phase": phase, "daysRemaining": days, "expires": {"time": expires}, "conditions": [delivered]}


def write(team: Team, name: str, content: dict[str, Any]) -> None:
    path = team.path("ClientCertificate", name) + "/status"
    team.api.request("PATCH", path, {"status": content}, content_type="application/merge-patch+json")


@pytest.fixture
def terminal(team: Team, tmp_path: Path) -> Terminal:
    """Four certificates: one valid, one about to expire, one of which nobody could be told, and one never read."""
    silence = {"until": "2099-12-24T00:00:00Z", "reason": "moving"}
    team.apply(
        client_certificate("a-valid", consumer="nhs", owner="web"),
        client_certificate("b-soon", consumer="nhs", owner="integration", silence=silence),
        client_certificate("c-untold", consumer="weather", environment="preprod"),
        client_certificate("d-new", consumer="tribunals"),
    )
    write(team, "a-valid", status("Valid", 300, "2099-09-18T07:25:09Z"))
    write(team, "b-soon", status("ExpiringSoon", 5, "2026-11-27T07:25:09Z"))
    write(team, "c-untold", status("Expired", -3, "2026-11-19T07:25:09Z", "PolicyNotFound"))
    return Terminal(team, tmp_path)


def names(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()[1:]]


def test_the_columns(terminal: Terminal) -> None:
    first, *rows = terminal.succeeds("list").splitlines()
    assert first.split() == HEADINGS
    assert [row.split() for row in rows] == [
        ["a-valid", "nhs", "prod", "Valid", "300", "#" * 10, "2099-09-18T07:25:09Z", "Delivered"],
        ["b-soon", "nhs", "prod", "ExpiringSoon", "5", "#", "2026-11-27T07:25:09Z", "silenced", "until", "2099-12-24"],
        ["c-untold", "weather", "preprod", "Expired", "-3", "2026-11-19T07:25:09Z", "PolicyNotFound"],
        ["d-new", "tribunals", "prod", "Pending"],
    ]
    assert {row.find("20") for row in rows if "T07" in row} == {first.find("EXPIRES")}


def test_wide(terminal: Terminal) -> None:
    first, row, *_ = terminal.succeeds("list", "-o", "wide").splitlines()
    assert first.split() == [*HEADINGS, "OWNER", "SOURCE", "SERIAL", "RENEWAL"]
    assert row.split()[-2:] == ["web", "Secret"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--owner", "web"), ["a-valid"]),
        (("--phase", "expired"), ["c-untold"]),
        (("--phase", "Pending"), ["d-new"]),
        (("--expiring-in", "9999w"), ["a-valid", "b-soon", "c-untold"]),
        (("--expiring-in", "9999d"), ["b-soon", "c-untold"]),
        (("--expiring-in", "9999d", "--owner", "integration"), ["b-soon"]),
        (("--selector", "environment=preprod"), ["c-untold"]),
    ],
)
def test_filters_are_the_same_in_each_form(
    team: Team, terminal: Terminal, options: tuple[str, ...], expected: list[str]
) -> None:
    labels = {"metadata": {"labels": {"environment": "preprod"}}}
    path = team.path("ClientCertificate", "c-untold")
    team.api.request("PATCH", path, labels, content_type="application/merge-patch+json")
    assert names(terminal.succeeds("list", *options)) == expected
    named = terminal.succeeds("list", *options, "-o", "name").splitlines()
    assert named == [f"clientcertificate.clientcert.dev/{each}" for each in expected]
    as_json = [json.loads(line) for line in terminal.succeeds("list", *options, "-o", "json").splitlines()]
    assert [each["metadata"]["name"] for each in as_json] == expected
    as_yaml = list(yaml.safe_load_all(terminal.succeeds("list", *options, "-o", "yaml")))
    assert as_yaml == as_json


def test_every_namespace(team: Team, terminal: Terminal) -> None:
    first, *rows = terminal.succeeds("list", "-A").splitlines()
    assert first.split() == ["NAMESPACE", *HEADINGS]
    own = [row.split()[1] for row in rows if row.split()[0] == team.namespace]
    assert own == ["a-valid", "b-soon", "c-untold", "d-new"]
    assert terminal.clientcert("list", "-A", "-n", "team").returncode == 2


@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml", "name"])
def test_nothing_is_the_answer_no(team: Team, terminal: Terminal, output: str) -> None:
    words = f"Error: no ClientCertificate matches in namespace {team.namespace}"
    assert terminal.fails("list", "--owner", "nobody", "-o", output) == (3, words)
    words = "Error: there is no ClientCertificate in namespace nowhere"
    assert terminal.fails("list", "-n", "nowhere", "-o", output) == (3, words)


def test_more_than_one_page(team: Team, tmp_path: Path) -> None:
    """The first page decides how wide the columns are."""
    count = PAGE + 3
    for number in range(count):
        name = f"c{number:03}" if number < PAGE else f"d-with-a-long-name-{number}"
        team.api.request("POST", team.path("ClientCertificate"), client_certificate(name))
    terminal = Terminal(team, tmp_path)
    first, *rows = terminal.succeeds("list").splitlines()
    assert len({row.split()[0] for row in rows}) == len(rows) == count
    assert first.startswith("NAME  CONSUMER")
    assert rows[-1].startswith(f"d-with-a-long-name-{count - 1}  d-with")
