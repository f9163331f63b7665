"""A team that revokes certificates: its CAs, its revocations, and the lists and CRLs that gateways read."""

import base64
import hashlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clientcert.lifecycle.renewal.naming import revocation_name
from tests.conftest import REPOSITORY
from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually, until
from tests.deploy.audit import OPERATOR
from tests.deploy.people import wait_until_allowed
from tests.scenarios import Manifest, certificate_policy
from tools.certificates import CertificateAuthority, Issued
from tools.control_plane import ApiError

LISTS, SECRETS = "clientcert-write-revocation-lists", "clientcert-write-secrets"
CRL_SECRET = {"crlSecretRef": {"name": "gateway", "key": "ca.crl"}}
_ROLES = REPOSITORY / "deploy/kustomize/optional"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Revoker:
    """Uses the Kubernetes API only."""

    team: Team

    def secret(self, name: str, labels: dict[str, str], **values: str) -> None:
        self.team.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "labels": labels},
                "stringData": {key.replace("_", "."): value for key, value in values.items()},
            }
        )

    def put_ca(self, certificate_pem: bytes, private_key_pem: bytes, name: str = "client-ca") -> None:
        """The Secret of a CA, labelled as an issuer."""
        pair = {"tls_crt": certificate_pem.decode(), "tls_key": private_key_pem.decode()}
        self.secret(name, {"clientcert.dev/issuer": "allowed"}, **pair)

    def make_ca(self, common_name: str = "Client CA", name: str = "client-ca", **other: Any) -> CertificateAuthority:
        authority = CertificateAuthority.create(common_name, organization="The Team", **other)
        self.put_ca(authority.identity.certificate_pem, authority.identity.private_key_pem, name)
        return authority

    def declare_policy(self, name: str = "renewing", *, ca: str = "client-ca", **renewal: Any) -> None:
        policy = certificate_policy(name)
        policy["spec"]["renewal"] = {"issuer": {"type": "CASecret", "caSecret": {"name": ca}}} | renewal
        self.team.apply(policy)

    def allow(self, *roles: str) -> None:
        """Give the operator optional roles in this namespace; it returns when they have effect."""
        namespace, api = self.team.namespace, self.team.api
        for document in (each for path in _ROLES.glob("*.yaml") for each in yaml.safe_load_all(path.read_text())):
            name = document["metadata"]["name"] if document["kind"] == "ClusterRole" else ""
            if name not in roles:
                continue
            body = {"metadata": {"name": name}, "rules": document["rules"]}
            api.request("POST", f"{_RBAC}/namespaces/{namespace}/roles", body)
            subject = {"kind": "ServiceAccount", "name": "clientcert-operator", "namespace": "clientcert-system"}
            binding = {
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [subject],
            }
            api.request("POST", f"{_RBAC}/namespaces/{namespace}/rolebindings", binding)
            wait_until_allowed(self.team.control_plane, namespace, OPERATOR, document["rules"])

    def revoke(self, issued: Issued, consumer: str = "nhs", reason: str = "CessationOfOperation", **spec: Any) -> str:
        """Create a CertificateRevocation; returns its name."""
        facts = {
            "issuerDN": issued.issuer_dn,
            "serialNumber": issued.serial_number_hex,
            "consumer": consumer,
            "reason": reason,
            "revocationTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "notAfter": f"{issued.not_after:%Y-%m-%dT%H:%M:%SZ}",
        } | spec
        name = revocation_name(consumer, facts["issuerDN"], facts["serialNumber"])
        self.team.apply(
            {
                "apiVersion": "clientcert.dev/v1alpha1",
                "kind": "CertificateRevocation",
                "metadata": {"name": name},
                "spec": facts,
            }
        )
        return name

    def condition(self, name: str, kind: str = "Listed") -> tuple[str, str]:
        return self.team.condition(name, kind, "CertificateRevocation")

    def is_listed(self, name: str, seconds: float = 20.0) -> None:
        """Wait until list and CRL have it."""
        for kind, expected in (("Listed", ("True", "Listed")), ("InCRL", ("True", "Signed"))):
            eventually(lambda kind=kind: self.condition(name, kind), expected, seconds)

    # What gateways read.

    def config_map(self, name: str) -> Manifest:
        """The ConfigMap; {} if there is none."""
        try:
            found: Manifest = self.team.api.request("GET", self._config_map(name))
        except ApiError as error:
            if error.status != 404:
                raise
            return {}
        return found

    def put_config_map(self, name: str, data: dict[str, str], **metadata: Any) -> None:
        body = {"metadata": {"name": name} | metadata, "data": data}
        self.team.api.request("POST", self._config_map(""), body)

    def change_config_map(self, name: str, change: Manifest) -> None:
        path, kind = self._config_map(name), "application/merge-patch+json"
        self.team.api.request("PATCH", path, change, content_type=kind)

    def delete_config_map(self, name: str) -> None:
        self.team.api.request("DELETE", self._config_map(name))

    def listed(self, *names: str, key: str = "revocations") -> list[str]:
        """The lines in all parts."""
        parts = [self.config_map(each).get("data", {}).get(key, "") for each in names or ("client-ca-revocations",)]
        return [line for part in parts for line in part.splitlines()]

    def crl_der(self, name: str = "client-ca") -> bytes:
        """The CRL; empty if there is none."""
        return base64.b64decode(self.config_map(f"{name}-crl").get("binaryData", {}).get("ca.crl", ""))

    def crl(self, name: str = "client-ca") -> x509.CertificateRevocationList:
        return x509.load_der_x509_crl(until(lambda: self.crl_der(name)))

    def revoked(self, name: str = "client-ca") -> set[int]:
        """The serial numbers in the CRL."""
        return {each.serial_number for each in self.crl(name)}

    def _config_map(self, name: str) -> str:
        path = f"/api/v1/namespaces/{self.team.namespace}/configmaps"
        return f"{path}/{name}" if name else path


def number_of(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def line_of(issued: Issued, consumer: str = "nhs") -> str:
    """As nginx' $ssl_client_serial and a consumer."""
    number = issued.serial_number
    return f"{number.to_bytes((number.bit_length() + 7) // 8, 'big').hex().upper()}/{consumer}"


def key_hash_of(issued: Issued) -> str:
    key = issued.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def openssl_verify(folder: Path, trusted: bytes, crl_pem: bytes, issued: Issued, *options: str) -> str:
    """The output of `openssl verify -crl_check`; whether it accepts the certificate is in it."""
    for name, content in (("ca", trusted), ("crl", crl_pem), ("leaf", issued.certificate_pem)):
        (folder / name).write_bytes(content)
    command = ["openssl", "verify", *options, "-crl_check", "-CAfile", "ca", "-CRLfile", "crl", "leaf"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


def many(count: int, not_after: datetime, issuer_dn: str, first: int = 1 << 158) -> Iterable[Manifest]:
    """Manifests of many revocations, with serial numbers of twenty octets."""
    for number in range(count):
        yield {
            "apiVersion": "clientcert.dev/v1alpha1",
            "kind": "CertificateRevocation",
            "metadata": {"name": f"many-{number}"},
            "spec": {
                "issuerDN": issuer_dn,
                "serialNumber": f"{first + number * 0x9E3779B97F4A7C15F39CC0605CEDC834:x}",
                "consumer": f"consumer-{number:04}",
                "reason": "Superseded",
                "revocationTime": f"{not_after - 100 * DAY:%Y-%m-%dT%H:%M:%SZ}",
                "notAfter": f"{not_after:%Y-%m-%dT%H:%M:%SZ}",
                "keyHash": hashlib.sha256(str(number).encode()).hexdigest(),
            },
        }
