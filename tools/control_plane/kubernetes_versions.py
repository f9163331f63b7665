"""The API server of a version of Kubernetes that is not the usual one; `make compat` tests it."""

import re
from dataclasses import replace
from pathlib import Path

from . import envtest
from .binaries import find_or_build
from .components import (
    ETCD,
    KUBE_APISERVER,
    KUBERNETES_VERSION,
    OLDEST_KUBERNETES_VERSION,
    GoTool,
    cache_directory,
    control_plane_directory,
    kubernetes_ldflags,
)
from .errors import ControlPlaneError
from .go_build import build
from .kubernetes_module import write_kubernetes_module
from .progress import exclusive

_PINNED = {KUBERNETES_VERSION: "kubernetes", OLDEST_KUBERNETES_VERSION: "kubernetes-oldest"}
"""The versions whose hashes are in this repository, and the directories of their go.mod."""


def complete_version(text: str) -> str:
    """The version without its `v`. Raises ControlPlaneError if a part is missing."""
    found = re.fullmatch(r"v?(1\.\d+\.\d+)", text)
    if found is None:
        raise ControlPlaneError(f"{text} is not a version of Kubernetes with three parts, such as v1.30.0.")
    return found[1]


def find_or_build_kubernetes(version: str) -> Path:
    """A directory for `$KUBEBUILDER_ASSETS`, with kube-apiserver of this version, and an etcd.

    From the cache, then the envtest archive, then a build, whose etcd is the usual one. Raises ControlPlaneError.
    """
    directory = control_plane_directory(version)
    usual_etcd = find_or_build().etcd
    with exclusive(cache_directory() / "build.lock"):
        if not (directory / KUBE_APISERVER.name).is_file() and not envtest.download(directory, version):
            build(_kube_apiserver(version, directory), directory)
        etcd = directory / ETCD.name
        if not etcd.is_file():
            etcd.unlink(missing_ok=True)  # a link to one that was deleted
            etcd.symlink_to(usual_etcd)
    return directory


def _kube_apiserver(version: str, directory: Path) -> GoTool:
    go_module = _PINNED.get(version)
    if go_module is None:
        go_module = str(directory / "module")
        write_kubernetes_module(version, Path(go_module), KUBE_APISERVER.package)
    return replace(KUBE_APISERVER, go_module=go_module, version=version, ldflags=kubernetes_ldflags(version))
