"""A CSR that asks for more than a client certificate is refused, however it hides that."""

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from clientcert.delivery.key_material import make_key
from clientcert.errors import IssuerError, Reason
from clientcert.issuers.csr_profile import check_csr
from clientcert.issuers.interface import PlanRequest
from clientcert.lifecycle.renewal.policy import CertManagerIssuer, KeySettings
from clientcert.lifecycle.spec import SecretKeyRef
from clientcert.pki.der_writer import bit_string, element, integer, object_identifier, octet_string, sequence
from clientcert.pki.pem_writer import pem
from tests.builders import NOW
from tests.unit.renewal.asking import NEW_KEY, name

KEY = make_key(KeySettings(algorithm="ECDSA", size=256)).public_key_info
SUBJECT = name(("CN", "nhs")).public_bytes()
CLIENT_AUTH, SERVER_AUTH = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
USAGE, PURPOSES, CONSTRAINTS, NAMES = "2.5.29.15", "2.5.29.37", "2.5.29.19", "2.5.29.17"
FALSE = b"\x01\x01\x00"


def plan(request_pem: str, names: bytes = b"") -> PlanRequest:
    return PlanRequest(
        namespace="team",
        settings=CertManagerIssuer("cert-manager.io", "Issuer", "clients", SecretKeyRef("ca", "ca.crt")),
        renewal="nhs-prod-1",
        renewal_uid="uid",
        request_pem=request_pem,
        subject_der=SUBJECT,
        alternative_names_der=names,
        alternative_names_critical=False,
        validity_days=395,
        now=NOW,
    )


def extension(oid: str, *values: bytes) -> bytes:
    return sequence(object_identifier(oid), *(octet_string(each) for each in values))


def purposes(*oids: str) -> bytes:
    return extension(PURPOSES, sequence(*(object_identifier(each) for each in oids)))


def attribute(*lists: bytes) -> bytes:
    return sequence(object_identifier("1.2.840.113549.1.9.14"), element(0x31, b"".join(lists)))


def csr(*attributes: bytes) -> str:
    """Its signature does not matter here: another check verifies it."""
    information = sequence(integer(0), SUBJECT, KEY, element(0xA0, b"".join(attributes)))
    signature = sequence(object_identifier("1.2.840.10045.4.3.2"))
    return pem("CERTIFICATE REQUEST", sequence(information, signature, bit_string(b"x")))


def asking(*extensions: bytes) -> str:
    return csr(attribute(sequence(*extensions)))


CLIENT = purposes(CLIENT_AUTH)
CERT_SIGN = extension(USAGE, b"\x03\x02\x02\x04")
TOO_MUCH = {
    "after 100 times the same": asking(purposes(*[CLIENT_AUTH] * 100, SERVER_AUTH)),
    "another extension after that": asking(purposes(*[CLIENT_AUTH] * 100), CERT_SIGN),
    "after 100 others": asking(purposes(*[f"1.2.3.{number}" for number in range(100)], SERVER_AUTH)),
    "a usage in the second octet": asking(extension(USAGE, b"\x03\x03\x07\x80\x80")),
    "a bit that has no name": asking(extension(USAGE, b"\x03\x03\x00\x80\x01")),
    "a third octet": asking(extension(USAGE, b"\x03\x04\x00\x80\x00\x01")),
    "after a whole value": asking(extension(USAGE, b"\x03\x02\x07\x80" + b"\x03\x02\x02\x04")),
    "a second value of an extension": asking(
        extension(PURPOSES, *(sequence(object_identifier(each)) for each in (SERVER_AUTH, CLIENT_AUTH)))
    ),
    "a flag with a long length": asking(extension(CONSTRAINTS, sequence(b"\x01\x81\x01\xff"))),
    "a length of paths": asking(extension(CONSTRAINTS, sequence(FALSE, integer(3)))),
    "a second list": csr(attribute(sequence(CLIENT), sequence(CERT_SIGN))),
    "a second attribute": csr(attribute(sequence(CLIENT)), attribute(sequence(CERT_SIGN))),
    "the same extension in it": csr(attribute(sequence(CLIENT)), attribute(sequence(purposes(SERVER_AUTH)))),
    "no list": csr(attribute()),
    "names after the names": asking(extension(NAMES, sequence() + sequence(b"\x82\x01x"))),
}


@pytest.mark.parametrize("request_pem", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_hidden_is_refused(request_pem: str) -> None:
    """cert-manager, or the program behind it, may read what the check does not."""
    with pytest.raises(IssuerError) as caught:
        check_csr(plan(request_pem))
    assert caught.value.reason is Reason.ISSUANCE_REFUSED
    assert "ask the consumer for" in caught.value.message


ALLOWED = {
    "nothing": csr(),
    "an empty list": asking(),
    "clientAuth twice": asking(purposes(CLIENT_AUTH, CLIENT_AUTH)),
    "what the certificate has": asking(
        CLIENT,
        extension(CONSTRAINTS, sequence()),
        sequence(object_identifier(USAGE), b"\x01\x01\xff", octet_string(b"\x03\x02\x07\x80")),
        extension("2.5.29.14", octet_string(b"id")),
    ),
    "an explicit CA:FALSE": asking(extension(CONSTRAINTS, sequence(FALSE))),
}


@pytest.mark.parametrize("request_pem", ALLOWED.values(), ids=ALLOWED)
def test_a_client_certificate_is_allowed(request_pem: str) -> None:
    check_csr(plan(request_pem))


def test_more_names_than_words() -> None:
    """They are compared with those of the certificate, all of them."""
    names = [x509.DNSName(f"host-{number}.nhs.example") for number in range(150)]
    san = x509.SubjectAlternativeName(names)
    builder = x509.CertificateSigningRequestBuilder(name(("CN", "nhs"))).add_extension(san, critical=False)
    request = plan(builder.sign(NEW_KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode(), san.public_bytes())
    check_csr(request)
    fewer = replace(request, alternative_names_der=x509.SubjectAlternativeName(names[:-1]).public_bytes())
    with pytest.raises(IssuerError):
        check_csr(fewer)
