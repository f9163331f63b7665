"""The API server of another version of Kubernetes: its go.mod, and the directory where it is found."""

from pathlib import Path

import pytest

from tools.control_plane.components import (
    ETCD,
    GO_MODULES,
    KUBE_APISERVER,
    OLDEST_KUBERNETES_VERSION,
    control_plane_directory,
    required_version,
    versitygw_directory,
)
from tools.control_plane.kubernetes_module import go_mod
from tools.control_plane.kubernetes_versions import find_or_build_kubernetes

OWN = """\
module k8s.io/kubernetes

go 1.22.0

require (
	k8s.io/api v0.0.0
	k8s.io/klog/v2 v2.120.1
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/client-go => ./staging/src/k8s.io/client-go
)
"""


def test_staging_modules_are_replaced_by_those_that_were_published() -> None:
    """Under v0.x.y for Kubernetes v1.x.y; nothing else is replaced."""
    text = go_mod("1.30.4", OWN, "k8s.io/kubernetes/cmd/kube-apiserver")
    assert [line.strip() for line in text.splitlines() if "=>" in line] == [
        "k8s.io/api => k8s.io/api v0.30.4",
        "k8s.io/client-go => k8s.io/client-go v0.30.4",
    ]
    assert "\ntool k8s.io/kubernetes/cmd/kube-apiserver\n" in text
    assert "\nrequire k8s.io/kubernetes v1.30.4 // indirect\n" in text


def test_the_oldest_version_is_pinned_as_a_whole() -> None:
    """The staging modules have the same version, and go.sum has their hashes."""
    directory = GO_MODULES / "kubernetes-oldest"
    staging = f"v0.{OLDEST_KUBERNETES_VERSION.partition('.')[2]}"
    replaced = [line.split() for line in (directory / "go.mod").read_text().splitlines() if "=>" in line]
    assert len(replaced) > 20
    assert {version for *_, version in replaced} == {staging}
    hashes = (directory / "go.sum").read_text()
    for path in ("k8s.io/api", "k8s.io/apiserver", "k8s.io/apiextensions-apiserver"):
        assert f"\n{path} {staging} h1:" in hashes
    assert f"\nk8s.io/kubernetes v{required_version('kubernetes-oldest', 'k8s.io/kubernetes')} h1:" in hashes


@pytest.fixture
def usual_etcd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a cache that has each program of the usual version, and kube-apiserver of 1.30.7."""
    usual = tmp_path / "usual"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(usual))
    for directory, name in (
        (usual, KUBE_APISERVER.name),
        (usual, ETCD.name),
        (usual, "kubectl"),
        (versitygw_directory(), "versitygw"),
        (control_plane_directory("1.30.7"), KUBE_APISERVER.name),
    ):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).touch()
    return usual / ETCD.name


def test_a_server_that_was_built_is_used_with_the_usual_etcd(usual_etcd: Path) -> None:
    for _ in range(2):
        found = find_or_build_kubernetes("1.30.7")
        assert found == control_plane_directory("1.30.7")
        assert (found / ETCD.name).resolve() == usual_etcd


def test_a_link_to_an_etcd_that_was_deleted_is_replaced(usual_etcd: Path) -> None:
    """The usual one is in another directory after a change of its version."""
    link = control_plane_directory("1.30.7") / ETCD.name
    link.symlink_to(usual_etcd.with_name("deleted"))
    find_or_build_kubernetes("1.30.7")
    assert link.resolve() == usual_etcd


def test_an_etcd_of_its_own_is_kept(usual_etcd: Path) -> None:
    """The envtest archive has one."""
    own = control_plane_directory("1.30.7") / ETCD.name
    own.touch()
    find_or_build_kubernetes("1.30.7")
    assert not own.is_symlink()
