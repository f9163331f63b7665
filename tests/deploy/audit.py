"""The operator's requests in the audit log of the API server, and the rights that manifests grant."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.conftest import REPOSITORY
from tools.control_plane import ControlPlane

KUSTOMIZE = REPOSITORY / "deploy/kustomize"
OPERATOR = "system:serviceaccount:clientcert-system:clientcert-operator"
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class Right(NamedTuple):
    """One verb on one resource, `group/resource` or `group/resource/subresource`."""

    verb: str
    resource: str


class Asked(NamedTuple):
    """One request of the operator for a resource, cluster-wide if it has no namespace."""

    right: Right
    namespace: str
    name: str
    allowed: bool


@dataclass(frozen=True)
class Audited:
    """A separate control plane, whose API server writes an audit log."""

    control_plane: ControlPlane
    log: Path

    def asked(self) -> list[Asked]:
        """The operator's requests so far, without discovery, which every user may do."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return [_asked(event) for event in events if event["user"].get("username") == OPERATOR and "objectRef" in event]

    def rights_used(self) -> set[Right]:
        return {asked.right for asked in self.asked() if asked.allowed}


@contextmanager
def audited(directory: Path) -> Iterator[Audited]:
    """Start it, with nothing applied to it."""
    directory.mkdir(parents=True, exist_ok=True)
    policy, log = directory / "audit-policy.json", directory / "audit.log"
    policy.write_text(json.dumps(_POLICY))
    arguments = [f"--audit-policy-file={policy}", f"--audit-log-path={log}"]
    with ControlPlane.start(directory / "control-plane", kube_apiserver_arguments=arguments) as running:
        yield Audited(running, log)


def rendered(control_plane: ControlPlane, overlay: Path) -> list[dict[str, Any]]:
    """All objects of a kustomization, as `kubectl apply -k` applies them."""
    return [each for each in yaml.safe_load_all(control_plane.kubectl("kustomize", overlay)) if each]


def granted(objects: list[dict[str, Any]], namespace: str = "") -> set[Right]:
    """The rights of the roles that are bound to the operator, in a namespace or, without one, in the whole cluster."""
    rights: set[Right] = set()
    for role in _bound(objects, namespace):
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                rights |= {Right(verb, f"{group}/{name}") for verb in rule["verbs"] for name in rule["resources"]}
    return rights


def _bound(objects: list[dict[str, Any]], namespace: str) -> Iterator[dict[str, Any]]:
    subject = {"kind": "ServiceAccount", "name": "clientcert-operator", "namespace": "clientcert-system"}
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    for binding in objects:
        where = binding["metadata"].get("namespace", "")
        if (binding["kind"], where) == (kind, namespace) and subject in binding["subjects"]:
            yield _role(objects, binding["roleRef"], namespace)


def _role(objects: list[dict[str, Any]], reference: dict[str, str], namespace: str) -> dict[str, Any]:
    wanted = reference["kind"], reference["name"], namespace if reference["kind"] == "Role" else ""
    return next(
        each
        for each in objects
        if (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace", "")) == wanted
    )


def _asked(event: dict[str, Any]) -> Asked:
    reference = event["objectRef"]
    resource = f"{reference.get('apiGroup', '')}/{reference['resource']}"
    resource += f"/{reference['subresource']}" if "subresource" in reference else ""
    allowed = event.get("annotations", {}).get("authorization.k8s.io/decision") == "allow"
    name, namespace = reference.get("name", ""), reference.get("namespace", "")
    return Asked(Right(event["verb"], resource), namespace, name, allowed)
