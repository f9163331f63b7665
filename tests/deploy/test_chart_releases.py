"""Releases of the chart on a real API server, by the real helm: their life, and two side by side."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clientcert.kube.admission_proof import AdmissionProof
from clientcert.kube.client import KubeClient
from clientcert.kube.kubeconfig import load_connection
from tests.control_plane.waiting import eventually, until
from tests.deploy.cases import manifests
from tests.deploy.chart import NAMESPACE, RELEASE, Object, environment_of, loaded, merged, nested, objects_of
from tools.control_plane import ControlPlane, ControlPlaneError, OperatorProcess
from tools.helm import CHART, Helm, HelmError

SLACK = {"slack": {"channel": "#certificates", "webhookURL": "https://hooks.slack.example/1"}}
TEAMS = {
    "team-a": merged({"includeNamespaces": ["a"]}, nested("crds.enabled", True)),
    "team-b": merged({"includeNamespaces": ["b-1", "b-2"]}, nested("crds.enabled", False)),
}
"""By release: its values. One of them has the kinds."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With nothing in it but namespaces."""
    with ControlPlane.start(tmp_path_factory.mktemp("releases")) as running:
        for name in ("a", "b-1", "b-2"):
            running.create_namespace(name)
        yield running


@pytest.fixture(scope="module")
def installer(cluster: ControlPlane, helm: Helm) -> Helm:
    return replace(helm, kubeconfig=cluster.kubeconfig)


class Release:
    """One release, and what it has in the cluster."""

    def __init__(self, cluster: ControlPlane, helm: Helm, name: str, namespace: str) -> None:
        self._cluster, self._helm = cluster, helm
        self.name, self.namespace = name, namespace

    def install(self, values: dict[str, Any]) -> None:
        self._helm.run("install", self.name, CHART, "-n", self.namespace, "--create-namespace", values=values)
        self._cluster.apply_kustomize()

    def run(self, verb: str, *arguments: str | Path, values: dict[str, Any] | None = None) -> str:
        return self._helm.run(verb, self.name, *arguments, "-n", self.namespace, values=values)

    def manifest(self) -> list[Object]:
        return loaded(self._helm.run("get", "manifest", self.name, "-n", self.namespace))

    def left(self, objects: list[Object]) -> list[str]:
        """Those of the objects that are in the cluster, as `kind/name`."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        return self._cluster.kubectl("get", "--ignore-not-found", "-o", "name", "-f", "-", input=text).split()

    def annotations(self) -> dict[str, str]:
        """Of the pods, in the Deployment that is stored."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"
        found: dict[str, str] = self._cluster.api.request("GET", path)["spec"]["template"]["metadata"]["annotations"]
        return found


def test_install_upgrade_rollback_and_uninstall_keep_all_objects(cluster: ControlPlane, installer: Helm) -> None:
    """Until somebody deletes the kinds on purpose. A release of the same name takes them over again."""
    release = Release(cluster, installer, RELEASE, NAMESPACE)
    release.install({})
    objects = release.manifest()
    assert len(release.left(objects)) == len(objects)
    certificate = {key: value for key, value in manifests()["from-secret"].items() if key != "status"}
    path = "/apis/clientcert.dev/v1alpha1/namespaces/a/clientcertificates"
    stored = cluster.api.request("POST", path, certificate)["metadata"]["uid"]

    before = release.annotations()
    release.run("upgrade", CHART, values=SLACK)
    assert release.annotations() != before
    release.run("rollback", "1")
    assert release.annotations() == before

    release.run("uninstall")
    kept = release.left(objects)
    assert [each for each in kept if not each.startswith("customresourcedefinition.")] == []
    assert len(kept) == 5
    assert cluster.api.request("GET", f"{path}/from-secret")["metadata"]["uid"] == stored
    release.install({})
    assert cluster.api.request("GET", f"{path}/from-secret")["metadata"]["uid"] == stored
    release.run("uninstall")
    cluster.kubectl("delete", "crd", *(each.partition("/")[2] for each in kept))


def test_the_operator_goes_back_and_the_kinds_stay(cluster: ControlPlane, installer: Helm) -> None:
    """As docs/upgrade.md says: without `crds.enabled` the release leaves them, and with it takes them over again."""
    release = Release(cluster, installer, RELEASE, NAMESPACE)
    release.install({})
    kinds = [each for each in release.manifest() if each["kind"] == "CustomResourceDefinition"]
    certificate = {key: value for key, value in manifests()["from-secret"].items() if key != "status"}
    path = "/apis/clientcert.dev/v1alpha1/namespaces/a/clientcertificates"
    certificate = {**certificate, "metadata": {"name": "goes-back"}}
    stored = cluster.api.request("POST", path, certificate)["metadata"]["uid"]
    release.run("upgrade", CHART, values=nested("crds.enabled", False))
    assert len(release.left(kinds)) == len(kinds) == 5
    release.run("upgrade", CHART, values=nested("crds.enabled", True))
    assert cluster.api.request("GET", f"{path}/goes-back")["metadata"]["uid"] == stored
    release.run("uninstall")
    cluster.kubectl("delete", "crd", *(each.partition("/")[2] for each in release.left(kinds)))


def test_without_crds_keep_they_go(cluster: ControlPlane, installer: Helm) -> None:
    release = Release(cluster, installer, "not-kept", "not-kept")
    release.install(nested("crds.keep", False))
    objects = release.manifest()
    release.run("uninstall")
    eventually(lambda: release.left(objects), [])  # the API server deletes the objects of a kind before the kind


def test_helm_takes_over_a_kustomization_if_it_is_asked_to(cluster: ControlPlane, installer: Helm) -> None:
    """As docs/install.md says. Without the option it refuses, and changes nothing."""
    text = installer.template(release="taken", namespace="taken", values=nested("crds.enabled", False))
    cluster.create_namespace("taken")
    cluster.kubectl("apply", "-f", "-", input=text)
    release = Release(cluster, installer, "taken", "taken")
    with pytest.raises(HelmError, match="cannot be imported into the current release"):
        release.run("install", CHART, values=nested("crds.enabled", False))
    release.run("install", CHART, "--take-ownership", values=nested("crds.enabled", False))
    release.run("uninstall")


@pytest.fixture(scope="module")
def side_by_side(cluster: ControlPlane, installer: Helm) -> dict[str, Release]:
    """Two releases, each in a namespace of its own."""
    releases = {name: Release(cluster, installer, name, f"{name}-system") for name in TEAMS}
    for name, values in TEAMS.items():
        releases[name].install(values)
    return releases


def account_of(cluster: ControlPlane, release: Release, path: Path) -> Path:
    """A kubeconfig of the release's ServiceAccount."""
    return cluster.service_account_kubeconfig(release.namespace, f"{release.name}-clientcert-operator", path)


async def prove(cluster: ControlPlane, release: Release, namespace: str, folder: Path) -> str:
    """True if the operator of the release finds its admission policies in force in the namespace."""
    account = account_of(cluster, release, folder / release.name)
    client = KubeClient(lambda: load_connection(cluster_host="", cluster_port="", kubeconfig=str(account), context=""))
    try:
        return await AdmissionProof(client, f"{release.name}-clientcert").prove(namespace)
    finally:
        await client.close()


@pytest.mark.parametrize(("name", "namespace"), [("team-a", "a"), ("team-b", "b-1"), ("team-b", "b-2")])
async def test_each_release_has_its_rules_in_its_namespaces(
    cluster: ControlPlane, side_by_side: dict[str, Release], tmp_path: Path, name: str, namespace: str
) -> None:
    """They have effect a moment after their creation."""
    said = "not asked yet"
    for _ in range(200):
        said = await prove(cluster, side_by_side[name], namespace, tmp_path)
        if not said:
            break
    assert said == ""


async def test_a_release_has_no_right_in_the_namespaces_of_another(
    cluster: ControlPlane, side_by_side: dict[str, Release], tmp_path: Path
) -> None:
    """No ClusterRole is bound to either."""
    assert await prove(cluster, side_by_side["team-a"], "b-1", tmp_path) != ""
    for name, release in side_by_side.items():
        kinds = {each["kind"] for each in release.manifest()}
        assert "ClusterRoleBinding" not in kinds
        user = f"system:serviceaccount:{release.namespace}:{name}-clientcert-operator"
        for namespace in ("a", "b-1", "b-2", "kube-system"):
            wanted = namespace in TEAMS[name]["includeNamespaces"]
            arguments = ("auth", "can-i", "get", "secrets", "-n", namespace, f"--as={user}")
            try:
                assert (cluster.kubectl(*arguments).strip() == "yes") == wanted
            except ControlPlaneError:
                assert not wanted


@pytest.fixture(scope="module")
def operators(
    cluster: ControlPlane, side_by_side: dict[str, Release], helm: Helm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, OperatorProcess]]:
    """The operator of each release, under its ServiceAccount, with the settings that its pod would have."""
    running: dict[str, OperatorProcess] = {}
    try:
        for name, release in side_by_side.items():
            directory = tmp_path_factory.mktemp(name)
            objects = objects_of(helm, TEAMS[name], release=name, namespace=release.namespace)
            variables = {**environment_of(objects, directory), "CLIENTCERT_LEASE_NAMESPACE": release.namespace}
            del variables["CLIENTCERT_PORT"]
            running[name] = OperatorProcess.start(
                cluster,
                directory=directory,
                args=[word for each in TEAMS[name]["includeNamespaces"] for word in ("--namespace", each)],
                env=variables,
                service_account=(release.namespace, f"{name}-clientcert-operator"),
            )
        yield running
    finally:
        for each in running.values():
            each.stop()


def status_of(cluster: ControlPlane, namespace: str) -> dict[str, Any]:
    path = f"/apis/clientcert.dev/v1alpha1/namespaces/{namespace}/clientcertificates/from-secret"
    found: dict[str, Any] = cluster.api.request("GET", path).get("status") or {}
    return found


@pytest.fixture(scope="module")
def declared(cluster: ControlPlane, operators: dict[str, OperatorProcess]) -> tuple[str, ...]:
    """The namespaces of both, with a certificate in each."""
    certificate = {key: value for key, value in manifests()["from-secret"].items() if key != "status"}
    namespaces = ("a", "b-1", "b-2")
    for namespace in namespaces:
        path = f"/apis/clientcert.dev/v1alpha1/namespaces/{namespace}/clientcertificates"
        cluster.api.request("POST", path, certificate)
    return namespaces


def test_both_lead_and_record(cluster: ControlPlane, declared: tuple[str, ...]) -> None:
    """Each has a Lease of its own, and the rules of one do not refuse the other's writes."""
    for namespace in declared:
        until(lambda where=namespace: status_of(cluster, where).get("phase"))
    for name in TEAMS:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{name}-system/leases/{name}-clientcert-operator"
        assert cluster.api.request("GET", path)["spec"]["holderIdentity"]


@pytest.mark.parametrize("leads", [True, False])
def test_helm_test_asks_for_readiness_and_a_leader(
    cluster: ControlPlane,
    side_by_side: dict[str, Release],
    operators: dict[str, OperatorProcess],
    tmp_path: Path,
    leads: bool,
) -> None:
    """The program of its pod, with the token of the release's ServiceAccount."""
    release = side_by_side["team-a"]
    kubeconfig = json.loads(account_of(cluster, release, tmp_path / "config").read_text())
    (tmp_path / "token").write_text(kubeconfig["users"][0]["user"]["token"])
    (tmp_path / "ca.crt").write_bytes(cluster.ca_path.read_bytes())
    leases = f"{cluster.url}/apis/coordination.k8s.io/v1/namespaces/{release.namespace}/leases"
    name = "team-a-clientcert-operator" if leads else "nobody"
    answer = subprocess.run(
        [sys.executable, CHART / "files/helm_test.py"],
        env={
            "PATH": os.defpath,
            "ACCOUNT": str(tmp_path),
            "READY_URL": f"{operators['team-a'].url}/readyz",
            "LEASE_URL": f"{leases}/{name}",
            "TEST_SECONDS": "20" if leads else "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (answer.returncode, answer.stdout.partition(":")[0].partition(";")[0]) == (
        (0, "ready") if leads else (1, "the Lease cannot be read")
    )


def test_one_of_two_releases_goes_and_the_other_stays(
    cluster: ControlPlane, side_by_side: dict[str, Release], declared: tuple[str, ...]
) -> None:
    """All its objects, and the kinds, also if the release that goes has installed them. This test is the last."""
    other = side_by_side["team-b"].manifest()
    side_by_side["team-a"].run("uninstall")
    assert len(side_by_side["team-b"].left(other)) == len(other)
    until(lambda: status_of(cluster, "b-1").get("phase"))
