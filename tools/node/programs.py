"""Finds the programs of a node, or builds and unpacks them once."""

from dataclasses import dataclass
from pathlib import Path

from tools.control_plane.binaries import find_or_build_tool
from tools.control_plane.components import (
    KUBERNETES_VERSION,
    GoTool,
    cache_directory,
    control_plane_directory,
    incomplete,
    kubernetes_ldflags,
    required_version,
)
from tools.control_plane.progress import exclusive, report
from tools.debian_package import DebianPackageError, unpack

from .errors import NodeError

_CONTAINERD_VERSION = required_version("containerd", "github.com/containerd/containerd/v2")
_RUNC = ("runc", "usr/sbin/runc")
_CNI = ("containernetworking-plugins", "usr/lib/cni")


def _of_kubernetes(name: str, usual_time: str) -> GoTool:
    package = f"k8s.io/kubernetes/cmd/{name}"
    ldflags = kubernetes_ldflags(KUBERNETES_VERSION)
    return GoTool(name, package, "kubernetes", KUBERNETES_VERSION, usual_time, ldflags)


def _of_containerd(name: str, usual_time: str) -> GoTool:
    package = f"github.com/containerd/containerd/v2/cmd/{name}"
    return GoTool(name, package, "containerd", _CONTAINERD_VERSION, usual_time)


_KUBERNETES = (
    _of_kubernetes("kube-controller-manager", "5 to 10 minutes"),
    _of_kubernetes("kube-scheduler", "1 to 2 minutes"),
    _of_kubernetes("kubelet", "2 to 4 minutes"),
)
_CONTAINERD = (
    _of_containerd("containerd", "2 to 3 minutes"),
    _of_containerd("containerd-shim-runc-v2", "10 seconds"),
    _of_containerd("ctr", "10 seconds"),
)
_PAUSE = GoTool(name="pause", package=".", go_module="pause", version="1", usual_time="2 seconds")


@dataclass(frozen=True)
class NodePrograms:
    """The path of each program."""

    controller_manager: Path
    scheduler: Path
    kubelet: Path
    containerd: Path
    """Its shim and `ctr` are beside it."""
    pause: Path
    runc: Path
    cni: Path
    """The directory of the network plugins."""


def find_or_build_node() -> NodePrograms:
    """Find all programs, or build them in a quarter of an hour. Raises ControlPlaneError and NodeError."""
    kubernetes = control_plane_directory(KUBERNETES_VERSION)
    manager, scheduler, kubelet = (find_or_build_tool(tool, kubernetes) for tool in _KUBERNETES)
    runtime = _directory("containerd", _CONTAINERD_VERSION)
    containerd, _, _ = (find_or_build_tool(tool, runtime) for tool in _CONTAINERD)
    pause = find_or_build_tool(_PAUSE, _directory("pause", _PAUSE.version))
    return NodePrograms(manager, scheduler, kubelet, containerd, pause, _unpacked(*_RUNC), _unpacked(*_CNI))


def _directory(name: str, version: str) -> Path:
    return cache_directory() / name / version


def _unpacked(package: str, path: str) -> Path:
    """A file or directory of Debian's package."""
    directory = cache_directory() / "debian" / package
    if not directory.is_dir():
        with exclusive(cache_directory() / "debian.lock"):
            if not directory.is_dir():
                report(f"Unpacking Debian's package {package} (usually 5 s).")
                _unpack(package, directory)
    return directory / path


def _unpack(package: str, directory: Path) -> None:
    with incomplete(directory.parent) as temporary:
        try:
            unpack(package, temporary).replace(directory)
        except DebianPackageError as error:
            raise NodeError(str(error)) from None
