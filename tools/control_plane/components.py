"""The programs that are found or built, their versions, and the directories that they are kept in.

Versions are declared once, in the go.mod files beside this module.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GO_MODULES = Path(__file__).parent / "go"

# The newest envtest archive of the usual minor version; not every patch version has one.
ENVTEST_VERSION = "1.36.2"
MINIMUM_KUBECTL = (1, 30)
MINIMUM_GO = (1, 26)


def required_version(go_module: str, path: str) -> str:
    """The version of a module that go.mod requires, without its `v`."""
    text = (GO_MODULES / go_module / "go.mod").read_text()
    match = re.search(rf"^\s*(?:require )?{re.escape(path)} v(\S+)", text, re.MULTILINE)
    if match is None:
        raise LookupError(f"{path} is not required by {go_module}/go.mod")
    return match[1]


KUBERNETES_VERSION = required_version("kubernetes", "k8s.io/kubernetes")
OLDEST_KUBERNETES_VERSION = required_version("kubernetes-oldest", "k8s.io/kubernetes")
"""The oldest one that the README names; `make compat` tests it."""
VERSITYGW_VERSION = required_version("versitygw", "github.com/versity/versitygw")
HELM_VERSION = required_version("helm", "helm.sh/helm/v3")
CRANE_VERSION = required_version("crane", "github.com/google/go-containerregistry")


@dataclass(frozen=True)
class GoTool:
    """A program that is built from the Go module proxy."""

    name: str
    package: str
    go_module: str  # the directory of its go.mod, below GO_MODULES or absolute
    version: str
    usual_time: str  # of a build with an empty cache on 2 cores; the first program includes the shared packages
    ldflags: str = "-s -w"


def kubernetes_ldflags(version: str) -> str:
    """The linker's flags of a program of Kubernetes, which would not know its version otherwise."""
    return f"-s -w -X k8s.io/component-base/version.gitVersion=v{version}"


ETCD = GoTool(
    name="etcd",
    package="go.etcd.io/etcd/server/v3",
    go_module="kubernetes",
    version=required_version("kubernetes", "go.etcd.io/etcd/server/v3"),
    usual_time="1 to 2 minutes",
)
KUBE_APISERVER = GoTool(
    name="kube-apiserver",
    package="k8s.io/kubernetes/cmd/kube-apiserver",
    go_module="kubernetes",
    version=KUBERNETES_VERSION,
    usual_time="4 to 6 minutes",
    ldflags=kubernetes_ldflags(KUBERNETES_VERSION),
)
KUBECTL = GoTool(
    name="kubectl",
    package="k8s.io/kubernetes/cmd/kubectl",
    go_module="kubernetes",
    version=KUBERNETES_VERSION,
    usual_time="1 minute",
    ldflags=kubernetes_ldflags(KUBERNETES_VERSION),
)
VERSITYGW = GoTool(
    name="versitygw",
    package="github.com/versity/versitygw/cmd/versitygw",
    go_module="versitygw",
    version=VERSITYGW_VERSION,
    usual_time="2 minutes",
)

_HELM_KUBERNETES_MINOR = required_version("helm", "k8s.io/client-go").split(".")[1]
_HELM_LDFLAGS = {
    "helm.sh/helm/v3/internal/version.version": f"v{HELM_VERSION}",
    # `helm template` and `helm lint` assume this version of Kubernetes, as in a release of helm.
    **{
        f"helm.sh/helm/v3/pkg/{package}.k8sVersion{part}": number
        for package in ("chartutil", "lint/rules")
        for part, number in (("Major", "1"), ("Minor", _HELM_KUBERNETES_MINOR))
    },
}
HELM = GoTool(
    name="helm",
    package="helm.sh/helm/v3/cmd/helm",
    go_module="helm",
    version=HELM_VERSION,
    usual_time="2 to 4 minutes",
    ldflags=" ".join(["-s -w", *(f"-X {name}={value}" for name, value in _HELM_LDFLAGS.items())]),
)
CRANE = GoTool(
    name="crane",
    package="github.com/google/go-containerregistry/cmd/crane",
    go_module="crane",
    version=CRANE_VERSION,
    usual_time="10 to 30 seconds",
)


def cache_directory() -> Path:
    """The directory of binaries that stay between runs: below `$XDG_CACHE_HOME`, or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "clientcert"


def control_plane_directory(version: str) -> Path:
    """The directory of etcd, kube-apiserver and kubectl, with the layout of an envtest archive."""
    return cache_directory() / "control-plane" / version


def versitygw_directory() -> Path:
    """The directory of the S3 server."""
    return cache_directory() / "versitygw" / VERSITYGW_VERSION


def helm_directory() -> Path:
    """The directory of helm."""
    return cache_directory() / "helm" / HELM_VERSION


def crane_directory() -> Path:
    """The directory of the registry and its client."""
    return cache_directory() / "crane" / CRANE_VERSION


@contextmanager
def incomplete(directory: Path) -> Iterator[Path]:
    """A temporary directory in `directory` for incomplete files, so that a rename out of it is atomic.

    It first removes the files that a killed run left there. The caller holds the lock between processes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob(".incomplete-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".incomplete-") as temporary:
        yield Path(temporary)
