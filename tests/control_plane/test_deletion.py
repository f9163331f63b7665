"""`kubectl delete` never hangs, and the operator writes only the status of an object (row 28 of the faults)."""

import json
import uuid
from contextlib import nullcontext

import pytest

from tests.control_plane.operators import Operators
from tests.control_plane.team import OUR_KINDS, PLURALS, Team
from tests.control_plane.waiting import eventually
from tests.scenarios import certificate_policy, certificate_store, secret, slack_channel
from tools.control_plane import ControlPlane

DELETE_SECONDS = 20


def declare_one_of_each(team: Team) -> None:
    team.apply(
        secret("slack", token=team.slack.tokens[1]),
        certificate_policy("team", slack_channel("team", "#team", "slack")),
        certificate_store("backup", "backup-bucket", "http://127.0.0.1:9000", "no-such-secret"),
    )
    team.hand_out("nhs", days=20, policyRef={"name": "team"})


@pytest.mark.parametrize("running", [True, False], ids=["while the operator runs", "while it is stopped"])
def test_delete_never_hangs(running: bool, team: Team, operators: Operators) -> None:
    """Every kind can be deleted at any time by `kubectl delete`, which waits until the object is gone."""
    declare_one_of_each(team)
    with operators.running(team.namespace):
        eventually(lambda: team.phase("nhs"), "ExpiringSoon")
        eventually(lambda: team.condition("backup", "Ready", of="CertificateStore"), ("False", "CredentialsNotFound"))
    with operators.running(team.namespace) if running else nullcontext():
        for kind, name in (("ccert", "nhs"), ("cpol", "team"), ("cstore", "backup"), ("secret", "nhs-cert")):
            team.control_plane.kubectl("delete", kind, name, "-n", team.namespace, timeout=DELETE_SECONDS)
    assert not any(team.items(kind) for kind in OUR_KINDS)
    assert team.get("Secret", "nhs-cert") == {}


@pytest.mark.parametrize("running", [True, False], ids=["while the operator runs", "while it is stopped"])
def test_a_namespace_is_deleted_with_its_content(
    running: bool, control_plane: ControlPlane, operators: Operators, team: Team
) -> None:
    """The namespace controller does not run here; the test deletes as it would. No object stays, and none comes back.

    Objects in another namespace are served throughout.
    """
    doomed = Team(control_plane, f"doomed-{uuid.uuid4().hex[:8]}", team.slack, team.authority)
    control_plane.create_namespace(doomed.namespace)
    declare_one_of_each(doomed)
    with operators.running():
        eventually(lambda: doomed.phase("nhs"), "ExpiringSoon")
    with operators.running() if running else nullcontext():
        control_plane.kubectl("delete", "namespace", doomed.namespace, "--wait=false")
        for kind in (*OUR_KINDS, "Secret", "Event"):
            doomed.api.request("DELETE", doomed.path(kind))
        if running:
            team.hand_out("acme", days=20)
            eventually(lambda: team.phase("acme"), "ExpiringSoon")
        assert {kind: doomed.items(kind) for kind in PLURALS} == {kind: [] for kind in PLURALS}
        namespace = f"/api/v1/namespaces/{doomed.namespace}"
        ending = doomed.api.request("GET", namespace)
        assert "finalizers" not in ending["metadata"]
        doomed.api.request("PUT", f"{namespace}/finalize", ending | {"spec": {"finalizers": []}})
        assert ending["status"]["phase"] == "Terminating"
        control_plane.kubectl("wait", "--for=delete", f"namespace/{doomed.namespace}", f"--timeout={DELETE_SECONDS}s")


def test_nothing_but_status_is_written(team: Team, operators: Operators) -> None:
    """Spec, labels, annotations and finalizers of all objects, Secrets included, stay unchanged."""
    declare_one_of_each(team)
    kinds = (*OUR_KINDS, "Secret")
    before = {kind: [owned(item) for item in team.items(kind)] for kind in kinds}
    with operators.running(team.namespace) as operator:
        eventually(lambda: team.phase("nhs"), "ExpiringSoon")
        eventually(lambda: team.condition("team", "Ready", of="CertificatePolicy"), ("True", "Valid"))
        eventually(lambda: team.condition("backup", "Ready", of="CertificateStore"), ("False", "CredentialsNotFound"))
        operator.settle()
    assert {kind: [owned(item) for item in team.items(kind)] for kind in kinds} == before


def owned(item: dict[str, object]) -> str:
    """All of an object except its status and the API server's own counters."""
    metadata = {
        name: value
        for name, value in dict(item["metadata"]).items()  # type: ignore[call-overload]
        if name not in {"resourceVersion", "managedFields"}
    }
    return json.dumps({**item, "metadata": metadata, "status": None}, sort_keys=True)
