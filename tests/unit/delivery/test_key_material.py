"""Keys that the operator makes, and requests by them: the subject of the old certificate byte for byte."""

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from clientcert.delivery.key_material import make_csr, make_key
from clientcert.errors import CertificateError, Reason
from clientcert.lifecycle.renewal.policy import KeySettings
from clientcert.pki.der import read_element
from clientcert.pki.der_writer import element, object_identifier, sequence, set_of
from clientcert.pki.pem import read_blocks
from tests.unit.delivery.consumer import KEYS, key

UTF8, PRINTABLE, T61, BMP = 0x0C, 0x13, 0x14, 0x1E
CN, OU, ORGANIZATION, UID = "2.5.4.3", "2.5.4.11", "2.5.4.10", "0.9.2342.19200300.100.1.1"
ALTERNATIVE_NAMES = sequence(element(0x82, b"nhs.example"), element(0x81, b"jo@nhs.example"))


def attribute(oid: str, tag: int, value: bytes) -> bytes:
    return sequence(object_identifier(oid), element(tag, value))


SUBJECTS = {
    "UTF8String": sequence(set_of(attribute(CN, UTF8, b"nhs"))),
    "PrintableString with a star": sequence(set_of(attribute(CN, PRINTABLE, b"*.nhs"))),
    "T61String in Latin-1": sequence(
        set_of(attribute(ORGANIZATION, T61, b"Caf\xe9")), set_of(attribute(CN, T61, b"nhs"))
    ),
    "BMPString": sequence(set_of(attribute(CN, BMP, "nhs".encode("utf-16-be")))),
    "a multi-valued RDN": sequence(set_of(attribute(CN, UTF8, b"nhs"), attribute(UID, UTF8, b"17"))),
    "an unsorted multi-valued RDN": sequence(element(0x31, attribute(OU, UTF8, b"b"), attribute(CN, UTF8, b"nhs"))),
    "spaces at both ends": sequence(set_of(attribute(CN, UTF8, b" nhs  "))),
    "no attribute": sequence(),
}


def verify(openssl: str, csr: str) -> str:
    command = [openssl, "req", "-noout", "-verify", "-text"]
    ran = subprocess.run(command, input=csr, capture_output=True, text=True, errors="replace", check=True)
    assert "verify OK" in ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", KEYS)
def test_a_made_key_is_what_the_policy_asks_for_and_its_halves_belong_together(name: str) -> None:
    made = key(name)
    private = load_pem_private_key(made.private_key_pem, None)
    assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    assert private.key_size == KEYS[name].size
    assert made.private_key_pem.startswith(b"-----BEGIN PRIVATE KEY-----\n"), "PKCS#8"
    for public in (private.public_key(), load_pem_public_key(made.public_key_pem.encode())):
        assert public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == made.public_key_info
    if isinstance(private, rsa.RSAPrivateKey):
        assert private.public_key().public_numbers().e == 65537


def test_no_key_is_made_twice() -> None:
    assert make_key(KEYS["P-256"]).public_key_info != make_key(KEYS["P-256"]).public_key_info


@pytest.mark.parametrize(
    "settings",
    [KeySettings(algorithm="RSA", size=1024), KeySettings(algorithm="RSA", size=16384),
     KeySettings(algorithm="ECDSA", size=521), KeySettings(algorithm="Ed25519", size=256)],
    ids=lambda each: f"{each.algorithm} {each.size}",
)  # fmt: skip
def test_no_other_key_is_made(settings: KeySettings) -> None:
    with pytest.raises(CertificateError) as raised:
        make_key(settings)
    assert raised.value.reason is Reason.KEY_NOT_ALLOWED
    assert "spec.renewal.key.generate" in raised.value.message


@pytest.mark.parametrize("name", ["RSA 2048", "P-256", "P-384"])
def test_openssl_verifies_a_request_by_each_key(name: str, openssl: str) -> None:
    csr = make_csr(key(name), SUBJECTS["UTF8String"], ALTERNATIVE_NAMES, critical=False)
    shown = verify(openssl, csr)
    assert "Subject: CN = nhs" in shown
    assert "DNS:nhs.example, email:jo@nhs.example" in shown
    assert "X509v3 Subject Alternative Name: critical" not in shown
    assert ("sha384" if name == "P-384" else "sha256") in shown.lower()


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_the_subject_is_in_the_request_byte_for_byte(subject: bytes, openssl: str) -> None:
    csr = make_csr(key("P-256"), subject, b"", critical=False)
    verify(openssl, csr)
    (block,) = read_blocks(csr.encode())
    assert block.der is not None
    information = read_element(block.der).fields(1)[0]
    assert [each.encoded for each in information.fields(3)[1:]] == [subject, key("P-256").public_key_info]


def test_the_alternative_names_are_in_it_byte_for_byte_with_their_criticality() -> None:
    """A certificate without a subject has a critical subjectAltName (RFC 5280 section 4.2.1.6)."""
    request = x509.load_pem_x509_csr(make_csr(key("P-256"), b"", ALTERNATIVE_NAMES, critical=True).encode())
    (extension,) = request.extensions
    assert (extension.critical, request.subject.rfc4514_string()) == (True, "")
    assert extension.value.public_bytes() == ALTERNATIVE_NAMES
    assert request.is_signature_valid


def test_a_request_without_alternative_names_asks_for_no_extension() -> None:
    request = x509.load_pem_x509_csr(make_csr(key("P-256"), SUBJECTS["UTF8String"], b"", critical=True).encode())
    assert (len(request.extensions), len(request.attributes)) == (0, 0)


@pytest.mark.parametrize("damaged", [b"x", b"\x30\x05\x00", sequence() + b"\0", element(UTF8, b"nhs"), b"\x30\x80\0"])
def test_a_damaged_name_is_refused_before_anything_is_signed(damaged: bytes) -> None:
    for names in ((damaged, b""), (SUBJECTS["UTF8String"], damaged)):
        with pytest.raises(CertificateError) as raised:
            make_csr(key("P-256"), *names, critical=False)
        assert raised.value.reason is Reason.INVALID_CERTIFICATE
