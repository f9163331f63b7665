"""One node for all tests, with the chart installed as a user does it. See tools/node."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.control_plane import ControlPlane
from tools.node.__main__ import PREPARED
from tools.node.network import forwarded
from tools.node.node import Node, running_node
from tools.node.obstacles import obstacle
from tools.node.prepared import Prepared
from tools.node.programs import find_or_build_node
from tools.slack_server import SlackServer

NAMESPACE, RELEASE = "clientcert-system", "clientcert-operator"
PREFIX = "clientcert"
"""Of what belongs to no namespace."""
CHANNEL, RENEWALS = "#certificates", "#renewals"
"""The operator's own, and one that only a policy names."""
SLACK_PORT = 8443
"""On the address that pods reach."""
DEPLOYMENT = f"deployment/{RELEASE}"


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    if PREPARED not in os.environ:
        pytest.skip(obstacle() or "a node is started by `make node` alone, which builds what it needs")
    with running_node(Prepared(Path(os.environ[PREPARED])), find_or_build_node()) as running:
        yield running


@pytest.fixture(scope="session")
def slack(node: Node) -> Iterator[SlackServer]:
    """The team's Slack, which pods can reach."""
    with SlackServer(channels=(CHANNEL, RENEWALS)).start() as server, forwarded(SLACK_PORT, server.port):
        yield server


@dataclass(frozen=True)
class Installed:
    """The operator in its pods."""

    node: Node
    slack: SlackServer
    namespace: str = NAMESPACE

    @property
    def control_plane(self) -> ControlPlane:
        return self.node.control_plane

    def kubectl(self, *arguments: str) -> str:
        return self.control_plane.kubectl("--namespace", self.namespace, *arguments)

    def pods(self) -> list[dict[str, Any]]:
        """The operator's pods that are not being deleted."""
        path = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app.kubernetes.io%2Fname%3D{RELEASE}"
        found = self.control_plane.api.request("GET", path)["items"]
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    def ready_pods(self) -> list[str]:
        return sorted(
            each["metadata"]["name"]
            for each in self.pods()
            if any(c["type"] == "Ready" and c["status"] == "True" for c in each["status"].get("conditions", []))
        )

    def in_pod(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a program in one of the pods."""
        kubectl = [str(self.control_plane.binaries.kubectl), "--kubeconfig", str(self.control_plane.kubeconfig)]
        called = [*kubectl, "--namespace", self.namespace, "exec", DEPLOYMENT, "--", *command]
        return subprocess.run(called, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="session")
def installed(node: Node, slack: SlackServer) -> Installed:
    """`helm install --wait` from the registry, with a Slack channel and nothing else."""
    address = f"10.0.0.1:{SLACK_PORT}"
    settings = {
        "slack": {"channel": CHANNEL, "token": slack.token, "apiURL": f"http://{address}/api/"},
        "config": {"allowedHosts": [address]},
    }
    version = ["--version", node.prepared.release.version, "--plain-http"]
    where = ["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "100s"]
    node.helm.run("install", RELEASE, node.charts, *version, *where, values=settings)
    return Installed(node, slack)
