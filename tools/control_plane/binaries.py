"""Finds the real programs, or builds them once.

kube-apiserver and etcd: `$KUBEBUILDER_ASSETS`, then the cache, then the envtest archive, then a build.
kubectl: from PATH if it is 1.30 or newer, then from beside kube-apiserver, then a build.
versitygw: from the cache, or else a build.
helm and crane, which only the chart and the release need: from the cache, or else a build.

Only the standard library is used here, because `build` runs before the project's environment exists.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import envtest
from .components import (
    CRANE,
    ENVTEST_VERSION,
    ETCD,
    HELM,
    KUBE_APISERVER,
    KUBECTL,
    KUBERNETES_VERSION,
    MINIMUM_KUBECTL,
    VERSITYGW,
    GoTool,
    cache_directory,
    control_plane_directory,
    crane_directory,
    helm_directory,
    versitygw_directory,
)
from .errors import ControlPlaneError
from .go_build import build
from .progress import exclusive


@dataclass(frozen=True)
class Binaries:
    """The path of each program."""

    kube_apiserver: Path
    etcd: Path
    versitygw: Path
    kubectl: Path


def find_or_build() -> Binaries:
    """Find all programs, and build the missing ones: this takes minutes the first time, and no time afterwards.

    Any number of processes may call this at the same time: one builds, the others wait for it.
    """
    found = _find()
    if found is None:
        with exclusive(cache_directory() / "build.lock"):
            found = _find() or _provide()
    return found


def find_or_build_helm() -> Path:
    """Find helm, or build it, as `find_or_build` does with the programs that everything needs."""
    return find_or_build_tool(HELM, helm_directory())


def find_or_build_crane() -> Path:
    """Find crane, which is also a registry, or build it."""
    return find_or_build_tool(CRANE, crane_directory())


def find_or_build_tool(tool: GoTool, directory: Path) -> Path:
    """Find a program in the directory, or build it there."""
    binary = directory / tool.name
    if not binary.is_file():
        with exclusive(cache_directory() / "build.lock"):
            _build_unless_there(tool, directory)
    return binary


def _find() -> Binaries | None:
    directory = _find_control_plane()
    versitygw = versitygw_directory() / VERSITYGW.name
    if directory is None or not versitygw.exists():
        return None
    kubectl = _find_kubectl(directory)
    if kubectl is None:
        return None
    return Binaries(directory / KUBE_APISERVER.name, directory / ETCD.name, versitygw, kubectl)


def _find_control_plane() -> Path | None:
    """The directory that contains both etcd and kube-apiserver."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        if not _holds_control_plane(Path(assets)):
            raise ControlPlaneError(
                f"KUBEBUILDER_ASSETS names {assets}, but kube-apiserver and etcd are not both there: "
                "correct it, or unset it to have them found or built."
            )
        return Path(assets)
    cached = (control_plane_directory(version) for version in (KUBERNETES_VERSION, ENVTEST_VERSION))
    return next(filter(_holds_control_plane, cached), None)


def _holds_control_plane(directory: Path) -> bool:
    return all((directory / tool.name).is_file() for tool in (KUBE_APISERVER, ETCD))


def _find_kubectl(control_plane: Path) -> Path | None:
    on_path = shutil.which(KUBECTL.name)
    if on_path is not None and _kubectl_version(on_path) >= MINIMUM_KUBECTL:
        return Path(on_path)
    candidates = (control_plane / KUBECTL.name, control_plane_directory(KUBERNETES_VERSION) / KUBECTL.name)
    return next((path for path in candidates if path.is_file()), None)


def _kubectl_version(kubectl: str) -> tuple[int, int]:
    """Major and minor version of the client, without a request to a server; (0, 0) if it reports none."""
    command = [kubectl, "version", "--client", "--output=json", "--kubeconfig", os.devnull]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        git_version = json.loads(answer.stdout)["clientVersion"]["gitVersion"]
    except (ValueError, KeyError, TypeError):
        return (0, 0)
    found = re.match(r"v(\d+)\.(\d+)", git_version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _provide() -> Binaries:
    """Download or build the missing programs. The caller holds the lock."""
    directory = _find_control_plane()
    if directory is None and envtest.download(control_plane_directory(ENVTEST_VERSION)):
        directory = control_plane_directory(ENVTEST_VERSION)
    if directory is None:
        directory = control_plane_directory(KUBERNETES_VERSION)
        for tool in (ETCD, KUBE_APISERVER):
            _build_unless_there(tool, directory)
    versitygw = _build_unless_there(VERSITYGW, versitygw_directory())
    kubectl = _find_kubectl(directory)
    if kubectl is None:
        kubectl = _build_unless_there(KUBECTL, control_plane_directory(KUBERNETES_VERSION))
    return Binaries(directory / KUBE_APISERVER.name, directory / ETCD.name, versitygw, kubectl)


def _build_unless_there(tool: GoTool, directory: Path) -> Path:
    binary = directory / tool.name
    return binary if binary.is_file() else build(tool, directory)
