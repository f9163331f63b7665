"""The deeds of a dishonest requester, editor or approver in the cluster, of which nothing comes."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import REPOSITORY
from tests.control_plane.renewal_scene import LABEL, MERGE_PATCH, PATIENCE, RenewalScene, public_key_pem
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.deploy.people import Person, person
from tests.deploy.people import operator as operator_user
from tests.scenarios import secret
from tools.certificates import make_private_key
from tools.control_plane import ApiError, ControlPlane

pytestmark = pytest.mark.usefixtures("operator")  # without a mail server: what is signed is left for retrieval

ADMISSION = REPOSITORY / "deploy/kustomize/base/admission.yaml"


class TestApprovals:
    @pytest.mark.parametrize("field", ["keyHash", "recipientHash"])
    def test_of_another_key_or_recipient(self, field: str, scene: RenewalScene) -> None:
        """An approval is for the key and the recipient that the status shows, or is refused."""
        name = scene.ask(csr=scene.csr())
        with pytest.raises(ApiError, match=f"spec.approval.{field} is not status.{field}"):
            scene.approve(name, **{field: "ab" * 32})
        scene.nothing_signed(name)
        assert "approval" not in scene.team.get("CertificateRenewal", name)["spec"]

    def test_by_a_status_of_the_requesters_own(self, scene: RenewalScene) -> None:
        """A requester writes no status: RBAC refuses it, and to those with every right the admission policy does."""
        team = scene.team
        requester = person(team.control_plane, team.namespace, "clientcert-view", "clientcert-renewal-requester")
        name = scene.ask(csr=scene.csr())
        eventually(lambda: scene.state(name), "AwaitingApproval")
        before, path = scene.status(name), f"{team.path('CertificateRenewal', name)}/status"
        for client, words in ((requester.api, "cannot patch resource"), (team.api, "only clientcert-operator writes")):
            with pytest.raises(ApiError, match=words) as refused:
                client.request("PATCH", path, {"status": {"state": "Approved"}}, content_type=MERGE_PATCH)
            assert refused.value.status == 403
        assert scene.status(name) == before


class TestSecretsWithoutConsent:
    """An editor of a policy can neither sign with nor mail out a Secret whose owner has not labelled it."""

    def test_of_a_ca(self, team: Team) -> None:
        scene = RenewalScene.of(team)
        scene.install(labels={})
        name = scene.ask(csr=scene.csr())
        scene.waits(name, "issuer", "Accepted", "IssuerNotAllowed")
        scene.apply_ca(LABEL)
        eventually(lambda: scene.state(name), "AwaitingApproval", PATIENCE)

    def test_of_extras(self, team: Team) -> None:
        scene = RenewalScene.of(team)
        team.apply(secret("database", password="canary-of-the-database"))
        scene.install(delivery={"extras": [{"secretRef": {"name": "database", "key": "password"}}]})
        name = scene.ask(publicKey=public_key_pem(make_private_key("rsa")))
        scene.approve(name)
        scene.waits(name, "issuer", "Issued", "ExtraNotAllowed")
        consent = {"metadata": {"labels": {"clientcert.dev/deliver": "allowed"}}}
        team.api.request("PATCH", team.path("Secret", "database"), consent, content_type=MERGE_PATCH)
        scene.issued(name)


@contextmanager
def admission_policies_removed(control_plane: ControlPlane, namespace: str) -> Iterator[None]:
    """All of ours; they are back when the block ends. A change of a policy has effect after a moment."""
    asking = operator_user(control_plane, namespace)
    try:
        control_plane.kubectl("delete", "-f", ADMISSION)
        until(lambda: not is_refused(asking))
        yield
    finally:
        control_plane.kubectl("apply", "-f", ADMISSION)
        until(lambda: is_refused(asking))


def is_refused(asking: Person) -> bool:
    """True if a dry run by which the operator proves the policies is refused."""
    spec = {"renewal": {"issuer": {"type": "CASecret", "caSecret": {"name": "none"}}}}
    document = {"apiVersion": "clientcert.dev/v1alpha1", "kind": "CertificatePolicy", "metadata": {"name": "proof"}}
    try:
        asking.create(document | {"spec": spec}, dry_run=True)
    except ApiError:
        return True
    return False


def test_without_admission_policies(team: Team, control_plane: ControlPlane) -> None:
    """Without them an editor could approve by a status; so nothing is signed where they are not in force."""
    scene = RenewalScene.of(team)
    with admission_policies_removed(control_plane, team.namespace):
        scene.install()
        name = scene.ask(csr=scene.csr())
        scene.approve(name)
        scene.waits(name, "admission policies", "Issued", "AdmissionPolicyMissing")
    scene.issued(name)


def test_a_shared_serial_number(scene: RenewalScene) -> None:
    """An object that declares a neighbour's certificate holds it up, in sight of all, but cannot end its renewal."""
    team = scene.team
    team.put("mine", scene.old)
    team.declare("mine", consumer=team.consumer("nhs"), policyRef={"name": "renewing"})
    eventually(lambda: team.serial("mine"), scene.old.serial_number_hex)
    name = scene.ask(csr=scene.csr())
    scene.waits(name, "the other ClientCertificate", "Accepted", "SerialShared")
    assert "mine" in team.words(name, "Accepted", "CertificateRenewal")
    team.delete("ClientCertificate", "mine")
    eventually(lambda: scene.state(name), "AwaitingApproval", PATIENCE)
