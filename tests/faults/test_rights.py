"""Row 9: the rights to one namespace are removed, those to another stay."""

import uuid
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.control_plane.waiting import eventually
from tests.faults.scenario import World, row
from tools.control_plane import ControlPlane

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"
ROLES = REPOSITORY / "deploy/kustomize/namespaced/operator.yaml"
SERVED = "integration-api"
SYSTEM = "clientcert-system"
TIGHT = 3
"""Requests of one watch in four seconds; more is a tight loop."""
WATCHES = 6
"""Of one namespace: Secrets, and each of our kinds."""


class Rights:
    """The operator's rights in one namespace, as in deploy/kustomize/namespaced."""

    def __init__(self, control_plane: ControlPlane, namespace: str, account: str) -> None:
        self._api = control_plane.api
        self._path = f"{RBAC}/{namespace}"
        documents = [
            document
            for document in yaml.safe_load_all(ROLES.read_text())
            if document["metadata"].pop("namespace", "") == SERVED
        ]
        self._bindings = {each["metadata"]["name"]: each for each in documents if each["kind"] == "RoleBinding"}
        for binding in self._bindings.values():
            binding["subjects"] = [{"kind": "ServiceAccount", "name": account, "namespace": SYSTEM}]
        for role in (each for each in documents if each["kind"] == "Role"):
            self._api.request("POST", f"{self._path}/roles", role)
        self.give()

    def give(self, which: str = "") -> None:
        for name, binding in self._bindings.items():
            if which in name:
                self._api.request("POST", f"{self._path}/rolebindings", binding)

    def take(self, which: str = "") -> None:
        for name in self._bindings:
            if which in name:
                self._api.request("DELETE", f"{self._path}/rolebindings/{name}")


@pytest.fixture
def account(control_plane: ControlPlane) -> str:
    """A ServiceAccount without any right, in the operator's own namespace."""
    name = f"operator-{uuid.uuid4().hex[:8]}"
    body: dict[str, Any] = {"metadata": {"name": name}}
    control_plane.api.request("POST", f"/api/v1/namespaces/{SYSTEM}/serviceaccounts", body)
    return name


@pytest.mark.slow
@row(9, "rights to one of two namespaces are missing at the start, taken later, then those to its Secrets alone")
def test_rights_to_one_namespace_are_removed(world: World, control_plane: ControlPlane, account: str) -> None:
    """Metric and log report it, and the condition if it may still be written; the other namespace continues."""
    name = f"{world.team.namespace}-b"
    control_plane.create_namespace(name)
    other = world.neighbour(name)
    Rights(control_plane, world.team.namespace, account)
    rights = Rights(control_plane, name, account)
    flags = ["--namespace", world.team.namespace, "--namespace", name, "--resync", "3s"]
    rights.take()
    operator = world.operator_starts(*flags, elected=False, service_account=(SYSTEM, account))
    other.hand_out("nhs", days=14)
    world.hand_out("hmrc", days=7)
    world.all_is_delivered(within=10)
    rights.give()
    other.all_is_delivered()

    rights.take()
    world.api_server.end_watches()
    eventually(lambda: operator.metric("clientcert_namespace_up", namespace=name), 0.0)
    assert operator.metric("clientcert_namespace_up", namespace=world.team.namespace) == 1
    assert f"Namespace {name} cannot be compared with the API server" in operator.process.log_text()
    eventually(lambda: operator.get("/readyz")[0], 200)  # as soon as the other namespace has its watches again
    other.hand_out("moj", days=7)
    world.hand_out("dwp", days=7)
    world.all_is_delivered(within=10)
    before = requests_to(world, name)
    world.waits(4)
    assert requests_to(world, name) - before <= TIGHT * WATCHES
    rights.give()
    other.is_fixed()
    other.all_is_delivered(within=20)
    world.recovered_after = other.recovered_after
    eventually(lambda: operator.metric("clientcert_namespace_up", namespace=name), 1.0)

    rights.take("secrets")
    eventually(lambda: other.team.condition("nhs", "Ready"), ("False", "AccessDenied"))
    assert "give its ServiceAccount the verb get on secrets" in other.team.words("nhs", "Ready")
    eventually(lambda: "AccessDenied" in other.team.events("nhs"), expected=True)
    rights.give("secrets")
    eventually(lambda: other.team.condition("nhs", "Ready"), ("True", "ExpiringSoon"))
    for each in (other, world):
        each.nothing_is_repeated()


def requests_to(world: World, namespace: str) -> int:
    return sum(f"/namespaces/{namespace}/" in passage.path for passage in world.api_server.passages)
