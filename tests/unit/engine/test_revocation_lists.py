"""The lists and CRLs of a namespace whose CAs change, share a name, or cannot be read."""

import base64
from typing import Any

import pytest
from cryptography import x509

from tests.unit.engine.renewal_events import NEXT_CA
from tests.unit.engine.renewal_scripts import BEGINS, CERT_MANAGER, SCRIPTS
from tests.unit.engine.renewal_world import CORE, OURS, World
from tests.unit.renewal.asking import CA, ENDS
from tools.certificates import CertificateAuthority

SCRIPT = SCRIPTS["public key, CASecret, approved, S3, mail"]


@pytest.fixture
async def world() -> World:
    return World(BEGINS)


def revoke(world: World, name: str, by: CertificateAuthority = CA, **spec: Any) -> str:
    """The path of a CertificateRevocation of the certificate with this number."""
    path = f"{OURS}/certificaterevocations/{name}"
    facts = {
        "issuerDN": by.identity.certificate.subject.rfc4514_string(),
        "serialNumber": name.removeprefix("no-"),
        "consumer": "nhs",
        "reason": "Superseded",
        "revocationTime": f"{BEGINS:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": f"{ENDS:%Y-%m-%dT%H:%M:%SZ}",
    }
    world.server.put(path, spec=facts | spec)
    return path


def content(world: World, name: str, key: str) -> bytes:
    """Of a ConfigMap."""
    found = world.server.objects.get(f"{CORE}/configmaps/{name}", {})
    text = (found.get("data") or {}).get(key)
    return text.encode() if text is not None else base64.b64decode((found.get("binaryData") or {}).get(key, ""))


def in_crl(world: World, name: str = "client-ca-crl") -> set[str]:
    found = x509.load_der_x509_crl(content(world, name, "ca.crl"))
    return {f"{each.serial_number:x}" for each in found}


async def test_a_crl_has_the_entries_of_the_ca_that_signs_it(world: World) -> None:
    """An issuer of cert-manager has the name of the CA's Secret, is another CA, and is known first."""
    world.put_secret("other-ca", {"issuer": "allowed"}, tls_crt=NEXT_CA.identity.certificate_pem)
    asked = {**CERT_MANAGER["issuer"]["certManager"], "caRef": {"name": "other-ca", "key": "tls.crt"}}
    renewal = {"issuer": {"type": "CertManager", "certManager": asked}}
    world.server.put(f"{OURS}/certificatepolicies/asks", spec={"renewal": renewal})
    SCRIPT.declare(world)
    own, other = revoke(world, "no-4af2"), revoke(world, "no-4af3", NEXT_CA)
    await world.let_pass(10.0)
    await world.stop()
    assert in_crl(world) == {"4af2"}
    assert content(world, "client-ca-revocations", "revocations") == b"4AF2/nhs\n4AF3/nhs\n"
    assert [world.condition(kind, own) for kind in ("Listed", "InCRL")] == [("True", "Listed"), ("True", "Signed")]
    assert [world.condition(kind, other) for kind in ("Listed", "InCRL")] == [("True", "Listed"), ("", "")]
