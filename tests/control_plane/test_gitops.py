"""Argo CD and Flux: the health of objects that the operator has written, and two writers of one object."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.control_plane.buckets import Backup, running_proxy
from tests.control_plane.gitops_fleet import STATES, GitOpsFleet
from tests.control_plane.gitops_health import (
    argo_cd_health,
    expected_health,
    flux_expressions,
    flux_health,
    lua_scripts,
)
from tests.control_plane.operators import Operators
from tests.control_plane.team import OUR_KINDS, Team
from tests.control_plane.test_cli import Terminal
from tests.control_plane.waiting import eventually
from tests.scenarios import Manifest, certificate_policy, client_certificate
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client

CASES = [(kind, state, name) for kind, states in STATES.items() for state, names in states.items() for name in names]
ARGO_CD, FLUX = "argocd-controller", "kustomize-controller"
"""The field managers."""


@pytest.fixture(scope="module")
def found(
    lasting_team: Team, operators: Operators, s3: tuple[S3Server, S3Client]
) -> Iterator[dict[tuple[str, str], Manifest]]:
    """By kind and name."""
    with running_proxy(s3[0]) as proxy:
        fleet = GitOpsFleet(lasting_team, Backup(lasting_team, *s3, proxy))
        fleet.declare()
        with operators.running(lasting_team.namespace):
            fleet.settle()
        fleet.change()
        yield fleet.found


def test_every_kind_has_a_check_and_a_table() -> None:
    assert set(lua_scripts()) == set(flux_expressions()) == set(STATES) == set(OUR_KINDS)
    assert {(kind, state) for kind, state, _ in CASES} == set(expected_health())


@pytest.mark.parametrize(("kind", "state", "name"), CASES, ids=[f"{kind}-{name}" for kind, _, name in CASES])
def test_health_is_as_the_page_says(found: dict[tuple[str, str], Manifest], kind: str, state: str, name: str) -> None:
    manifest = found[kind, name]
    status, message = argo_cd_health(manifest)
    assert (status, flux_health(manifest)) == expected_health()[kind, state]
    assert message


def test_the_message_is_that_of_the_condition(found: dict[tuple[str, str], Manifest]) -> None:
    """So that what Argo CD shows says what to fix."""
    broken, expired = found["ClientCertificate", "broken"], found["ClientCertificate", "expired"]
    for manifest, kind in ((broken, "SourceReadable"), (expired, "Ready")):
        [condition] = [each for each in manifest["status"]["conditions"] if each["type"] == kind]
        assert argo_cd_health(manifest)[1] == f"{condition['reason']}: {condition['message']}"


def apply_as(team: Team, manager: str, manifest: Manifest, dry_run: str = "") -> Any:
    """As both tools do: server-side, with force."""
    path = team.path(manifest["kind"], manifest["metadata"]["name"])
    query = f"?fieldManager={manager}&force=true&fieldValidation=Strict{dry_run}"
    return team.api.request("PATCH", path + query, manifest, content_type="application/apply-patch+yaml")


@pytest.mark.parametrize("manager", [ARGO_CD, FLUX])
def test_a_second_apply_changes_nothing(team: Team, operators: Operators, manager: str) -> None:
    """After the operator has written the status: neither tool would see a difference."""
    team.put("nhs", team.issue("nhs", days=20))
    register = (
        certificate_policy("daily", startDaysBefore=30),
        client_certificate("nhs", consumer=team.consumer("nhs"), policyRef={"name": "daily"}),
    )
    for manifest in register:
        apply_as(team, manager, manifest)
    with operators.running(team.namespace) as operator:
        eventually(lambda: team.phase("nhs"), "ExpiringSoon")
        eventually(lambda: team.condition("daily", "Ready", "CertificatePolicy"), ("True", "Valid"))
        operator.settle()
    before = team.versions()
    for manifest in register:
        apply_as(team, manager, manifest)
    assert team.versions() == before


@pytest.mark.parametrize("manager", [ARGO_CD, FLUX])
def test_a_silence_that_a_person_has_set_stays(team: Team, tmp_path: Path, manager: str) -> None:
    """Git has none, so it belongs to the person; a field that Git has is put back."""
    manifest = client_certificate("nhs", consumer=team.consumer("nhs"), owner="team")
    apply_as(team, manager, manifest)
    ran = Terminal(team, tmp_path).clientcert("silence", "nhs", "--until", "30d", "--reason", "being decommissioned")
    assert ran.returncode == 0, ran.stderr
    change = {"spec": {"owner": "somebody"}}
    team.api.request(
        "PATCH", team.path("ClientCertificate", "nhs"), change, content_type="application/merge-patch+json"
    )
    apply_as(team, manager, manifest)
    spec = team.get("ClientCertificate", "nhs")["spec"]
    assert (spec["silence"]["reason"], spec["owner"]) == ("being decommissioned", "team")
