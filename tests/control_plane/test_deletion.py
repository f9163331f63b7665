"""`kubectl delete` never hangs, and nothing but status is ever written on an object (row 28 of the faults)."""

import json
from contextlib import nullcontext

import pytest

from tests.control_plane.operators import Operators
from tests.control_plane.team import OUR_KINDS, Team
from tests.control_plane.waiting import eventually
from tests.scenarios import certificate_policy, certificate_store, secret, slack_channel

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
    """Every kind can be deleted at any time, by `kubectl delete` which waits until the object is gone."""
    declare_one_of_each(team)
    with operators.running(team.namespace):
        eventually(lambda: team.phase("nhs"), "ExpiringSoon")
        eventually(lambda: team.condition("backup", "Ready", of="CertificateStore"), ("False", "CredentialsInvalid"))
    with operators.running(team.namespace) if running else nullcontext():
        for kind, name in (("ccert", "nhs"), ("cpol", "team"), ("cstore", "backup")):
            team.control_plane.kubectl("delete", kind, name, "-n", team.namespace, timeout=DELETE_SECONDS)
    assert [team.items(kind) for kind in OUR_KINDS] == [[], [], []]


def test_nothing_but_status_is_written(team: Team, operators: Operators) -> None:
    """Spec, labels, annotations and finalizers of all objects, Secrets included, stay as their owner made them."""
    declare_one_of_each(team)
    kinds = (*OUR_KINDS, "Secret")
    before = {kind: [owned(item) for item in team.items(kind)] for kind in kinds}
    with operators.running(team.namespace) as operator:
        eventually(lambda: team.phase("nhs"), "ExpiringSoon")
        eventually(lambda: team.condition("team", "Ready", of="CertificatePolicy"), ("True", "Valid"))
        eventually(lambda: team.condition("backup", "Ready", of="CertificateStore"), ("False", "CredentialsInvalid"))
        operator.settle()
    assert {kind: [owned(item) for item in team.items(kind)] for kind in kinds} == before


def owned(item: dict[str, object]) -> str:
    """All of an object but its status, and what the API server itself counts."""
    metadata = {
        name: value
        for name, value in dict(item["metadata"]).items()  # type: ignore[call-overload]
        if name not in {"resourceVersion", "managedFields"}
    }
    return json.dumps({**item, "metadata": metadata, "status": None}, sort_keys=True)
