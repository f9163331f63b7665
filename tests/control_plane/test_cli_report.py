"""`clientcert report`: against a real API server, with statuses as the operator writes them."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.control_plane.renewal_people import People
from tests.control_plane.team import Team
from tests.control_plane.test_canary import Canaries
from tests.control_plane.test_cli import Terminal
from tests.deploy.people import wait_until_allowed
from tests.scenarios import client_certificate, secret
from tests.unit.cli.renewal_objects import CSR

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
ADDRESS = "canary.jo@nhs.example"
CONTACT = {"technical": {"name": "Jo Bloggs", "email": ADDRESS}, "slack": {"email": ADDRESS}}
FORMS = ("html", "csv", "json")
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


def status(phase: str, ends: str, **reasons: str) -> dict[str, Any]:
    """With the conditions that are False, by their reasons."""
    usual = {"Ready": phase, "AlertsDelivered": "Delivered"}
    conditions = [
        {
            "type": name,
            "status": "False" if name in reasons else "True",
            "reason": reason,
            "message": f"words about {name}",
            "lastTransitionTime": "2026-11-22T08:00:00Z",
        }
        for name, reason in (usual | reasons).items()
    ]
    return {"phase": phase, "expires": {"time": ends}, "conditions": conditions}


@pytest.fixture(scope="module")
def canaries(lasting_team: Team) -> Canaries:
    return Canaries(lasting_team.issue("nhs", days=20))


@pytest.fixture(scope="module")
def terminal(lasting_team: Team, canaries: Canaries, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Four certificates: one with an open request, one that is silenced, one that is valid, and one never read.

    The address and the key are where people put them.
    """
    team, directory = lasting_team, tmp_path_factory.mktemp("report")
    people, terminal = People(team, directory), Terminal(team, directory)
    team.apply(secret("nhs-cert", tls_crt=canaries.issued.certificate_pem, tls_key=canaries.key_pem))
    people.declare("nhs", **status("ExpiringSoon", "2026-11-25T09:00:00Z"))
    with_key = {"metadata": {"annotations": {"note": canaries.key_pem}}, "spec": {"contact": CONTACT, "owner": "web"}}
    change(team, "nhs", with_key)
    team.apply(client_certificate("courts", environment="preprod"), client_certificate("new", contact=CONTACT))
    team.apply(client_certificate("weather", contact={"lookup": ["Directory"]}))
    change(team, "courts", status("Expired", "2026-11-19T09:00:00Z", Ready="Expired"), "status")
    change(team, "weather", status("Valid", "2027-11-19T09:00:00Z", AlertsDelivered="ChannelNotFound"), "status")
    change(team, "weather", {"metadata": {"labels": {"part": "weather"}}})
    terminal.succeeds("silence", "courts", "--until", "2099-12-24T00:00:00Z", "--reason", f"ask {ADDRESS}")
    (directory / "nhs.csr").write_text(CSR)
    terminal.succeeds("renew", "nhs", "--csr", "nhs.csr")
    [asked] = team.items("CertificateRenewal")
    people.check(asked["metadata"]["name"], ADDRESS)
    reference = {"name": asked["metadata"]["name"], "uid": asked["metadata"]["uid"]}
    change(team, "nhs", {"renewal": {"requestRef": reference}}, "status")
    return terminal


def change(team: Team, name: str, patch: dict[str, Any], part: str = "") -> None:
    path = team.path("ClientCertificate", name) + ("/status" if part else "")
    content = {part: patch} if part else patch
    team.api.request("PATCH", path, content, content_type="application/merge-patch+json")


def report(terminal: Terminal, *arguments: str) -> str:
    ran = terminal.clientcert("report", *arguments, now=NOW)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def document(terminal: Terminal, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report(terminal, "-o", "json", *arguments))
    return found


def test_what_is_reported(lasting_team: Team, terminal: Terminal) -> None:
    """By the days left; the next step of an open request is that of its certificate."""
    found = document(terminal)
    assert found["namespace"] == lasting_team.namespace
    by_name = {each["name"]: each for each in found["certificates"]}
    assert list(by_name) == ["courts", "nhs", "weather", "new"]
    assert [each["days"] for each in by_name.values()] == [-3, 3, 362, None]
    assert {name: [each["kind"] for each in found["problems"]] for name, found in by_name.items()} == {
        "courts": ["Expired"],
        "nhs": ["EndsSoon"],
        "weather": ["AlertsUndelivered"],
        "new": ["NotObserved"],
    }
    [request] = lasting_team.items("CertificateRenewal")
    assert f"`clientcert approve {request['metadata']['name']}`" in by_name["nhs"]["nextStep"]
    assert by_name["weather"]["nextStep"] == "Words about AlertsDelivered."
    assert by_name["courts"]["silenced"] == {
        "until": "2099-12-24T00:00:00Z",
        "reason": "ask [address]",
        "by": "clientcert",
    }


def test_the_page(terminal: Terminal) -> None:
    """In a file, which is replaced; nothing is printed."""
    assert report(terminal, "--output-file", "report.html", "--title", "Cluster <one>") == ""
    page = (terminal.directory / "report.html").read_text()
    assert "<h1>Cluster &lt;one&gt;</h1>" in page
    assert "3 of 4 certificates need attention. The next to end is nhs (nhs in prod), in 3 days." in page
    report(terminal, "--output-file", "report.html", "-o", "csv")
    assert (terminal.directory / "report.html").read_text().startswith("namespace,name,")


def test_the_lines(terminal: Terminal) -> None:
    rows = [*csv.DictReader(io.StringIO(report(terminal, "-o", "csv")))]
    assert [(each["name"], each["status"], each["days"]) for each in rows] == [
        ("courts", "Expired", "-3"),
        ("nhs", "ExpiringSoon", "3"),
        ("weather", "Valid", "362"),
        ("new", "Pending", ""),
    ]
    assert [each["contacts"] for each in rows][1:3] == ["Jo Bloggs (technical contact); Slack user", "client list"]


@pytest.mark.parametrize("form", FORMS)
def test_no_key_and_no_address(terminal: Terminal, canaries: Canaries, form: str) -> None:
    """The address is there only if it is asked for, the key never."""
    without, with_them = report(terminal, "-o", form), report(terminal, "-o", form, "--contacts")
    assert "canary" not in without
    assert ADDRESS in with_them
    assert {piece for piece in canaries.pieces() if piece in without + with_them} == set()


def test_selections(lasting_team: Team, terminal: Terminal) -> None:
    found = document(terminal, "-l", "part=weather")
    assert ([each["name"] for each in found["certificates"]], found["selector"]) == (["weather"], "part=weather")
    everywhere = document(terminal, "-A")
    own = [each["name"] for each in everywhere["certificates"] if each["namespace"] == lasting_team.namespace]
    assert (own, everywhere["namespace"]) == (["courts", "nhs", "weather", "new"], None)


def test_nothing_is_the_answer_no(lasting_team: Team, terminal: Terminal) -> None:
    """And no file is written."""
    call = ("report", "--output-file", "none")
    words = f"Error: no ClientCertificate matches in namespace {lasting_team.namespace}"
    assert terminal.fails(*call, "-l", "part=none") == (3, words)
    assert terminal.fails(*call, "-n", "nowhere") == (3, "Error: there is no ClientCertificate in namespace nowhere")
    assert not (terminal.directory / "none").exists()


def test_without_the_right_to_list_requests(lasting_team: Team, terminal: Terminal) -> None:
    """The next step is that of the certificate. Without the right to list certificates, there is no report."""
    namespace, control_plane = lasting_team.namespace, lasting_team.control_plane
    rules = [{"apiGroups": ["clientcert.dev"], "resources": ["clientcertificates"], "verbs": ["list"]}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    named = {"metadata": {"name": "reader"}}
    code, said = terminal.fails("report", "--as", "reader")
    assert (code, "the API server refuses" in said) == (3, True)
    lasting_team.api.request("POST", f"{_RBAC}/namespaces/{namespace}/roles", {**named, "rules": rules})
    bound = {**named, "roleRef": role, "subjects": [{"kind": "User", "name": "reader"}]}
    lasting_team.api.request("POST", f"{_RBAC}/namespaces/{namespace}/rolebindings", bound)
    wait_until_allowed(control_plane, namespace, "reader", rules)
    found = {each["name"]: each["nextStep"] for each in document(terminal, "--as", "reader")["certificates"]}
    assert found["nhs"] == "Ask the contact to renew it, and put the renewed certificate into the source."
    page = report(terminal, "--as", "reader", "--title", " ")
    assert "<h1>Client certificates</h1>" in page
    assert "Requests for renewals could not be read" in page


def test_a_file_that_cannot_be_written(terminal: Terminal, tmp_path: Path) -> None:
    code, said = terminal.fails("report", "--output-file", str(tmp_path / "missing" / "report.html"))
    assert (code, "cannot be written (FileNotFoundError): name another file" in said) == (3, True)
