"""docs/cli.md: each call prints what the page shows, in its order, on the day of the page."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from clientcert import __version__
from clientcert.versions import VERSION_KEY
from tests.conftest import REPOSITORY
from tests.control_plane.operators import LEASE, forget_leader
from tests.control_plane.renewal_people import People
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.docs.pages import blocks
from tests.scenarios import API_VERSION, client_certificate
from tests.unit.cli.renewal_objects import CSR
from tools.certificates import CertificateAuthority

PAGE = REPOSITORY / "docs/cli.md"
ON_THE_DAY = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ISSUER = "CN=Integration CA,O=Example"
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
def led(team: Team) -> Iterator[None]:
    """A Lease as a leader of this version leaves it."""
    forget_leader(team.control_plane)
    name = LEASE.rpartition("/")[2]
    lease = {
        "metadata": {"name": name, "annotations": {VERSION_KEY: __version__}},
        "spec": {"holderIdentity": "clientcert-operator-6f7c9-2b41d0e8", "leaseDurationSeconds": 30},
    }
    team.api.request("POST", LEASE.rpartition("/")[0], lease)
    yield
    forget_leader(team.control_plane)


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
            "subjectDN": f"CN={name.removesuffix('-prod')},O=NHS Digital,C=GB",
            "serialNumber": serial,
            "issuerDN": ISSUER,
            "fingerprintSHA256": serial.zfill(64),
            "notBefore": "2025-11-22T12:00:00Z",
            "notAfter": f"{ends}T12:00:00Z",
        }
        path = team.path("ClientCertificate", name) + "/status"
        before = {"serialNumber": "1a2b2", "issuerDN": ISSUER, "notAfter": "2026-12-01T12:00:00Z"}
        history = [before | {"replacedTime": "2025-11-23T09:00:00Z"}]
        days = (date.fromisoformat(ends) - ON_THE_DAY.date()).days
        status = {"phase": "ExpiringSoon", "daysRemaining": days, "certificate": certificate, "history": history}
        named = ("subjectDN", "serialNumber", "fingerprintSHA256")
        status["expires"] = {"time": certificate["notAfter"], **{each: certificate[each] for each in named}}
        status["conditions"] = conditions_of(name)
        team.api.request("PATCH", path, {"status": status}, content_type="application/merge-patch+json")
    [file] = blocks(PAGE, "csv")
    (tmp_path / "clients.csv").write_text(file)
    (tmp_path / "nhs.csr").write_text(CSR)
    for name, content in backup_of(team.authority).items():
        (tmp_path / "backup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "backup" / name).write_bytes(content)
    return Terminal(team, tmp_path)


def backup_of(authority: CertificateAuthority) -> dict[str, bytes]:
    """The files that the page imports."""
    begins, ends = datetime(2026, 6, 10, 7, tzinfo=UTC), datetime(2027, 6, 10, 7, tzinfo=UTC)
    legal_aid, parole, tribunals = (
        authority.issue(name, begins, ends) for name in ("legal-aid-test", "parole", "tribunals")
    )
    return {
        "legal-aid/client.csr": legal_aid.csr_pem(),
        "legal-aid/client.pem": legal_aid.certificate_pem,
        "parole/client.p12": parole.pkcs12("a password"),
        "tribunals/client.pem": tribunals.certificate_pem,
    }


def conditions_of(name: str) -> list[dict[str, str]]:
    """As the operator writes them; of one certificate a channel could not be told."""
    since = {"lastTransitionTime": "2026-11-22T08:00:00Z"}
    soon = {"type": "Expiring", "status": "True", "reason": "ExpiringSoon", "message": "notAfter is near"}
    told = {"type": "AlertsDelivered", "status": "True", "reason": "Delivered", "message": "every alert was sent"}
    if name == "nhs-prod":
        missing = "channel team: there is no Slack channel #integration-api-alerts: create it, or correct the policy"
        told |= {"status": "False", "reason": "ChannelNotFound", "message": missing}
    return [soon | since, told | since]


def go_on(people: People) -> None:
    """The result of each request after a call of the page."""
    for found in people.team.items("CertificateRenewal"):
        name, state = found["metadata"]["name"], (found.get("status") or {}).get("state")
        if state is None:
            checks = {"SourceReadable": "the source was read", "WindowOpen": "it may be renewed since 2026-05-25"}
            passed = [{"name": each, "passed": True, "message": message} for each, message in checks.items()]
            people.check(name, checks=passed)
        elif state == "AwaitingApproval" and found["spec"].get("approval"):
            issued = people.team.issue("nhs", days=395).chain_pem.decode()
            issuance = {"serialNumber": "1a2c0", "notAfter": "2027-12-22T09:00:00Z", "requestHash": "", "request": ""}
            left = {"type": "Delivered", "status": "False", "reason": "LeftForRetrieval", "message": "it waits"}
            people.record(
                name, "Issued", waitsFor="hand-over", certificate=issued, issuance=issuance, conditions=[left]
            )


@pytest.mark.usefixtures("led")
def test_the_page_shows_the_real_output(team: Team, terminal: Terminal) -> None:
    """Character by character, so that an outdated page fails."""
    people = People(team, terminal.directory)
    calls = [block for block in blocks(PAGE, "console") if block.startswith("$ ")]
    assert len(calls) > 10
    for block in calls:
        first, _, printed = block.partition("\n")
        program, *arguments = shlex.split(first.removeprefix("$ "))
        assert program == "clientcert"
        ran = terminal.clientcert(*arguments, now=ON_THE_DAY)
        assert (ran.stderr, ran.stdout.replace(team.namespace, "integration")) == ("", printed)
        go_on(people)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, terminal: Terminal) -> None:
    """The line for each shell gets a completion script for this program."""
    lines = [line for block in blocks(PAGE, "sh") for line in block.splitlines() if f"={shell}_source" in line]
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
