"""The operator has exactly the rights that it uses, as the API server's audit log shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control_plane.operators import Operators
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import until
from tests.deploy.audit import KUSTOMIZE, Audited, Right, audited, granted, rendered
from tests.scenarios import certificate_policy, certificate_store, in_store, secret, slack_channel, store_credentials
from tools.certificates import CertificateAuthority
from tools.slack_server import SlackServer

SYSTEM, SERVED, OTHER = "clientcert-system", "integration-api", "another-team"
MERGE_PATCH = "application/merge-patch+json"
GET_CERTIFICATE = Right("get", "clientcert.dev/clientcertificates")


@pytest.fixture(scope="module", params=["base", "namespaced"])
def overlay(request: pytest.FixtureRequest) -> Path:
    """Both ways to install the operator."""
    return KUSTOMIZE / str(request.param)


@pytest.fixture(scope="module")
def installed(overlay: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """Only this overlay, in a separate cluster."""
    with audited(tmp_path_factory.mktemp(f"audited-{overlay.name}")) as running:
        for name in (SERVED, OTHER):
            running.control_plane.create_namespace(name)
        running.control_plane.apply_kustomize(overlay)
        yield running


@pytest.fixture(scope="module")
def requests(
    overlay: Path,
    installed: Audited,
    slack: SlackServer,
    authority: CertificateAuthority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Audited:
    """Two days with all its features: alerts, a renewal, a broken store, a policy, contacts, a write conflict."""
    team = Team(installed.control_plane, SERVED, slack, authority)
    operators = Operators(installed.control_plane, tmp_path_factory.mktemp("operators"), slack)
    namespace = SERVED if overlay.name == "namespaced" else ""
    policy = certificate_policy("team", slack_channel("team", "#team", "slack"))
    policy["spec"]["contacts"] = {"directoryRef": {"name": "clients"}}
    team.apply(
        secret("slack", token=slack.tokens[1]),
        policy,
        store_credentials("credentials", "access-key", "secret-key"),
        certificate_store("backup", "a-bucket", slack.url, "credentials"),
    )
    team.hand_out("nhs", days=20, policyRef={"name": "team"})
    team.declare("weather", source=in_store("backup", "weather/client.pem"))
    with operators.running(namespace) as operator:
        operator.settle(reconciles=2)
        until(lambda: edited_until_it_was_read_again(team, installed))
    with operators.running(namespace, later=DAY) as operator:
        operator.settle(reconciles=2)
    return installed


def edited_until_it_was_read_again(team: Team, installed: Audited) -> bool:
    """Renew it and edit it during its status write: the write conflicts, and the object is read again."""
    path = team.path("ClientCertificate", "nhs")
    team.renew("nhs", days=21)
    for number in range(40):
        label = {"metadata": {"labels": {"edited": str(number)}}}
        team.api.request("PATCH", path, label, content_type=MERGE_PATCH)
    return GET_CERTIFICATE in installed.rights_used()


def test_every_right_is_used_and_none_is_missing(overlay: Path, requests: Audited) -> None:
    """The operator uses each granted verb on each resource, and requests no other."""
    objects = rendered(requests.control_plane, overlay)
    where = SERVED if overlay.name == "namespaced" else ""
    assert requests.rights_used() == granted(objects, where) | granted(objects, SYSTEM)
    assert [asked for asked in requests.asked() if not asked.allowed] == []


def test_it_reads_only_referenced_objects_by_name(requests: Audited) -> None:
    """Of Secrets, only referenced ones; in its own namespace, only the Lease."""
    asked = requests.asked()
    read = {each.name for each in asked if each.right == Right("get", "/secrets")}
    assert read == {"slack", "credentials", "nhs-cert"}
    assert {each.name for each in asked if each.right == Right("get", "/configmaps")} == {"clients"}
    system = {each.right.resource for each in asked if each.namespace == SYSTEM}
    assert system == {"coordination.k8s.io/leases"}
