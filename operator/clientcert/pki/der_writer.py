"""Writes DER (X.690): the counterpart of `der.py`, for structures that no library writes as they are needed here."""

from clientcert.pki.der import BIT_STRING, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET

CONTEXT_PRIMITIVE_0 = 0x80
"""The primitive context-specific tag [0]; add n for the tag [n]."""
NULL = b"\x05\0"
TRUE = b"\x01\x01\xff"


def element(tag: int, *contents: bytes) -> bytes:
    """One element with a definite length (section 8.1); the contents are joined."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*elements: bytes) -> bytes:
    """A SEQUENCE of encoded elements."""
    return element(SEQUENCE, *elements)


def set_of(*elements: bytes) -> bytes:
    """A SET OF encoded elements, in the order of their octets (section 11.6)."""
    return element(SET, *sorted(elements))


def integer(value: int) -> bytes:
    """An INTEGER that is not negative, in as few octets as possible (section 8.3)."""
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octet_string(value: bytes) -> bytes:
    """An OCTET STRING."""
    return element(OCTET_STRING, value)


def bit_string(value: bytes) -> bytes:
    """A BIT STRING of whole octets."""
    return element(BIT_STRING, b"\0", value)


def object_identifier(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER (section 8.19)."""
    first, second, *rest = map(int, dotted.split("."))
    return element(OBJECT_IDENTIFIER, *map(_base_128, (40 * first + second, *rest)))


def algorithm(oid: str, *parameters: bytes) -> bytes:
    """An AlgorithmIdentifier (RFC 5280 section 4.1.1.2), by default without parameters."""
    return sequence(object_identifier(oid), *parameters)


def _base_128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(0x80 | number & 0x7F)
    return bytes(reversed(octets))
