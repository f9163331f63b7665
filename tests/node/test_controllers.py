"""The work of kube-controller-manager for people and on our objects: it signs, and collects those without an owner.

The tests run in the order of this file, and before those that remove the operator.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.control_plane.renewal_scene import CA_SECRET, LABEL, POLICY, sign_csr
from tests.control_plane.waiting import eventually, until
from tests.node.conftest import PREFIX, RENEWALS, Installed
from tests.node.people import Person, enrol
from tests.scenarios import client_certificate
from tools.certificates import CertificateAuthority
from tools.control_plane import ApiError

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

NAMESPACE = "people"
API = f"/apis/clientcert.dev/v1alpha1/namespaces/{NAMESPACE}"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
ROLES = {"sam": ("view", "renewal-requester", "renewal-approver"), "kim": ("view", "renewal-approver")}
PATIENCE = 60.0


class Team:
    """A namespace with a CA, a policy and one consumer, and two people with the shipped roles."""

    def __init__(self, installed: Installed, directory: Path) -> None:
        self.control_plane = installed.control_plane
        self.authority = CertificateAuthority.create("Client CA")
        now = datetime.now(UTC)
        self.old = self.authority.issue("nhs", now - timedelta(days=345), now + timedelta(days=20))
        self.control_plane.create_namespace(NAMESPACE)
        pair = self.authority.identity
        content = {"tls.crt": pair.certificate_pem.decode(), "tls.key": pair.private_key_pem.decode()}
        self.secret(CA_SECRET, LABEL, content)
        self.secret("nhs-cert", {}, {"tls.crt": self.old.certificate_pem.decode()})
        self.secret("slack", {}, {"token": installed.slack.token})
        self.create("certificatepolicies", "CertificatePolicy", POLICY, self.policy())
        declared = client_certificate("nhs", policyRef={"name": POLICY})
        self.create("clientcertificates", "ClientCertificate", "nhs", declared["spec"])
        self.people = {name: self.person(name, directory / name) for name in ROLES}

    def person(self, name: str, directory: Path) -> Person:
        found = enrol(self.control_plane, NAMESPACE, name, directory)
        for role in ROLES[name]:
            named = (f"{name}-{role}", f"--clusterrole={PREFIX}-{role}", f"--user={name}")
            self.control_plane.kubectl("create", "rolebinding", *named, "--namespace", NAMESPACE)
        return found

    def policy(self) -> dict[str, Any]:
        """Its messages go to a channel of its own."""
        slack = {"channel": RENEWALS, "tokenSecretRef": {"name": "slack", "key": "token"}}
        return {
            "alerts": {"channels": [{"name": "team", "type": "Slack", "slack": slack}]},
            "renewal": {"issuer": {"type": "CASecret", "caSecret": {"name": CA_SECRET}}},
        }

    def secret(self, name: str, labels: dict[str, str], content: dict[str, str]) -> None:
        metadata = {"name": name, "labels": labels}
        self.control_plane.api.request("POST", f"{CORE}/secrets", {"metadata": metadata, "stringData": content})

    def create(self, plural: str, kind: str, name: str, spec: dict[str, Any]) -> None:
        body = {"apiVersion": "clientcert.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.control_plane.api.request("POST", f"{API}/{plural}", body)

    def config_map(self, name: str) -> dict[str, Any]:
        """The metadata of a new ConfigMap."""
        body = {"metadata": {"name": name}}
        created: dict[str, Any] = self.control_plane.api.request("POST", f"{CORE}/configmaps", body)["metadata"]
        return created

    def own(self, path: str, kind: dict[str, Any], owner: dict[str, Any]) -> None:
        """Make this object of that kind the owner of what is at `path`."""
        reference = {key: kind[key] for key in ("apiVersion", "kind")} | {key: owner[key] for key in ("name", "uid")}
        patch = {"metadata": {"ownerReferences": [reference]}}
        self.control_plane.api.request("PATCH", path, patch, content_type="application/merge-patch+json")

    def is_gone(self, path: str) -> bool:
        try:
            self.control_plane.api.request("GET", path)
        except ApiError as error:
            return error.status == 404
        return False

    def get(self, plural: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.control_plane.api.request("GET", f"{API}/{plural}/{name}")
        return found

    def status(self, plural: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(plural, name).get("status", {})
        return found


@pytest.fixture(scope="module")
def team(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Team:
    return Team(installed, tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def request_id(team: Team) -> str:
    """Sam asks for a renewal, with a CSR of the consumer."""
    sam = team.people["sam"]
    eventually(lambda: team.status("clientcertificates", "nhs").get("phase"), "ExpiringSoon", seconds=PATIENCE)
    builder = x509.CertificateSigningRequestBuilder().subject_name(team.old.certificate.subject)
    (sam.directory / "nhs.csr").write_text(sign_csr(builder))
    return sam.succeeds("renew", "nhs", "--csr", "nhs.csr", "-o", "name").strip().rpartition("/")[2]


def test_people_with_certificates_of_the_cluster_renew_one(team: Team, request_id: str) -> None:
    """Each is recorded by the common name of their certificate, and nobody approves their own request, role or not."""
    sam, kim = team.people["sam"], team.people["kim"]
    eventually(
        lambda: team.status("certificaterenewals", request_id).get("state"), "AwaitingApproval", seconds=PATIENCE
    )
    confirmed = ("--yes", "--confirmed-by", "phone call to the number in the contract")
    refused = sam.clientcert("approve", request_id, *confirmed)
    assert (refused.returncode, "a request of their own" in refused.stderr) == (3, True)
    assert "approval" not in team.get("certificaterenewals", request_id)["spec"]
    kim.succeeds("approve", request_id, *confirmed)
    eventually(lambda: team.status("certificaterenewals", request_id).get("state"), "Issued", seconds=PATIENCE)
    spec = team.get("certificaterenewals", request_id)["spec"]
    assert (spec["requestedBy"], spec["approval"]["by"]) == ("sam", "kim")
    signed = x509.load_pem_x509_certificate(sam.succeeds("retrieve", request_id, "-o", "pem").encode())
    assert signed.subject == team.old.certificate.subject
    signed.verify_directly_issued_by(team.authority.identity.certificate)


def test_a_certificate_goes_with_its_owner_and_the_record_of_what_was_given_out_stays(
    team: Team, request_id: str
) -> None:
    """Requests are owned by nothing: garbage collection, which takes what the certificate owned, takes none of them."""
    application, belonging = team.config_map("application"), f"{API}/clientcertificates/nhs"
    team.own(belonging, {"apiVersion": "v1", "kind": "ConfigMap"}, application)
    declared = team.get("clientcertificates", "nhs")
    team.own(f"{CORE}/configmaps/{team.config_map('notes')['name']}", declared, declared["metadata"])
    issued = team.status("certificaterenewals", request_id)["certificate"]
    team.control_plane.kubectl("delete", "configmap", "application", "--namespace", NAMESPACE)
    for path in (belonging, f"{CORE}/configmaps/notes"):
        until(lambda path=path: team.is_gone(path), seconds=PATIENCE)
    assert team.status("certificaterenewals", request_id)["certificate"] == issued
