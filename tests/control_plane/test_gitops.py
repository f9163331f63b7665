"""Argo CD and Flux: their manifests, the health of objects that the operator has written, and two writers of one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.control_plane.buckets import Backup, running_proxy
from tests.control_plane.gitops_fleet import STATES, GitOpsFleet
from tests.control_plane.gitops_health import (
    argo_cd_health,
    expected_health,
    flux_expressions,
    flux_health,
    lua_scripts,
)
from tests.control_plane.gitops_kinds import helm_release_types, install_kinds, unknown_fields
from tests.control_plane.operators import Operators
from tests.control_plane.team import OUR_KINDS, Team
from tests.control_plane.test_cli import Terminal
from tests.control_plane.waiting import eventually
from tests.scenarios import Manifest, certificate_policy, client_certificate
from tools.control_plane import ControlPlane, ControlPlaneError, S3Server
from tools.control_plane.s3_client import S3Client

CASES = [(kind, state, name) for kind, states in STATES.items() for state, names in states.items() for name in names]
ARGO_CD, FLUX = "argocd-controller", "kustomize-controller"
"""The field managers."""
MANIFESTS = [
    manifest
    for path in sorted((REPOSITORY / "deploy/gitops").glob("*/*.yaml"))
    if path.parent.name in {"argo-cd", "flux"}
    for manifest in yaml.safe_load_all(path.read_text())
]
"""Everything that docs/gitops.md has people apply: what it shows are parts of these."""
THEIRS = "argo-cd-and-flux"
CHECKED = [each for each in MANIFESTS if each["kind"] != "HelmRelease"]


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
        with operators.running(lasting_team.namespace, settings={"CLIENTCERT_OBSERVE_ONLY": "true"}):
            fleet.observe()
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


def name_of(manifest: Manifest) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


@pytest.fixture(scope="module")
def with_their_kinds(control_plane: ControlPlane) -> ControlPlane:
    """With the kinds of both tools, and a namespace for their objects."""
    install_kinds(control_plane)
    control_plane.create_namespace(THEIRS)
    return control_plane


def dry_run(control_plane: ControlPlane, manifest: Manifest) -> str:
    """As both tools apply it, with strict validation, but in another namespace; nothing is stored."""
    metadata = manifest["metadata"] | ({"namespace": THEIRS} if "namespace" in manifest["metadata"] else {})
    arguments = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
    return control_plane.kubectl(*arguments, input=yaml.safe_dump({**manifest, "metadata": metadata}))


@pytest.mark.parametrize("manifest", CHECKED, ids=name_of)
def test_their_own_kinds_accept_our_manifests(with_their_kinds: ControlPlane, manifest: Manifest) -> None:
    """By the CRDs of Argo CD and Flux: names of fields, types, patterns and enumerations."""
    assert "serverside-applied" in dry_run(with_their_kinds, manifest)


@pytest.mark.parametrize("kind", ["Application", "GitRepository", "Kustomization"])
def test_a_misspelt_field_of_theirs_is_refused(with_their_kinds: ControlPlane, kind: str) -> None:
    """So that the test before it proves something."""
    manifest = next(each for each in CHECKED if each["kind"] == kind)
    with pytest.raises(ControlPlaneError, match=r"\.spec\.prunes: field not declared in schema"):
        dry_run(with_their_kinds, {**manifest, "spec": {**manifest["spec"], "prunes": True}})


def test_the_helm_release_has_fields_of_its_type_alone() -> None:
    """By the Go types of its API, so only the names of fields: its CRD is in no module on the proxy."""
    [release] = [each for each in MANIFESTS if each["kind"] == "HelmRelease"]
    types, spec = helm_release_types(), release["spec"]
    assert release["apiVersion"] == "helm.toolkit.fluxcd.io/v2"
    assert unknown_fields(spec, "HelmReleaseSpec", types) == []
    misspelt = {**spec, "chart": {"spec": {**spec["chart"]["spec"], "sourceRefs": {}}}, "intervals": "1h"}
    assert unknown_fields(misspelt, "HelmReleaseSpec", types) == [
        "HelmReleaseSpec.intervals",
        "HelmChartTemplateSpec.sourceRefs",
    ]
