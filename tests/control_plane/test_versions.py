"""Versions in the cluster: those of the kinds, that of the leader in its Lease, and `clientcert version`.

Only deploy/kustomize/namespaced is applied, to a separate cluster: the operator needs no right to read the kinds.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
import yaml

from clientcert import __version__
from clientcert.kube.client import KubeClient
from clientcert.kube.kubeconfig import load_connection
from clientcert.kube.leader_election import LeaderElector
from clientcert.versions import TITLE_PREFIX, VERSION_KEY
from tests.control_plane.operators import LEASE, Operator, Operators
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.control_plane.waiting import eventually, until
from tests.deploy.audit import KUSTOMIZE
from tests.deploy.schema import CRDS, crds
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane
from tools.slack_server import SlackServer

SERVED, SYSTEM = "integration-api", "clientcert-system"
PLURALS = sorted(crd["spec"]["names"]["plural"] for crd in crds().values())
OLD, NEW = "0.0.1", "99.0.0"
_PATIENCE_SECONDS = 20.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane.start(tmp_path_factory.mktemp("versions")) as running:
        running.create_namespace(SERVED)
        running.apply_kustomize(CRDS, KUSTOMIZE / "namespaced")
        yield running


@pytest.fixture(scope="module")
def operators(cluster: ControlPlane, slack: SlackServer, tmp_path_factory: pytest.TempPathFactory) -> Operators:
    return Operators(cluster, tmp_path_factory.mktemp("operators"), slack)


@pytest.fixture
def admin(cluster: ControlPlane, slack: SlackServer, authority: CertificateAuthority, tmp_path: Path) -> Terminal:
    return Terminal(Team(cluster, SERVED, slack, authority), tmp_path)


@pytest.fixture
def somebody(cluster: ControlPlane, admin: Terminal, tmp_path: Path) -> Terminal:
    """A user without any right."""
    accounts = f"/api/v1/namespaces/{SERVED}/serviceaccounts"
    if not any(each["metadata"]["name"] == "somebody" for each in cluster.api.request("GET", accounts)["items"]):
        cluster.api.request("POST", accounts, {"metadata": {"name": "somebody"}})
    found = cluster.service_account_kubeconfig(SERVED, "somebody", tmp_path / "somebody")
    token = json.loads(found.read_text())["users"][0]["user"]["token"]
    (tmp_path / "home").mkdir()
    return replace(admin, directory=tmp_path / "home", token=token)


def install_kinds(cluster: ControlPlane, version: str, *plurals: str) -> None:
    """Give the kinds this version, as if those of another version were applied."""
    patch = [
        {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/title", "value": TITLE_PREFIX + version}
    ]
    for plural in plurals or PLURALS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.clientcert.dev"
        cluster.api.request("PATCH", path, patch, content_type="application/json-patch+json")


@pytest.fixture
def other_kinds(cluster: ControlPlane) -> Iterator[Callable[..., None]]:
    """Installs kinds of another version, until the end of the test."""
    yield partial(install_kinds, cluster)
    install_kinds(cluster, __version__)
    until(lambda: set(titles(cluster)) == {TITLE_PREFIX + __version__})


def titles(cluster: ControlPlane) -> list[str]:
    """Those in the OpenAPI document, which the API server makes anew a moment after a change."""
    document = cluster.api.request("GET", "/openapi/v3/apis/clientcert.dev/v1alpha1")
    return [each["title"] for each in document["components"]["schemas"].values() if each.get("title")]


def test_people_see_the_version_of_each_kind(cluster: ControlPlane) -> None:
    """As a column of `kubectl get crd`."""
    found = cluster.kubectl("get", "crd", "-L", VERSION_KEY, "--no-headers").splitlines()
    assert sorted(line.split()[0] for line in found) == [f"{plural}.clientcert.dev" for plural in PLURALS]
    assert {line.split()[-1] for line in found} == {__version__}


def skew(operator: Operator) -> dict[str, float]:
    """By component. The kinds are read after the start."""
    return {labels["component"]: value for labels, value in operator.series("clientcert_version_skew")}


class TestOperator:
    def test_its_version_is_in_its_lease(self, cluster: ControlPlane, operators: Operators) -> None:
        """Also after its end. Nothing differs, so nothing is said."""
        with operators.running(SERVED) as operator:
            until(lambda: operator.metric("clientcert_leader") == 1)
            eventually(lambda: skew(operator), {"kinds": 0, "leader": 0})
        lease = cluster.api.request("GET", LEASE)
        assert (lease["metadata"]["annotations"], lease["spec"].get("holderIdentity")) == (
            {VERSION_KEY: __version__},
            None,
        )
        assert "version" not in operator.process.log_text()

    @pytest.mark.parametrize(("version", "value", "words"), [(OLD, -1, "older"), (NEW, 1, "newer")])
    def test_other_kinds_are_seen(
        self, operators: Operators, other_kinds: Callable[..., None], version: str, value: int, words: str
    ) -> None:
        """Without a right to read CustomResourceDefinitions."""
        other_kinds(version, "certificatestores")
        until(lambda: TITLE_PREFIX + version in titles(operators.control_plane))
        with operators.running(SERVED) as operator:
            eventually(lambda: skew(operator).get("kinds"), value)
        [line] = [each for each in operator.process.log_text().splitlines() if "The kinds are" in each]
        assert f"The kinds are {words} than this operator" in line
        assert f"has version {__version__}; others have: certificatestores {version}." in line


Elect = Callable[[str], LeaderElector]


@pytest.fixture
async def elect(cluster: ControlPlane) -> AsyncIterator[Elect]:
    """Starts an elector of this version; all compete for one Lease, and stop at the end of the test."""
    login = partial(load_connection, cluster_host="", cluster_port="", kubeconfig=str(cluster.kubeconfig), context="")
    async with AsyncExitStack() as stack:

        def started(version: str) -> LeaderElector:
            client = KubeClient(login)
            stack.push_async_callback(client.close)
            elector = LeaderElector(client, SERVED, version, lambda: datetime.now(UTC), "of-versions", version)
            stack.callback(asyncio.create_task(elector.run()).cancel)
            return elector

        yield started


async def reached(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not what():
            await asyncio.sleep(0.02)


async def test_the_lease_tells_each_replica_who_leads(
    cluster: ControlPlane, elect: Elect, caplog: pytest.LogCaptureFixture
) -> None:
    """During a roll-out the standby sees the older leader; then it leads, and names its predecessor."""
    caplog.set_level(logging.INFO, logger="clientcert.kube.leader_election")
    old = elect("0.1.0")
    await reached(lambda: old.is_leader)
    new = elect("0.2.0")
    await reached(lambda: new.leader_version is not None)
    assert (old.leader_version, new.leader_version) == ("0.1.0", "0.1.0")
    old.resign()
    await old.release()
    await reached(lambda: new.is_leader)
    assert new.leader_version == "0.2.0"
    path = f"/apis/coordination.k8s.io/v1/namespaces/{SERVED}/leases/of-versions"
    assert cluster.api.request("GET", path)["metadata"]["annotations"] == {VERSION_KEY: "0.2.0"}
    said = "This replica has version 0.2.0, and the leader before it had version 0.1.0"
    assert caplog.messages.count(said) == 1


class TestCommand:
    @pytest.fixture(autouse=True)
    def has_led(self, cluster: ControlPlane, operators: Operators) -> None:
        with operators.running(SERVED) as operator:
            until(lambda: operator.metric("clientcert_leader") == 1)

    def test_all_parts_are_of_one_version(self, admin: Terminal) -> None:
        rows = [line.split(maxsplit=2) for line in admin.succeeds("version").splitlines()]
        assert rows[:3] == [
            ["PART", "VERSION", "ABOUT"],
            ["clientcert", __version__, "this program"],
            ["operator", __version__, "no replica leads now"],
        ]
        assert sorted(rows[3:]) == [[plural, __version__, "kind"] for plural in PLURALS]

    def test_it_is_written_for_programs(self, admin: Terminal) -> None:
        found = json.loads(admin.succeeds("version", "-o", "json"))
        assert found == yaml.safe_load(admin.succeeds("version", "-o", "yaml"))
        assert found["client"] == {"version": __version__}
        assert (found["operator"]["version"], found["operator"]["leader"]) == (__version__, None)
        assert sorted(each["name"] for each in found["kinds"]) == PLURALS
        assert found["differences"] == []

    def test_the_leader_is_named(self, admin: Terminal, operators: Operators) -> None:
        with operators.running(SERVED) as operator:
            until(lambda: operator.metric("clientcert_leader") == 1)
            assert admin.succeeds("version").splitlines()[2].endswith(" leads")

    @pytest.mark.parametrize(("version", "words"), [(OLD, "older than the operator"), (NEW, "newer than the operator")])
    def test_other_kinds_are_a_no(
        self, admin: Terminal, other_kinds: Callable[..., None], version: str, words: str
    ) -> None:
        """3, with what to do; the table is printed nevertheless."""
        other_kinds(version)
        until(lambda: set(titles(admin.team.control_plane)) == {TITLE_PREFIX + version})
        ran = admin.clientcert("version")
        assert (ran.returncode, ran.stderr.startswith(f"Error: The kinds are {words}")) == (3, True)
        assert ran.stderr.count("\n") == 1
        assert ran.stdout.count(version) == len(PLURALS)

    def test_a_user_without_rights_sees_the_kinds(self, somebody: Terminal) -> None:
        """Not the Lease. That is said, and it is no difference."""
        said = somebody.succeeds("version")
        assert said.count(f"{__version__}    kind") == len(PLURALS)
        assert "The operator's version is not known: Lease clientcert-operator in namespace clientcert-system" in said

    def test_another_namespace_has_no_operator(self, admin: Terminal) -> None:
        ran = admin.clientcert("version", "-n", SERVED)
        assert (ran.returncode, "There is no Lease clientcert-operator in namespace" in ran.stderr) == (3, True)

    @pytest.mark.parametrize("arguments", [("-n", "../../nodes"), ("--lease", "a/b")])
    def test_a_name_becomes_no_path(self, admin: Terminal, arguments: tuple[str, ...]) -> None:
        ran = admin.clientcert("version", *arguments)
        assert (ran.returncode, "is not a valid name of a" in ran.stderr) == (2, True)


def test_a_cluster_without_kinds(
    slack: SlackServer, authority: CertificateAuthority, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ControlPlane.start(tmp_path_factory.mktemp("empty")) as empty:
        empty.create_namespace(SERVED)
        ran = Terminal(Team(empty, SERVED, slack, authority), tmp_path).clientcert("version")
    assert ran.returncode == 3
    assert "No kind is installed" in ran.stderr
    assert ran.stdout.count("not installed") == len(PLURALS)
