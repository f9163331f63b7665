"""Public keys as numbers, and in one canonical encoding: the same key has the same hash, however it was written."""

import contextlib
import hashlib
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from clientcert.pki.curves import CURVES, Curve, NotOnCurveError, check_ed25519, read_point, write_point
from clientcert.pki.der import BIT_STRING, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, Element, MalformedError, read_element
from clientcert.pki.der_writer import NULL, algorithm, bit_string, integer, object_identifier, sequence
from clientcert.pki.keys import algorithm_name

RSA_OID, RSA_PSS_OID = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"
EC_OID, ED25519_OID = "1.2.840.10045.2.1", "1.3.101.112"
LARGEST_RSA_BITS = 16_384
"""The largest modulus that OpenSSL computes with."""

USUAL_KEY = re.compile(
    rb"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04.{64}"
    rb"|\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04.{96}"
    rb"|\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00.{32}"
    rb"|\x30\x82(?:"
    rb"\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00"
    rb"\x30\x82\x01\x0a\x02\x82\x01\x01\x00[\x80-\xff].{255}"
    rb"|\x01\xa2\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x8f\x00"
    rb"\x30\x82\x01\x8a\x02\x82\x01\x81\x00[\x80-\xff].{383}"
    rb"|\x02\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x02\x0f\x00"
    rb"\x30\x82\x02\x0a\x02\x82\x02\x01\x00[\x80-\xff].{511}"
    rb")\x02\x03\x01\x00\x01",
    re.DOTALL,
)
"""P-256, P-384, Ed25519, and RSA of 2048, 3072 and 4096 bits, as `write_public_key` writes them: almost all keys."""

MAKE_ANOTHER = (
    "make an RSA key of 3072 bits (openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072)"
    " or an elliptic one of P-256 (openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256)"
)
DAMAGED = "the public key is damaged: send it again, as the program that made it wrote it"
_NOT_ON_CURVE = f"the public key is no point of its curve, so it is damaged or forged: {MAKE_ANOTHER}"


class UnsupportedKeyError(ValueError):
    """The key cannot be read; `sentence` tells why, and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class RsaKey:
    """RFC 8017."""

    modulus: int = field(repr=False)
    exponent: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class EcKey:
    """A point of a curve."""

    curve: Curve
    x: int = field(repr=False)
    y: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """RFC 8032."""

    point: bytes = field(repr=False)


PublicKey: TypeAlias = RsaKey | EcKey | Ed25519Key


def read_public_key(public_key_info: bytes) -> PublicKey:
    """Read a SubjectPublicKeyInfo (DER): RSA of any size up to 16,384 bits, P-256, P-384 or Ed25519.

    Raises UnsupportedKeyError.
    """
    try:
        outer = read_element(public_key_info)
        identifier, key = outer.fields(2)
        oid = identifier.fields(1)[0].object_identifier()
        name = algorithm_name(outer)
        if outer.tag != SEQUENCE or key.tag != BIT_STRING or key.content[:1] != b"\0":
            raise UnsupportedKeyError(DAMAGED)
    except MalformedError:
        raise UnsupportedKeyError(DAMAGED) from None
    if oid == RSA_OID:
        return read_pkcs1(key.content[1:])
    if oid == EC_OID:
        return _read_ec(identifier, key.content[1:], name)
    if oid == ED25519_OID:
        return read_ed25519(key.content[1:])
    raise UnsupportedKeyError(_why_not(oid, name))


def read_pkcs1(key: bytes) -> RsaKey:
    """Read an RSAPublicKey (RFC 8017 appendix A.1.1); raises UnsupportedKeyError."""
    try:
        modulus, exponent = read_element(key).fields(2)
    except MalformedError:
        raise UnsupportedKeyError(DAMAGED) from None
    if modulus.tag != INTEGER or exponent.tag != INTEGER:
        raise UnsupportedKeyError(DAMAGED)
    return rsa_key(modulus.content, exponent.content)


def rsa_key(modulus: bytes, exponent: bytes) -> RsaKey:
    """An RSA key of these numbers, in octets with a sign; raises UnsupportedKeyError if one is too large."""
    numbers = [each.lstrip(b"\0") for each in (modulus, exponent)]
    if any(each[:1] >= b"\x80" for each in (modulus, exponent)) or not all(numbers):
        raise UnsupportedKeyError(DAMAGED)
    if any(len(each) * 8 > LARGEST_RSA_BITS for each in numbers):
        raise UnsupportedKeyError(f"the RSA key is too long to compute with: {MAKE_ANOTHER}")
    return RsaKey(*[int.from_bytes(each, "big") for each in numbers])


def read_ed25519(point: bytes) -> Ed25519Key:
    """Read the 32 octets of a point; raises UnsupportedKeyError."""
    try:
        check_ed25519(point)
    except NotOnCurveError:
        raise UnsupportedKeyError(_NOT_ON_CURVE) from None
    return Ed25519Key(point)


def read_ec(curve: Curve, point: bytes) -> EcKey:
    """Read a point, compressed or not; raises UnsupportedKeyError."""
    try:
        return EcKey(curve, *read_point(curve, point))
    except NotOnCurveError:
        raise UnsupportedKeyError(_NOT_ON_CURVE) from None


def write_public_key(key: PublicKey) -> bytes:
    """The SubjectPublicKeyInfo (DER) of RFC 3279, RFC 5480 or RFC 8410; a point is not compressed."""
    match key:
        case RsaKey():
            numbers = sequence(integer(key.modulus), integer(key.exponent))
            return sequence(algorithm(RSA_OID, NULL), bit_string(numbers))
        case EcKey():
            identifier = algorithm(EC_OID, object_identifier(key.curve.oid))
            return sequence(identifier, bit_string(write_point(key.curve, key.x, key.y)))
        case Ed25519Key():
            return sequence(algorithm(ED25519_OID), bit_string(key.point))


def key_hash(public_key_info: bytes) -> str:
    """SHA-256 over the canonical encoding, in lower-case hex; of a key that cannot be read, over its own octets."""
    return hashlib.sha256(canonical_key(public_key_info)).hexdigest()


def canonical_key(public_key_info: bytes) -> bytes:
    """The key as `write_public_key` writes it; one that cannot be read as it is."""
    if not USUAL_KEY.fullmatch(public_key_info):
        with contextlib.suppress(UnsupportedKeyError, MalformedError):
            return write_public_key(read_public_key(public_key_info))
    return public_key_info


def _read_ec(identifier: Element, point: bytes, name: str) -> EcKey:
    parameters = identifier.readable_children(2)[1:]
    if not parameters or parameters[0].tag != OBJECT_IDENTIFIER:
        raise UnsupportedKeyError(
            "the key describes its elliptic curve by parameters instead of its name: make another with"
            " openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve"
        )
    curve = CURVES.get(parameters[0].object_identifier())
    if curve is None:
        curve_name = name.partition(" ")[2]
        raise UnsupportedKeyError(f"keys on the curve {curve_name} are not accepted: {MAKE_ANOTHER}")
    return read_ec(curve, point)


def _why_not(oid: str, name: str) -> str:
    if oid == RSA_PSS_OID:
        return (
            "the key is marked as one for RSA-PSS alone, which many TLS programs do not accept: make a plain RSA key"
            " (openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072)"
        )
    return f"keys of type {name} are not accepted: {MAKE_ANOTHER}"
