"""The operator has exactly the rights that it uses, as the API server's audit log shows."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.control_plane.buckets import Backup, running_proxy
from tests.control_plane.discovering import CREATE as DISCOVERS
from tests.control_plane.discovering import DELETE as PRUNES
from tests.control_plane.discovering import Discovering
from tests.control_plane.operators import Operators
from tests.control_plane.renewal_rights import ROLES, RenewalsUnderAudit, Seen, optional_rights
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import until
from tests.deploy.audit import KUSTOMIZE, Audited, Right, audited, granted, rendered
from tests.deploy.schema import CRDS
from tests.scenarios import certificate_policy, certificate_store, in_store, secret, slack_channel, store_credentials
from tools.certificates import CertificateAuthority
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client
from tools.slack_server import SlackServer

SYSTEM, SERVED, OTHER = "clientcert-system", "integration-api", "another-team"
MERGE_PATCH = "application/merge-patch+json"
CERTIFICATE_REQUESTS = "cert-manager.io/certificaterequests"
CERTIFICATES = "clientcert.dev/clientcertificates"
GET_CERTIFICATE = Right("get", CERTIFICATES)


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
        running.control_plane.apply_kustomize(CRDS, overlay)
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


@dataclass(frozen=True)
class Phases:
    """The rights that were used and refused after each phase: without an optional role, and with one more each."""

    audited: Audited
    without: Seen
    roles: Mapping[str, Seen]


@pytest.fixture(scope="module")
def phases(overlay: Path, requests: Audited, renewals: RenewalsUnderAudit) -> Phases:
    """All features of alerts, then renewals without an optional role, then with each."""
    without = renewals.without_optional_roles()
    return Phases(requests, without, {role: renewals.with_role(role) for role in ROLES})


@pytest.fixture(scope="module")
def renewals(
    overlay: Path,
    installed: Audited,
    slack: SlackServer,
    authority: CertificateAuthority,
    tmp_path_factory: pytest.TempPathFactory,
) -> RenewalsUnderAudit:
    team = Team(installed.control_plane, SERVED, slack, authority)
    operators = Operators(installed.control_plane, tmp_path_factory.mktemp("operators"), slack)
    return RenewalsUnderAudit(team, installed, operators, SERVED if overlay.name == "namespaced" else "")


def test_every_right_is_used_and_none_is_missing(overlay: Path, phases: Phases) -> None:
    """The operator uses each granted verb on each resource, and misses none but those of the optional roles."""
    objects = rendered(phases.audited.control_plane, overlay)
    where = SERVED if overlay.name == "namespaced" else ""
    assert phases.without.used == granted(objects, where) | granted(objects, SYSTEM)
    missed = [right for role in ROLES for right in optional_rights(role)]
    assert phases.without.denied - set(missed) == set()
    assert phases.without.denied >= {
        Right("patch", "/secrets"), Right("create", "/configmaps"), Right("create", CERTIFICATE_REQUESTS)
    }  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_an_optional_role_grants_what_is_used_with_it(role: str, phases: Phases) -> None:
    """Each adds the rights that it grants and the base does not, and no other."""
    order = [phases.without, *phases.roles.values()]
    before, after = order[ROLES.index(role)], phases.roles[role]
    assert after.used - before.used == optional_rights(role) - phases.without.used
    assert after.used - before.used != set()
    assert phases.roles[ROLES[-1]].denied == phases.without.denied  # nothing else was refused since


@pytest.mark.parametrize("role", ROLES)
def test_a_condition_names_each_missing_role(role: str, phases: Phases) -> None:
    assert role in phases.without.conditions[role]


def test_it_reads_only_referenced_objects_by_name(phases: Phases) -> None:
    """Of Secrets, only referenced ones; of ConfigMaps, client lists and its own; in its own namespace, the Lease."""
    asked = phases.audited.asked()
    read = {each.name for each in asked if each.right == Right("get", "/secrets")}
    renewed = {"client-ca", "by-ca-cert", "by-ca-again-cert", "by-cert-manager-cert"}
    assert read == {"slack", "credentials", "nhs-cert"} | renewed
    lists = {each.name for each in asked if each.right == Right("get", "/configmaps")} - {"clients"}
    own = r"(client-ca|clients)-(revocations(-\d+)?|crl)|clientcert-revocation-lists"
    assert all(re.fullmatch(own, each) for each in lists)
    system = {each.right.resource for each in asked if each.namespace == SYSTEM}
    assert system == {"coordination.k8s.io/leases"}


def test_discovery_uses_what_its_roles_grant(
    overlay: Path,
    phases: Phases,
    slack: SlackServer,
    authority: CertificateAuthority,
    s3: tuple[S3Server, S3Client],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It creates, and where it prunes it deletes; besides that it reads what it deletes. Nothing else is new."""
    audited, (server, client) = phases.audited, s3
    before = audited.rights_used()
    operators = Operators(audited.control_plane, tmp_path_factory.mktemp("operators"), slack)
    served = SERVED if overlay.name == "namespaced" else ""
    with running_proxy(server) as proxy:
        found = Discovering(Backup(Team(audited.control_plane, SERVED, slack, authority), server, client, proxy))
        found.prepare(DISCOVERS, PRUNES)
        try:
            found.upload("found-a", "found-b")
            found.discover(mode="Create", prune=True)
            with operators.running(served):
                until(lambda: {"found-a-prod", "found-b-prod"} <= found.names(), seconds=60)
                until(lambda: found.backup.team.phase("found-a-prod"))
            assert Right("delete", CERTIFICATES) not in audited.rights_used()
            found.remove("found-a")
            with operators.running(served, later=DAY):
                until(lambda: found.backup.team.phase("found-a-prod"), lambda phase: phase == "Missing", seconds=60)
            with operators.running(served, later=9 * DAY):
                until(lambda: "found-a-prod" not in found.names(), seconds=60)
        finally:
            client.delete_bucket(found.backup.bucket)
    assert audited.rights_used() - before == {Right("delete", CERTIFICATES)}
    assert "found-b-prod" in found.names()
