"""The people of a renewal, each with the shipped role for what they do, and the operator's part, played by its user."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clientcert.lifecycle.renewal.naming import recipient_hash
from clientcert.pki.key_request import read_request
from tests.control_plane.team import Team
from tests.control_plane.test_cli import Terminal
from tests.deploy.people import bind
from tests.scenarios import Manifest, client_certificate
from tools.control_plane import ApiClient

ROLES = {
    "requester": ("clientcert-view", "clientcert-renewal-requester"),
    "approver": ("clientcert-view", "clientcert-renewal-approver"),
    "second-approver": ("clientcert-view", "clientcert-renewal-approver"),
    "authority": ("clientcert-view", "clientcert-edit", "clientcert-vet"),
    "revoker": ("clientcert-view", "clientcert-revoker"),
    "onlooker": ("clientcert-view",),
}
ADDRESS = "jo@nhs.example"
MERGE = "application/merge-patch+json"
CHECKS = [{"name": "SourceReadable", "passed": True, "message": "the source was read"}]


@dataclass(frozen=True)
class People:
    """Their terminals, and what the operator would do."""

    team: Team
    directory: Path

    def terminal(self, name: str) -> Terminal:
        """The shell of a person, who is a ServiceAccount with the roles of ROLES."""
        namespace, api = self.team.namespace, self.team.api
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        api.request("POST", accounts, {"metadata": {"name": name}})
        bind(self.team.control_plane, namespace, self.user(name), *ROLES[name])
        directory = self.directory / name
        directory.mkdir()
        return Terminal(self.team, directory, token=self._token(namespace, name))

    def bind(self, name: str, role: str) -> None:
        """Give a person one more shipped role, which has effect at once."""
        bind(self.team.control_plane, self.team.namespace, self.user(name), role)

    def user(self, name: str) -> str:
        """The name under which the API server knows the person."""
        return f"system:serviceaccount:{self.team.namespace}:{name}"

    # The operator's part.

    def declare(self, name: str = "nhs", **status: Any) -> Manifest:
        """A ClientCertificate that the operator has read."""
        self.team.apply(client_certificate(name, consumer="nhs"))
        known = {
            "subjectDN": "CN=nhs,O=NHS Digital,C=GB",
            "issuerDN": "CN=Integration CA",
            "serialNumber": "4af2",
            "fingerprintSHA256": "4af2".zfill(64),
            "notBefore": "2026-01-01T00:00:00Z",
            "notAfter": "2099-01-01T00:00:00Z",
        }
        self._write("ClientCertificate", name, {"phase": "Valid", "certificate": known} | status)
        return self.team.get("ClientCertificate", name)

    def record(self, request: str, state: str, **status: Any) -> None:
        """Write the status of a request."""
        self._write("CertificateRenewal", request, {"state": state} | status)

    def check(self, request: str, address: str = ADDRESS, **status: Any) -> None:
        """All checks have passed, and the request waits for approval."""
        found = self.team.get("CertificateRenewal", request)
        spec = found["spec"]
        certificate = self.team.get("ClientCertificate", spec["certificateRef"]["name"])
        asked = spec.get("csr") or spec.get("publicKey")
        key_hash = read_request(asked.encode()).key_hash if asked else "ab" * 32
        recipient = recipient_hash(certificate["metadata"]["uid"], address)
        known = {"keyHash": key_hash, "recipientHash": recipient, "recipientRole": "Technical", "checks": CHECKS}
        self.record(request, "AwaitingApproval", waitsFor="approval", **known | status)

    def _write(self, kind: str, name: str, status: Manifest) -> None:
        path = f"{self.team.path(kind, name)}/status"
        self._operator().request("PATCH", path, {"status": status}, content_type=MERGE)

    def _operator(self) -> ApiClient:
        control_plane = self.team.control_plane
        token = self._token("clientcert-system", "clientcert-operator")
        return ApiClient(control_plane.url, control_plane.ca_path, token)

    def _token(self, namespace: str, name: str) -> str:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        return str(self.team.api.request("POST", path, wanted)["status"]["token"])


def requests(team: Team) -> Iterator[str]:
    """The names of all requests."""
    return (each["metadata"]["name"] for each in team.items("CertificateRenewal"))
