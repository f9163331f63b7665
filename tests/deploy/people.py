"""People with tokens and roles of their own in one namespace, as the API server knows them."""

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from tests.deploy.schema import crds
from tools.control_plane import ApiClient, ControlPlane

MERGE_PATCH = "application/merge-patch+json"
_EFFECT_SECONDS = 30.0
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Person:
    """One user of a namespace. Every method raises ApiError if the API server refuses."""

    name: str
    """The user name, as `kubectl auth whoami` shows it."""
    api: ApiClient
    namespace: str

    def create(self, document: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        query = "?dryRun=All" if dry_run else ""
        created: dict[str, Any] = self.api.request("POST", self._collection(document["kind"]) + query, document)
        return created

    def read(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.request("GET", f"{self._collection(kind)}/{name}")
        return found

    def change(self, kind: str, name: str, patch: Mapping[str, Any], subresource: str = "") -> dict[str, Any]:
        path = f"{self._collection(kind)}/{name}" + (f"/{subresource}" if subresource else "")
        changed: dict[str, Any] = self.api.request("PATCH", path, patch, content_type=MERGE_PATCH)
        return changed

    def replace(self, document: Mapping[str, Any]) -> dict[str, Any]:
        path = f"{self._collection(document['kind'])}/{document['metadata']['name']}"
        replaced: dict[str, Any] = self.api.request("PUT", path, document)
        return replaced

    def apply(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply."""
        path = f"{self._collection(document['kind'])}/{document['metadata']['name']}?fieldManager=person&force=true"
        body = document | {"apiVersion": "clientcert.dev/v1alpha1"}
        applied: dict[str, Any] = self.api.request("PATCH", path, body, content_type="application/apply-patch+yaml")
        return applied

    def _collection(self, kind: str) -> str:
        plural = crds()[kind]["spec"]["names"]["plural"]
        return f"/apis/clientcert.dev/v1alpha1/namespaces/{self.namespace}/{plural}"


def person(control_plane: ControlPlane, namespace: str, *roles: str) -> Person:
    """A new user with these ClusterRoles in the namespace; it returns when the roles have effect."""
    account = f"person-{uuid.uuid4().hex[:8]}"
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    control_plane.api.request("POST", accounts, {"metadata": {"name": account}})
    name = f"system:serviceaccount:{namespace}:{account}"
    bind(control_plane, namespace, name, *roles)
    return Person(name, _client(control_plane, accounts, account), namespace)


def operator(control_plane: ControlPlane, namespace: str) -> Person:
    """The operator, with the token of its own ServiceAccount."""
    accounts = "/api/v1/namespaces/clientcert-system/serviceaccounts"
    client = _client(control_plane, accounts, "clientcert-operator")
    return Person("system:serviceaccount:clientcert-system:clientcert-operator", client, namespace)


def bind(control_plane: ControlPlane, namespace: str, user: str, *roles: str) -> None:
    """Bind these ClusterRoles to a user in the namespace; it returns when they have effect."""
    for role in roles:
        binding = {
            "metadata": {"generateName": f"{role}-"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
        }
        control_plane.api.request("POST", f"{_RBAC}/namespaces/{namespace}/rolebindings", binding)
        wait_until_role_has_effect(control_plane, namespace, user, role)


def may(control_plane: ControlPlane, user: str, verb: str, resource: str, namespace: str) -> bool:
    """Ask the API server about `group/resource` or `group/resource/subresource`."""
    group, name, *subresource = resource.split("/")
    attributes = {"verb": verb, "group": group, "resource": name, "namespace": namespace}
    attributes |= {"subresource": subresource[0]} if subresource else {}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": ["system:authenticated"], "resourceAttributes": attributes},
    }
    answer = control_plane.api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def wait_until_role_has_effect(control_plane: ControlPlane, namespace: str, user: str, role: str) -> None:
    """Wait for each right of a ClusterRole that was bound to the user in the namespace."""
    rules = control_plane.api.request("GET", f"{_RBAC}/clusterroles/{role}")["rules"]
    wait_until_allowed(control_plane, namespace, user, rules)


def wait_until_allowed(
    control_plane: ControlPlane, namespace: str, user: str, rules: Iterable[Mapping[str, Any]]
) -> None:
    """The API server learns of a new role or binding a moment after its creation. The user may have some of the rights
    by another role, so each is asked for.
    """
    deadline = time.monotonic() + _EFFECT_SECONDS
    for rule in rules:
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"]):
            while not may(control_plane, user, verb, f"{group}/{resource}", namespace):
                assert time.monotonic() < deadline, f"{user} may not {verb} {resource} in {namespace}"
                time.sleep(0.02)


def _client(control_plane: ControlPlane, accounts: str, account: str) -> ApiClient:
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": 3600},
    }
    token = control_plane.api.request("POST", f"{accounts}/{account}/token", request)["status"]["token"]
    return ApiClient(control_plane.url, control_plane.ca_path, token)
