"""Starts a node and all that it needs, in the namespaces of this process."""

import io
import os
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.control_plane import ApiError, ControlPlane
from tools.control_plane.binaries import find_or_build_crane, find_or_build_helm
from tools.control_plane.credentials import SERVICE_ADDRESS
from tools.control_plane.process import ChildProcess
from tools.helm import Helm
from tools.release.commands import run
from tools.release.debian_base import own_platform
from tools.release.registry import Crane, LoopbackRegistry, loopback_registry

from .configuration import Files, write_files
from .errors import NodeError
from .network import forwarded, names_served
from .obstacles import cgroups_of_pods
from .prepared import Prepared
from .programs import NodePrograms

NAME = "node"
_START_SECONDS = 60.0
_READY_SECONDS = 120.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.2
_API_SERVER_FLAGS = ("--allow-privileged=true", "--kubelet-preferred-address-types=InternalIP")


@dataclass(frozen=True)
class Node:
    """A running cluster of one node, with the image and the chart in its registry."""

    control_plane: ControlPlane
    prepared: Prepared
    helm: Helm
    registry: str
    directory: Path

    @property
    def charts(self) -> str:
        """The place of the chart, as `helm install` names it."""
        return f"oci://{self.registry}/rehearsal/charts/clientcert-operator"


@contextmanager
def running_node(prepared: Prepared, programs: NodePrograms) -> Iterator[Node]:
    """Start everything, and yield when the node is ready. Raises NodeError, ControlPlaneError or ReleaseError."""
    crane = Crane(find_or_build_crane())
    _set_up_network()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="node-", ignore_cleanup_errors=True)))
        registry = stack.enter_context(loopback_registry(crane, directory / "registry", prepared.port))
        prepared.push_image(crane)
        sandbox = _push_sandbox(registry, programs, directory)
        control_plane = stack.enter_context(
            ControlPlane.start(
                directory / "control-plane", kube_apiserver_arguments=_API_SERVER_FLAGS, with_controllers=True
            )
        )
        stack.enter_context(forwarded(443, int(control_plane.url.rpartition(":")[2])))
        stack.enter_context(names_served(control_plane.api))
        files = write_files(directory, programs, registry.address, sandbox)
        stack.callback(_remove_cgroups)
        _start_controllers(stack, control_plane, programs, directory)
        _start_containerd(stack, files, programs)
        _start_kubelet(stack, control_plane, files, programs)
        helm = Helm(find_or_build_helm(), directory / "helm", control_plane.kubeconfig)
        helm.run("push", prepared.chart, f"oci://{registry.address}/rehearsal/charts", "--plain-http")
        yield Node(control_plane, prepared, helm, registry.address, directory)


def _set_up_network() -> None:
    """The loopback of a new namespace is down; pods reach the node by a bridge, which needs forwarding."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "replace", f"{SERVICE_ADDRESS}/32", "dev", "lo")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _push_sandbox(registry: LoopbackRegistry, programs: NodePrograms, directory: Path) -> str:
    """Publish the image of the pods' sandboxes, which has one program."""
    archive, reference = directory / "pause.tar", f"{registry.address}/pause:1"
    with tarfile.open(archive, "w") as opened:
        member = tarfile.TarInfo("pause")
        content = programs.pause.read_bytes()
        member.size, member.mode = len(content), 0o755
        opened.addfile(member, io.BytesIO(content))
    registry.crane.push_root(archive, reference, own_platform())
    run(registry.crane.binary, "mutate", reference, "--entrypoint", "/pause", "--tag", reference)
    return reference


def _start(stack: ExitStack, name: str, command: list[str | Path], directory: Path) -> ChildProcess:
    environment = {"PATH": f"{Path(command[0]).parent}:{os.environ.get('PATH', os.defpath)}", "HOME": str(directory)}
    process = ChildProcess.start(command, log_path=directory / f"{name}.log", env=environment, cwd=directory)
    stack.callback(process.stop, _STOP_SECONDS)
    return process


def _start_controllers(stack: ExitStack, control_plane: ControlPlane, programs: NodePrograms, directory: Path) -> None:
    kubeconfig = control_plane.kubeconfig
    access = [f"--{kind}kubeconfig={kubeconfig}" for kind in ("", "authentication-", "authorization-")]
    shared = [*access, "--bind-address=127.0.0.1", "--leader-elect=false"]
    credentials, authority = control_plane.directory / "credentials", control_plane.ca_path
    signing = [
        f"--service-account-private-key-file={credentials / 'service-account.key'}",
        f"--root-ca-file={authority}",
        f"--cluster-signing-cert-file={authority}",
        f"--cluster-signing-key-file={credentials / 'ca.key'}",
    ]
    manager: list[str | Path] = [programs.controller_manager, *shared, "--secure-port=0", *signing]
    _start(stack, "kube-controller-manager", manager, directory)
    _start(stack, "kube-scheduler", [programs.scheduler, *shared, "--secure-port=0"], directory)


def _start_containerd(stack: ExitStack, files: Files, programs: NodePrograms) -> None:
    command: list[str | Path] = [programs.containerd, "--config", files.containerd]
    process = _start(stack, "containerd", command, files.directory)
    client = programs.containerd.with_name("ctr")

    def answers() -> bool:
        called = subprocess.run([client, "--address", files.socket, "version"], capture_output=True, check=False)
        return called.returncode == 0

    process.wait_until(answers, _START_SECONDS)


def _start_kubelet(stack: ExitStack, control_plane: ControlPlane, files: Files, programs: NodePrograms) -> None:
    command: list[str | Path] = [
        programs.kubelet,
        f"--config={files.kubelet}",
        f"--kubeconfig={control_plane.kubeconfig}",
        f"--root-dir={files.directory / 'kubelet'}",
        f"--cert-dir={files.directory / 'kubelet-certificates'}",
        f"--hostname-override={NAME}",
        f"--node-ip={SERVICE_ADDRESS}",
    ]
    process = _start(stack, "kubelet", command, files.directory)
    stack.callback(_stop_pods, control_plane)
    process.wait_until(lambda: _is_ready(control_plane), _READY_SECONDS)


def _is_ready(control_plane: ControlPlane) -> bool:
    """True if the node takes pods, and the controllers make what a pod needs."""
    try:
        node = control_plane.api.request("GET", f"/api/v1/nodes/{NAME}")
        control_plane.api.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    except ApiError:
        return False
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))


def _stop_pods(control_plane: ControlPlane) -> None:
    """Delete all pods while the kubelet can still stop their containers."""
    for namespace in {each["metadata"]["namespace"] for each in _pods(control_plane)}:
        for kind in ("deployments", "replicasets"):
            control_plane.api.request("DELETE", f"/apis/apps/v1/namespaces/{namespace}/{kind}")
        control_plane.api.request("DELETE", f"/api/v1/namespaces/{namespace}/pods?gracePeriodSeconds=5")
    deadline = time.monotonic() + _STOP_SECONDS
    while _pods(control_plane):
        if time.monotonic() > deadline:
            raise NodeError("the pods do not end")
        time.sleep(_POLL_SECONDS)


def _pods(control_plane: ControlPlane) -> list[dict[str, dict[str, str]]]:
    found: list[dict[str, dict[str, str]]] = control_plane.api.request("GET", "/api/v1/pods")["items"]
    return found


def _remove_cgroups() -> None:
    """Those of pods are outside of our namespaces; each is empty now."""
    for top in cgroups_of_pods():
        for directory in sorted((each for each in (top, *top.rglob("*")) if each.is_dir()), reverse=True):
            try:
                directory.rmdir()
            except OSError as error:
                raise NodeError(f"the cgroup {directory} stays: {error}") from None
