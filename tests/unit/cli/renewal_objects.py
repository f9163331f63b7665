"""Objects about a renewal, as the API server has them."""

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from clientcert.lifecycle.renewal.naming import recipient_hash
from tests.scenarios import API_VERSION, Manifest, client_certificate


def certification_request(key: ec.EllipticCurvePrivateKey, *, common_name: str = "nhs", alternative: str = "") -> str:
    """A CSR as openssl makes it, as PEM."""
    parts = (
        (NameOID.COUNTRY_NAME, "GB"),
        (NameOID.ORGANIZATION_NAME, "NHS Digital"),
        (NameOID.COMMON_NAME, common_name),
    )
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    if alternative:
        names = x509.SubjectAlternativeName([x509.DNSName(alternative)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def public_key(key: ec.EllipticCurvePrivateKey) -> str:
    """Its public half, as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY = ec.derive_private_key(20261122, ec.SECP256R1())
CSR = certification_request(KEY)
UID = "0b5a3f3e-0001-4000-8000-000000000001"
KEY_HASH = "ab" * 32
JO = {"name": "Jo Bloggs", "email": "jo@nhs.example"}
SUBJECT = "CN=nhs,O=NHS Digital,C=GB"
ISSUER = "CN=Integration CA,O=Example"
IN_USE = {
    "subjectDN": SUBJECT,
    "issuerDN": ISSUER,
    "serialNumber": "4af2",
    "notBefore": "2025-12-15T12:00:00Z",
    "notAfter": "2026-12-15T12:00:00Z",
}


def of_nhs(**changes: Any) -> Manifest:
    """A ClientCertificate that the operator has read; `changes` are fields of its status."""
    found = client_certificate("nhs-prod", consumer="nhs", contact={"technical": JO})
    found["metadata"] |= {"uid": UID, "namespace": "integration"}
    return found | {"status": {"certificate": IN_USE} | changes}


def request(state: str = "", *, status: Manifest | None = None, **spec: Any) -> Manifest:
    """A CertificateRenewal of it in this state; `reuse`, unless `spec` has a CSR or a public key."""
    asked = {
        "certificateRef": {"name": "nhs-prod"},
        "serialNumber": "4af2",
        "mode": "Renew",
        "requestedBy": "kim",
        **({} if spec.keys() & {"csr", "publicKey"} else {"reuse": True}),
    }
    known = {"keyHash": KEY_HASH, "recipientHash": recipient_hash(UID, JO["email"]), "recipientRole": "Technical"}
    return {
        "apiVersion": API_VERSION,
        "kind": "CertificateRenewal",
        "metadata": {"name": "nhs-prod-0123456789", "namespace": "integration", "uid": UID, "resourceVersion": "7"},
        "spec": asked | spec,
        "status": ({"state": state} if state else {}) | known | (status or {}),
    }
