"""ServiceAccounts with few rights, and clients of the API server that use them."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from clientcert.kube.client import KubeClient
from clientcert.kube.kubeconfig import load_connection
from tests.conftest import REPOSITORY
from tests.deploy.people import wait_until_allowed
from tools.control_plane import ControlPlane

OPTIONAL_ROLES = REPOSITORY / "deploy/kustomize/optional"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


class ServiceAccount:
    """An account of one namespace that may read Secrets there, and nothing else, until it is granted a role."""

    def __init__(self, control_plane: ControlPlane, namespace: str, directory: Path) -> None:
        self._control_plane = control_plane
        self.namespace, self.name = namespace, f"operator-{uuid.uuid4().hex[:8]}"
        api, metadata = control_plane.api, {"metadata": {"name": self.name}}
        api.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", metadata)
        rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
        api.request("POST", f"{_RBAC}/namespaces/{namespace}/roles", {**metadata, "rules": rules})
        self._bind(self.name, rules)
        self._kubeconfig = control_plane.service_account_kubeconfig(namespace, self.name, directory / self.name)

    def grant(self, role: str) -> None:
        """Bind one of the optional roles, as deploy/examples/operator-may-write.yaml does; it has effect at once."""
        (rules,) = [
            each["rules"]
            for path in OPTIONAL_ROLES.glob("*.yaml")
            for each in yaml.safe_load_all(path.read_text())
            if each and each["kind"] == "ClusterRole" and each["metadata"]["name"] == role
        ]
        name = f"{self.name}-{role}"
        body = {"metadata": {"name": name}, "rules": rules}
        self._control_plane.api.request("POST", f"{_RBAC}/namespaces/{self.namespace}/roles", body)
        self._bind(name, rules)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[KubeClient]:
        client = KubeClient(
            partial(load_connection, cluster_host="", cluster_port="", kubeconfig=str(self._kubeconfig), context="")
        )
        try:
            yield client
        finally:
            await client.close()

    def _bind(self, role: str, rules: list[dict[str, Any]]) -> None:
        subject = {"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace}
        body = {
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [subject],
        }
        self._control_plane.api.request("POST", f"{_RBAC}/namespaces/{self.namespace}/rolebindings", body)
        user = f"system:serviceaccount:{self.namespace}:{self.name}"
        wait_until_allowed(self._control_plane, self.namespace, user, rules)
