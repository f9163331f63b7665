"""Recognises the kind of content by its structure, independent of any label."""

import re
from enum import Enum, auto

from clientcert.pki.der import (
    BIT_STRING,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Element,
    MalformedError,
    read_element,
)
from clientcert.pki.jks import KEYSTORE_MAGIC
from clientcert.pki.lenient import TIMES, is_validity

_PKCS7_CONTENT_TYPES = "1.2.840.113549.1.7."
_PKCS5 = "1.2.840.113549.1.5."
_ENOUGH_FIELDS = 4
"""Fields needed to distinguish all kinds; an RSA or DSA private key has more."""


class Kind(Enum):
    """A kind of content."""

    CERTIFICATE = auto()
    PKCS7 = auto()
    PKCS12 = auto()
    KEYSTORE = auto()
    CERTIFICATE_REQUEST = auto()
    REVOCATION_LIST = auto()
    PRIVATE_KEY = auto()
    PUBLIC_KEY = auto()
    BKS = auto()
    BCFKS = auto()
    UNKNOWN = auto()


CONTAINERS = (Kind.PKCS12, Kind.KEYSTORE)
"""Kinds that are opened in a subprocess."""
_BKS_BEGINNING = re.compile(rb"\0\0\0[\x01\x02]\0\0\0\x14.{20}\0[\0-\xff]{3}", re.DOTALL)
"""Version, a salt of 20 octets, and an iteration count; UBER begins in the same way."""
_PLAIN_BLOCK = re.compile(
    rb"-----BEGIN (?:[A-Z ]{0,20}PRIVATE KEY-----"
    rb"|[A-Z0-9# ]{1,40}-----\s{1,9}MI[IGH][A-Za-z0-9+/](?:MI[IGH]|.[DTjz]C[BC]|.[AQgw]YJ))"
)
"""A private key, or base64 of a SEQUENCE that begins with a SEQUENCE or an OBJECT IDENTIFIER, as certificates and
PKCS#7 do. A container does not: PFX (RFC 7292) begins with an INTEGER."""


def kind_of(data: bytes) -> Kind:
    """The kind of the content at the beginning of `data`; UNKNOWN for text and for truncated content."""
    if data[:4] in KEYSTORE_MAGIC:
        return Kind.KEYSTORE
    if _BKS_BEGINNING.match(data):
        return Kind.BKS
    try:
        outermost = read_element(data)
        if outermost.tag != SEQUENCE:
            return Kind.UNKNOWN
        return _kind_of_sequence(outermost.readable_children(_ENOUGH_FIELDS))
    except MalformedError:
        return Kind.UNKNOWN


def is_exact(data: bytes) -> bool:
    """True if DER ends where these octets end, so that nothing else was taken for a part of it.

    Several elements may follow each other. What is not DER is not judged.
    """
    at = 0
    try:
        while data[at : at + 1] == b"\x30":
            at = read_element(data, at).end
    except MalformedError:
        return False
    return at == 0 or not data[at:].strip(b"\r\n")


def needs_subprocess(data: bytes) -> bool:
    """True if `parse` may start a subprocess, and so may take seconds: for PKCS#12 and Java keystores.

    A container may be inside of a text, in base64 or under any label. So only a text whose blocks all begin like
    certificates or are private keys surely holds none.
    """
    kind = kind_of(data)
    if kind is not Kind.UNKNOWN:
        return kind in CONTAINERS
    begins = data.upper().count(b"BEGIN")
    return bool(data) and (begins == 0 or begins != len(_PLAIN_BLOCK.findall(data)))


def _kind_of_sequence(fields: list[Element]) -> Kind:
    if not fields:
        return Kind.UNKNOWN
    match fields[0].tag:
        case 0x06:
            is_content = fields[0].object_identifier().startswith(_PKCS7_CONTENT_TYPES)
            return Kind.PKCS7 if is_content else Kind.UNKNOWN
        case 0x02 if len(fields) > 1:
            return _kind_of_versioned(fields)
        case 0x30:
            return _kind_of_signed(fields)
    return Kind.UNKNOWN


def _kind_of_versioned(fields: list[Element]) -> Kind:
    """A sequence that begins with INTEGER: PFX (RFC 7292), PKCS#8 (RFC 5958), PKCS#1 (RFC 8017) or SEC 1 (RFC 5915)."""
    second = fields[1]
    if second.tag == SEQUENCE:
        inner = second.readable_children(1)
        if not inner or inner[0].tag != OBJECT_IDENTIFIER:
            return Kind.UNKNOWN
        is_pfx = inner[0].object_identifier().startswith(_PKCS7_CONTENT_TYPES)
        return Kind.PKCS12 if is_pfx else Kind.PRIVATE_KEY
    if second.tag == INTEGER:
        return {2: Kind.PUBLIC_KEY, _ENOUGH_FIELDS: Kind.PRIVATE_KEY}.get(len(fields), Kind.UNKNOWN)
    return Kind.PRIVATE_KEY if second.tag == OCTET_STRING else Kind.UNKNOWN


def _kind_of_signed(fields: list[Element]) -> Kind:
    """Certificates, requests and revocation lists have one shape, and so have public and encrypted private keys."""
    inner = fields[0].readable_children(10)
    if any(is_validity(each) for each in inner):
        return Kind.CERTIFICATE
    if any(each.tag in TIMES for each in inner):
        return Kind.REVOCATION_LIST
    if len(fields) == 2 and len(inner) == 2 and _is_encrypted(inner):
        return Kind.BCFKS
    if len(fields) == 2 and inner and inner[0].tag == OBJECT_IDENTIFIER:
        return {BIT_STRING: Kind.PUBLIC_KEY, OCTET_STRING: Kind.PRIVATE_KEY}.get(fields[1].tag, Kind.UNKNOWN)
    if [each.tag for each in inner[:3]] == [INTEGER, SEQUENCE, SEQUENCE]:
        name = inner[1].readable_children(1)
        return Kind.CERTIFICATE_REQUEST if not name or name[0].tag == SET else Kind.UNKNOWN
    return Kind.UNKNOWN


def _is_encrypted(fields: list[Element]) -> bool:
    """True for the store of a BCFKS: an AlgorithmIdentifier of PKCS#5, and what it encrypts."""
    algorithm, encrypted = fields
    inner = algorithm.readable_children(1) if algorithm.tag == SEQUENCE else []
    is_named = bool(inner) and inner[0].tag == OBJECT_IDENTIFIER
    return encrypted.tag == OCTET_STRING and is_named and inner[0].object_identifier().startswith(_PKCS5)
