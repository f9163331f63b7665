"""The fields of a certificate byte for byte, so that another certificate can repeat them (RFC 5280 section 4.1).

It reads what `cryptography` refuses, such as an empty RDN or a text that is not in the encoding of its tag, since the
content of a name is not looked at. Unlike the outline (`lenient.py`) it never takes a field that cannot be read for an
absent one: a certificate that is made again must not lose a name.

Functions raise MalformedError.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from clientcert.pki.der import (
    BIT_STRING,
    CONTEXT_0,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    Element,
    MalformedError,
    read_element,
    read_time,
)

SUBJECT_KEY_IDENTIFIER = "2.5.29.14"
KEY_USAGE = "2.5.29.15"
SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
BASIC_CONSTRAINTS = "2.5.29.19"
AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"
EXTENDED_KEY_USAGE = "2.5.29.37"

CLIENT_AUTH, SERVER_AUTH = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
DIGITAL_SIGNATURE, KEY_CERT_SIGN, CRL_SIGN = 0, 5, 6
"""Bits of keyUsage (RFC 5280 section 4.2.1.3)."""

_ANY_PURPOSE = "2.5.29.37.0"
_BOOLEAN = 0x01
_EXTENSIONS = CONTEXT_0 + 3
_LONGEST_SERIAL_NUMBER = 128
"""Octets."""
_MOST_EXTENSIONS = 100


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension."""

    oid: str
    critical: bool
    value_der: bytes = field(repr=False)
    """The content of its OCTET STRING."""


@dataclass(frozen=True, slots=True)
class CertificateFields:
    """One certificate. Fields that end in `_der` have tag and length, as the certificate has them."""

    der: bytes = field(repr=False)
    tbs_der: bytes = field(repr=False)
    """The signed octets."""
    version: int
    """1, 2 or 3."""
    serial_number: int
    """Negative ones included."""
    inner_algorithm_der: bytes = field(repr=False)
    """The algorithm in the signed part; must be equal to `algorithm_der`."""
    issuer_der: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    subject_der: bytes = field(repr=False)
    public_key_info: bytes = field(repr=False)
    extensions: tuple[Extension, ...] = field(repr=False)
    algorithm_der: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def extension(self, oid: str) -> Extension | None:
        """The extension, or None if it is absent; a repeated one is malformed (RFC 5280 section 4.2)."""
        found = [each for each in self.extensions if each.oid == oid]
        if len(found) > 1:
            raise MalformedError("an extension is there twice")
        return found[0] if found else None

    @property
    def is_self_issued(self) -> bool:
        """True if subject and issuer are the same octets."""
        return self.subject_der == self.issuer_der

    @property
    def is_authority(self) -> bool:
        """True if basicConstraints have cA (RFC 5280 section 4.2.1.9)."""
        found = self._value(BASIC_CONSTRAINTS, SEQUENCE)
        first = next(found.children(), None) if found else None
        return first is not None and first.tag == _BOOLEAN and first.content not in (b"", b"\0")

    @property
    def key_usage(self) -> frozenset[int] | None:
        """The bits of keyUsage that are set; None if it is absent, so that everything is allowed."""
        found = self._value(KEY_USAGE, BIT_STRING)
        if found is None:
            return None
        octets = found.content[1:]
        return frozenset(bit for bit in range(8 * len(octets)) if octets[bit // 8] & 0x80 >> bit % 8)

    @property
    def extended_key_usage(self) -> frozenset[str] | None:
        """The OIDs of extendedKeyUsage; None if it is absent, so that everything is allowed."""
        found = self._value(EXTENDED_KEY_USAGE, SEQUENCE)
        return None if found is None else frozenset(each.object_identifier() for each in found.children())

    @property
    def allows_clients(self) -> bool:
        """False if extendedKeyUsage is there, and has neither clientAuth nor anyExtendedKeyUsage."""
        purposes = self.extended_key_usage
        return purposes is None or not purposes.isdisjoint((CLIENT_AUTH, _ANY_PURPOSE))

    @property
    def key_identifier(self) -> bytes:
        """The content of subjectKeyIdentifier; empty if it is absent."""
        found = self._value(SUBJECT_KEY_IDENTIFIER, OCTET_STRING)
        return found.content if found else b""

    @property
    def alternative_names(self) -> tuple[bytes, bool]:
        """The value of subjectAltName (GeneralNames, DER), and whether it is critical; empty if it is absent."""
        found = self.extension(SUBJECT_ALTERNATIVE_NAME)
        if found is None:
            return b"", False
        self._value(SUBJECT_ALTERNATIVE_NAME, SEQUENCE)
        return found.value_der, found.critical

    def _value(self, oid: str, tag: int) -> Element | None:
        found = self.extension(oid)
        if found is None:
            return None
        value = read_element(found.value_der)
        if value.tag != tag or value.end != len(found.value_der):
            raise MalformedError("not the value of this extension")
        return value


@lru_cache(maxsize=64)
def read_fields(certificate_der: bytes) -> CertificateFields:
    """Read the certificate at the beginning; the rest is ignored (as in OpenSSL's TRUSTED CERTIFICATE).

    The checks of one request read its certificate and the CAs again and again.
    """
    certificate = read_element(certificate_der)
    if certificate.tag != SEQUENCE:
        raise MalformedError("not a certificate")
    tbs, algorithm, signature = _exactly(certificate, 3)
    fields = _Fields(tbs)
    version = fields.version()
    serial_number = fields.take(INTEGER).content
    if not 0 < len(serial_number) <= _LONGEST_SERIAL_NUMBER:
        raise MalformedError("a serial number that is too long")
    inner_algorithm, issuer, validity, subject, public_key_info = (fields.take(SEQUENCE) for _ in range(5))
    not_before, not_after = _exactly(validity, 2)
    if algorithm.tag != SEQUENCE or signature.tag != BIT_STRING:
        raise MalformedError("no signature")
    return CertificateFields(
        der=certificate.encoded,
        tbs_der=tbs.encoded,
        version=version,
        serial_number=int.from_bytes(serial_number, "big", signed=True),
        inner_algorithm_der=inner_algorithm.encoded,
        issuer_der=issuer.encoded,
        not_before=read_time(not_before)[0],
        not_after=read_time(not_after)[0],
        subject_der=subject.encoded,
        public_key_info=public_key_info.encoded,
        extensions=fields.extensions(),
        algorithm_der=algorithm.encoded,
        signature=signature.content[1:],
    )


def subject_der(certificate_der: bytes) -> bytes:
    """The subject, a Name."""
    return read_fields(certificate_der).subject_der


def alternative_names(certificate_der: bytes) -> tuple[bytes, bool]:
    """The value of subjectAltName (GeneralNames), and whether it is critical; empty if it is absent."""
    return read_fields(certificate_der).alternative_names


def public_key_info(certificate_der: bytes) -> bytes:
    """The SubjectPublicKeyInfo."""
    return read_fields(certificate_der).public_key_info


def key_bits(public_key_info: bytes) -> bytes:
    """The content of the BIT STRING of a SubjectPublicKeyInfo, without the octet for unused bits."""
    _, bits = _exactly(read_element(public_key_info), 2)
    if bits.tag != BIT_STRING:
        raise MalformedError("not a public key")
    return bits.content[1:]


class _Fields:
    """The fields of a TBSCertificate, taken one after the other."""

    def __init__(self, tbs: Element) -> None:
        if tbs.tag != SEQUENCE:
            raise MalformedError("not a certificate")
        self._rest = list(tbs.children())[::-1]

    def version(self) -> int:
        if not self._rest or self._rest[-1].tag != CONTEXT_0:
            return 1
        (number,) = _exactly(self._rest.pop(), 1)
        if (version := number.integer() + 1) not in (1, 2, 3):
            raise MalformedError("an unknown version")
        return version

    def take(self, tag: int) -> Element:
        if not self._rest or self._rest[-1].tag != tag:
            raise MalformedError("a field is missing")
        return self._rest.pop()

    def extensions(self) -> tuple[Extension, ...]:
        """The rest of the fields: the unique identifiers of version 2, which are ignored, and the extensions."""
        found = [each for each in self._rest if each.tag == _EXTENSIONS]
        if not found:
            return ()
        (block,) = _exactly(found[0], 1)
        extensions = tuple(_extension(each) for each in block.children())
        if len(found) > 1 or len(extensions) > _MOST_EXTENSIONS:
            raise MalformedError("too many extensions")
        return extensions


def _extension(element: Element) -> Extension:
    oid, *flags, value = element.fields(2) + element.readable_children(3)[2:]
    critical = [each.content not in (b"", b"\0") for each in flags if each.tag == _BOOLEAN]
    if len(flags) != len(critical) or value.tag != OCTET_STRING:
        raise MalformedError("not an extension")
    return Extension(oid.object_identifier(), any(critical), value.content)


def _exactly(element: Element, count: int) -> list[Element]:
    children = list(element.children())
    if len(children) != count:
        raise MalformedError("not the expected fields")
    return children
