"""docs/cli.md: each call prints what the page shows, in its order, on the day of the page."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.docs.pages import blocks
from tests.scenarios import API_VERSION, client_certificate

PAGE = REPOSITORY / "docs/cli.md"
ON_THE_DAY = """
from datetime import UTC, datetime
from clientcert.cli import cli
cli(obj={"now": lambda: datetime(2026, 11, 22, 9, 0, tzinfo=UTC)})
"""
POLICY = {
    "apiVersion": API_VERSION,
    "kind": "CertificatePolicy",
    "metadata": {"name": "daily"},
    "spec": {
        "alerts": {
            "sendAt": {"time": "09:00", "timezone": "Europe/London"},
            "channels": [
                {
                    "name": "team",
                    "type": "Slack",
                    "slack": {
                        "channel": "#integration-api-alerts",
                        "tokenSecretRef": {"name": "slack", "key": "token"},
                    },
                },
                {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}, "repeat": {"everyDays": 7}},
                {
                    "name": "pager",
                    "type": "Webhook",
                    "webhook": {"urlSecretRef": {"name": "pager", "key": "url"}},
                    "startDaysBefore": 3,
                },
            ],
        },
        "contacts": {"directoryRef": {"name": "clients"}},
    },
}


@pytest.fixture
def terminal(team: Team, tmp_path: Path) -> Terminal:
    """Three certificates, of which an operator has read two, and the file of the page."""
    listed = {"policyRef": {"name": "daily"}, "contact": {"lookup": ["Directory"]}}
    team.apply(
        POLICY,
        client_certificate("nhs-prod", consumer="nhs", **listed),
        client_certificate("weather-prod", consumer="weather", **listed),
        client_certificate("court-lists-preprod", consumer="court-lists", environment="preprod"),
    )
    for name, serial, ends in (("nhs-prod", "1a2b3", "2026-11-25"), ("weather-prod", "1a2b4", "2026-12-20")):
        certificate = {
            "serialNumber": serial,
            "fingerprintSHA256": serial.zfill(64),
            "notBefore": "2025-11-22T12:00:00Z",
            "notAfter": f"{ends}T12:00:00Z",
        }
        path = team.path("ClientCertificate", name) + "/status"
        status = {"phase": "ExpiringSoon", "certificate": certificate}
        team.api.request("PATCH", path, {"status": status}, content_type="application/merge-patch+json")
    [file] = blocks(PAGE, "csv")
    (tmp_path / "clients.csv").write_text(file)
    return Terminal(team, tmp_path)


def test_the_page_shows_the_real_output(team: Team, terminal: Terminal) -> None:
    """Character by character, so that an outdated page fails."""
    for block in blocks(PAGE, "console"):
        first, _, printed = block.partition("\n")
        program, *arguments = shlex.split(first.removeprefix("$ "))
        assert program == "clientcert"
        ran = terminal.run([sys.executable, "-c", ON_THE_DAY, *arguments])
        assert (ran.stderr, ran.stdout.replace(team.namespace, "integration")) == ("", printed)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, terminal: Terminal) -> None:
    """The line for each shell gets a completion script for this program."""
    lines = [line for line in blocks(PAGE, "sh")[0].splitlines() if f"={shell}_source" in line]
    assert len(lines) == 1
    ran = subprocess.run(
        [Path(sys.executable).parent / "clientcert"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(terminal.directory), "_CLIENTCERT_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "clientcert" in ran.stdout
    assert ran.stdout.count("_CLIENTCERT_COMPLETE") >= 1
