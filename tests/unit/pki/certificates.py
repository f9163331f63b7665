"""Shared by all tests of `pki`: one CA, dates, and malformed certificates that no proper tool would write."""

import base64
import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clientcert.errors import CertificateError, Reason
from clientcert.pki import parsing
from clientcert.pki.certificate import Certificate
from clientcert.pki.identity import ANYONE, Identity
from tools.certificates import ECDSA_WITH_SHA256, CertificateAuthority, Issued
from tools.der import der_element

NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2027, 1, 1, 12, 30, tzinfo=UTC)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
"""The time of reading, unless a test says otherwise: the leaf is valid."""

ROOT = CertificateAuthority.create("Root CA")
AUTHORITY = ROOT.intermediate("Issuing CA")
LEAF = AUTHORITY.issue("nhs", NOT_BEFORE, NOT_AFTER, organization="NHS Digital")

UTC_TIME, GENERALIZED_TIME = 0x17, 0x18


def parse(data: bytes, *, password: str | None = None, identity: Identity = ANYONE, now: datetime = NOW) -> Certificate:
    """The leaf in `data`."""
    return parsing.parse(data, password=password, identity=identity, now=now)


def refusal(data: bytes, *, password: str | None = None) -> CertificateError:
    """The error that parsing `data` raises."""
    with pytest.raises(CertificateError) as caught:
        parse(data, password=password)
    return caught.value


def reason_for(data: bytes, *, password: str | None = None) -> Reason:
    return refusal(data, password=password).reason


def authorities_pem(issued: Issued = LEAF) -> list[bytes]:
    return [each.public_bytes(Encoding.PEM) for each in issued.authorities]


def is_leaf(certificate: Certificate, issued: Issued = LEAF) -> bool:
    return certificate.fingerprint_sha256 == issued.fingerprint_sha256


def sequence(*parts: bytes) -> bytes:
    return der_element(0x30, b"".join(parts))


def time(text: str, tag: int = UTC_TIME) -> bytes:
    return der_element(tag, text.encode())


def attribute(oid: str, value: bytes) -> bytes:
    """One AttributeTypeAndValue; `oid` in hex, `value` as a DER element."""
    return sequence(der_element(0x06, bytes.fromhex(oid)), value)


def common_name(value: bytes) -> bytes:
    """A Name with a CN only."""
    return sequence(der_element(0x31, attribute("550403", value)))


def extension(oid: str, value: bytes) -> bytes:
    return sequence(der_element(0x06, bytes.fromhex(oid)), der_element(0x04, value))


@dataclass(frozen=True)
class Tbs:
    """A TBSCertificate (RFC 5280 section 4.1.2), with each field as DER."""

    version: bytes = der_element(0xA0, der_element(0x02, b"\x02"))
    serial_number: bytes = der_element(0x02, b"\x12\x34\x56")
    signature: bytes = ECDSA_WITH_SHA256
    issuer: bytes = AUTHORITY.identity.certificate.subject.public_bytes()
    not_before: bytes = time("260101000000Z")
    not_after: bytes = time("270101123000Z")
    subject: bytes = LEAF.certificate.subject.public_bytes()
    public_key_info: bytes = LEAF.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    extensions: tuple[bytes, ...] = ()

    @property
    def der(self) -> bytes:
        validity = sequence(self.not_before, self.not_after)
        extensions = der_element(0xA3, sequence(*self.extensions)) if self.extensions else b""
        fields = (self.version, self.serial_number, self.signature, self.issuer, validity, self.subject)
        return sequence(*fields, self.public_key_info, extensions)


def odd_certificate(**fields: bytes | tuple[bytes, ...]) -> bytes:
    """A certificate (DER) with a valid signature and the given, mostly malformed, fields."""
    return AUTHORITY.sign(dataclasses.replace(Tbs(), **fields).der)  # type: ignore[arg-type]


def pem(der: bytes, label: str = "CERTIFICATE") -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()
