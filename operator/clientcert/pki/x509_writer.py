"""The parts that certificates and revocation lists have in common, as DER (RFC 5280)."""

import hashlib
from datetime import UTC, datetime

from clientcert.pki.certificate_fields import AUTHORITY_KEY_IDENTIFIER, key_bits
from clientcert.pki.der import GENERALIZED_TIME, INTEGER, UTC_TIME
from clientcert.pki.der_writer import (
    CONTEXT_PRIMITIVE_0,
    TRUE,
    bit_string,
    element,
    object_identifier,
    octet_string,
    sequence,
)

_UTC_TIME_YEARS = range(1950, 2050)


def time(moment: datetime) -> bytes:
    """A Time in whole seconds: UTCTime to 2049, GeneralizedTime from 2050 (section 4.1.2.5)."""
    moment = moment.astimezone(UTC)
    if moment.year in _UTC_TIME_YEARS:
        return element(UTC_TIME, f"{moment:%y%m%d%H%M%SZ}".encode())
    return element(GENERALIZED_TIME, f"{moment.year:04}{moment:%m%d%H%M%SZ}".encode())


def serial_number(value: int) -> bytes:
    """A CertificateSerialNumber; old certificates have negative ones, too."""
    magnitude = value if value >= 0 else ~value
    return element(INTEGER, value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def extension(oid: str, value_der: bytes, *, critical: bool = False) -> bytes:
    """An Extension; `critical` is left out if it is the default (section 4.1)."""
    return sequence(object_identifier(oid), TRUE if critical else b"", octet_string(value_der))


def authority_key_identifier(key_identifier: bytes) -> bytes:
    """The extension authorityKeyIdentifier with a keyIdentifier alone (section 4.2.1.1)."""
    return extension(AUTHORITY_KEY_IDENTIFIER, sequence(element(CONTEXT_PRIMITIVE_0, key_identifier)))


def key_identifier(public_key_info: bytes) -> bytes:
    """The identifier of a key by the first method of section 4.2.1.2: SHA-1, which secures nothing here."""
    return hashlib.sha1(key_bits(public_key_info), usedforsecurity=False).digest()


def signed(tbs_der: bytes, algorithm_der: bytes, signature: bytes) -> bytes:
    """A Certificate or a CertificateList of its parts (sections 4.1.1 and 5.1.1)."""
    return sequence(tbs_der, algorithm_der, bit_string(signature))
