"""deploy/kustomize/namespaced: the operator for some namespaces, with Roles only.

Only this overlay is applied, to a separate cluster whose audit log shows the operator's requests.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.control_plane.operators import OWN_CHANNEL, Operator, Operators
from tests.control_plane.sentences import expiring, replaced
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.deploy.audit import KUSTOMIZE, OPERATOR, Audited, audited, granted, rendered
from tests.deploy.schema import CRDS
from tests.deploy.test_rbac import allowed
from tests.scenarios import secret
from tools.certificates import CertificateAuthority
from tools.control_plane import ApiClient, ApiError
from tools.helm import Helm
from tools.slack_server import SlackServer

SYSTEM, SERVED, OTHER = "clientcert-system", "integration-api", "another-team"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """With two namespaces, of which the overlay serves one."""
    with audited(tmp_path_factory.mktemp("namespaced")) as running:
        for name in (SERVED, OTHER):
            running.control_plane.create_namespace(name)
        running.control_plane.apply_kustomize(CRDS, KUSTOMIZE / "namespaced")
        yield running


@pytest.fixture(scope="module")
def teams(cluster: Audited, slack: SlackServer, authority: CertificateAuthority) -> dict[str, Team]:
    """One team in each namespace, each with a certificate that expires in 20 days."""
    teams = {name: Team(cluster.control_plane, name, slack, authority) for name in (SERVED, OTHER)}
    for team in teams.values():
        team.hand_out("nhs", days=20)
    return teams


@pytest.fixture(scope="module")
def operator(
    cluster: Audited, teams: dict[str, Team], slack: SlackServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    """Runs under the overlay's ServiceAccount and with its argument; it becomes ready, or this raises."""
    with Operators(cluster.control_plane, tmp_path_factory.mktemp("operators"), slack).running(SERVED) as running:
        running.settle()
        yield running


def test_the_stored_objects_are_the_applied_ones(cluster: Audited) -> None:
    """kubectl accepts it, and nothing is pruned, changed by a default or refused."""
    assert cluster.control_plane.kubectl("diff", "-k", KUSTOMIZE / "namespaced") == ""


def test_it_has_no_right_anywhere_else(cluster: Audited) -> None:
    """By the API server's answer: nothing in other namespaces or cluster-wide; in its own namespace, no Secret."""
    assert allowed(cluster.control_plane, OPERATOR, OTHER) == set()
    assert allowed(cluster.control_plane, OPERATOR, "") == set()
    assert allowed(cluster.control_plane, OPERATOR, SYSTEM) == {("create", "coordination.k8s.io/leases")}


def test_it_serves_its_namespace(teams: dict[str, Team], operator: Operator) -> None:
    """It is ready, reads the certificate, writes the status, and sends to Slack and as Events; then the closing
    message.
    """
    team = teams[SERVED]
    assert operator.get("/readyz")[0] == 200
    assert team.condition("nhs", "Ready") == ("True", "ExpiringSoon")
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20)])
    assert "Expiring" in team.events("nhs")
    new = team.renew("nhs", days=365)
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20), replaced("nhs", new)])
    until(lambda: "Renewed" in team.events("nhs"))


def test_it_never_touches_another_namespace(cluster: Audited, teams: dict[str, Team], operator: Operator) -> None:
    """Objects there have no status, no Event and no message; the API server got no request about them."""
    team = teams[OTHER]
    operator.settle()
    assert (team.status("nhs"), team.items("Event"), team.notified("nhs")) == ({}, [], [])
    assert {asked.namespace for asked in cluster.asked()} == {SERVED, SYSTEM}
    assert [asked for asked in cluster.asked() if not asked.allowed] == []


def test_its_watches_are_those_of_its_namespace(cluster: Audited, operator: Operator) -> None:
    """Four watches: our three kinds and the metadata of Secrets; none is cluster-wide, or of CRDs or namespaces."""
    watched = {(asked.right.resource, asked.namespace) for asked in cluster.asked() if asked.right.verb == "watch"}
    kinds = (
        *("clientcertificates", "certificatepolicies", "certificatestores"),
        *("certificaterenewals", "certificaterevocations"),
    )
    assert watched == {("/secrets", SERVED), *((f"clientcert.dev/{kind}", SERVED) for kind in kinds)}


def test_the_right_to_list_secrets_reads_every_secret_there(
    cluster: Audited, teams: dict[str, Team], tmp_path: Path
) -> None:
    """A stolen token of the operator reads each Secret of a served namespace, although the operator itself reads only
    the
    metadata of Secrets that nothing refers to. docs/security.md warns of that. Elsewhere the token reads nothing.
    """
    control_plane = cluster.control_plane
    teams[SERVED].apply(secret("unrelated", password="correct horse"))
    account = control_plane.service_account_kubeconfig(SYSTEM, "clientcert-operator", tmp_path / "kubeconfig")
    token = json.loads(account.read_text())["users"][0]["user"]["token"]
    thief = ApiClient(control_plane.url, control_plane.ca_path, token)
    stolen = thief.request("GET", teams[SERVED].path("Secret"))["items"]
    assert {each["metadata"]["name"]: each["data"] for each in stolen}["unrelated"] == {
        "password": base64.b64encode(b"correct horse").decode()
    }
    for path in (teams[OTHER].path("Secret"), f"/api/v1/namespaces/{SYSTEM}/secrets", "/api/v1/secrets"):
        with pytest.raises(ApiError, match="forbidden"):
            thief.request("GET", path)


def test_each_namespace_that_is_named_has_its_roles(cluster: Audited) -> None:
    """The arguments and the roles agree: each namespace has its roles, and no role is for another namespace."""
    objects = rendered(cluster.control_plane, KUSTOMIZE / "namespaced")
    assert served(objects) == [SERVED]
    assert {each["metadata"]["namespace"] for each in objects if each["kind"] == "RoleBinding"} == {SERVED, SYSTEM}


def test_a_second_namespace_is_one_word(cluster: Audited, helm: Helm) -> None:
    """The namespaces are listed once: with one more there, it has the same rights, and the rules hold in it."""
    shipped = yaml.safe_load((KUSTOMIZE / "namespaced/values.yaml").read_text())
    values = ("--values", KUSTOMIZE / "values.yaml")
    more = {"includeNamespaces": [*shipped["includeNamespaces"], OTHER]}
    text = helm.template("--no-hooks", *values, release="clientcert-operator", namespace=SYSTEM, values=more)
    objects = [each for each in yaml.safe_load_all(text) if each]
    assert served(objects) == [SERVED, OTHER]
    assert granted(objects, SERVED) == granted(objects, OTHER) != set()
    selectors = [
        each["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
        for each in objects
        if each["kind"] == "ValidatingAdmissionPolicyBinding"
    ]
    assert selectors == [[{"key": "kubernetes.io/metadata.name", "operator": "In", "values": [SERVED, OTHER]}]] * 4
    cluster.control_plane.kubectl("apply", "--dry-run=server", "-f", "-", input=text)


def served(objects: list[dict[str, Any]]) -> list[str]:
    """The namespaces that the Deployment names to the operator."""
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return [argument.removeprefix("--namespace=") for argument in container["args"] if argument != "run"]
