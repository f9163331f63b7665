"""Verifies the signatures of requests and proofs at a bounded cost, whatever key and algorithm they come with."""

from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from clientcert.pki.der import CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, SEQUENCE, Element, MalformedError, read_element
from clientcert.pki.public_keys import EC_OID, LARGEST_RSA_BITS, RSA_OID, RSA_PSS_OID
from clientcert.pki.strict import PROCESS_EXITS

_PKCS1 = "1.2.840.113549.1.1."
_MGF1 = _PKCS1 + "8"
_ECDSA = "1.2.840.10045.4."
_EDWARDS = {"1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}
_DIGESTS = {
    "1.2.840.113549.2.5": "MD5",
    "1.3.14.3.2.26": "SHA-1",
    "2.16.840.1.101.3.4.2.4": "SHA-224",
    "2.16.840.1.101.3.4.2.1": "SHA-256",
    "2.16.840.1.101.3.4.2.2": "SHA-384",
    "2.16.840.1.101.3.4.2.3": "SHA-512",
}
_RSA_SIGNATURES = {
    _PKCS1 + "4": "MD5",
    _PKCS1 + "5": "SHA-1",
    "1.3.14.3.2.29": "SHA-1",
    _PKCS1 + "14": "SHA-224",
    _PKCS1 + "11": "SHA-256",
    _PKCS1 + "12": "SHA-384",
    _PKCS1 + "13": "SHA-512",
}
_ECDSA_SIGNATURES = {
    _ECDSA + "1": "SHA-1",
    _ECDSA + "3.1": "SHA-224",
    _ECDSA + "3.2": "SHA-256",
    _ECDSA + "3.3": "SHA-384",
    _ECDSA + "3.4": "SHA-512",
}
STRONG = frozenset({"SHA-256", "SHA-384", "SHA-512"})
ALGORITHMS: dict[str, hashes.HashAlgorithm] = {
    "SHA-1": hashes.SHA1(),  # noqa: S303 - only for the CSRs of old programs, over content of the signer's own
    "SHA-224": hashes.SHA224(),
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}
_LONGEST_SALT = 512
_LONGEST_KEY = 8 * 1024


class UnsupportedSignatureError(ValueError):
    """The algorithm is unknown. The message names none of the content."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """An algorithm of signatures."""

    kind: str
    """RSA, RSA-PSS, ECDSA, or the name of an Edwards curve."""
    digest: str = ""
    """SHA-256 and so on; empty for Edwards curves, which have their own."""
    salt_length: int = 0
    """Octets, of RSA-PSS."""


def digest_name(identifier: Element) -> str:
    """The digest of an AlgorithmIdentifier; raises UnsupportedSignatureError or MalformedError."""
    name = _DIGESTS.get(identifier.fields(1)[0].object_identifier())
    if name is None:
        raise UnsupportedSignatureError("an unknown digest")
    return name


def read_scheme(identifier: Element, digest: str = "") -> Scheme:
    """Read an AlgorithmIdentifier; `digest` is what CMS says apart from it.

    Raises UnsupportedSignatureError or MalformedError.
    """
    oid = identifier.fields(1)[0].object_identifier()
    if oid == RSA_OID and digest:
        return Scheme("RSA", digest)
    if oid in _RSA_SIGNATURES:
        return Scheme("RSA", _RSA_SIGNATURES[oid])
    if oid in _ECDSA_SIGNATURES:
        return Scheme("ECDSA", _ECDSA_SIGNATURES[oid])
    if oid in _EDWARDS:
        return Scheme(_EDWARDS[oid])
    if oid == RSA_PSS_OID:
        return _read_pss(identifier)
    raise UnsupportedSignatureError("an unknown algorithm")


def is_signed(public_key_info: bytes, scheme: Scheme, signature: bytes, message: bytes) -> bool:
    """True if the signature is by this key; False also for a key that takes too long to compute with."""
    if not _is_bounded(public_key_info) or scheme.digest not in {*ALGORITHMS, ""}:
        return False
    try:
        _verify(public_key_info, scheme, signature, message)
    except PROCESS_EXITS:
        raise
    except BaseException:  # noqa: BLE001 - not only InvalidSignature: the library refuses hostile keys in many ways
        return False
    return True


def _verify(public_key_info: bytes, scheme: Scheme, signature: bytes, message: bytes) -> None:
    key = load_der_public_key(public_key_info)
    digest = ALGORITHMS.get(scheme.digest)
    if isinstance(key, rsa.RSAPublicKey) and digest is not None and scheme.kind == "RSA":
        key.verify(signature, message, padding.PKCS1v15(), digest)
    elif isinstance(key, rsa.RSAPublicKey) and digest is not None and scheme.kind == "RSA-PSS":
        key.verify(signature, message, padding.PSS(padding.MGF1(digest), scheme.salt_length), digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None and scheme.kind == "ECDSA":
        key.verify(signature, message, ec.ECDSA(digest))
    elif (isinstance(key, ed25519.Ed25519PublicKey) and scheme.kind == "Ed25519") or (
        isinstance(key, ed448.Ed448PublicKey) and scheme.kind == "Ed448"
    ):
        key.verify(signature, message)
    else:
        raise UnsupportedSignatureError("the algorithm is not one of this key")


def _is_bounded(public_key_info: bytes) -> bool:
    """True for keys whose signatures are verified within some hundredths of a second: no DSA, no curve of their own."""
    try:
        identifier, key = read_element(public_key_info).fields(2)
        oid, *parameters = identifier.readable_children(2)
        name = oid.object_identifier()
        if name in (RSA_OID, RSA_PSS_OID):
            numbers = read_element(key.buffer, key.content_start + 1, key.content_end).fields(2)
            return all(len(each.content.lstrip(b"\0")) * 8 <= LARGEST_RSA_BITS for each in numbers)
        is_named = bool(parameters) and parameters[0].tag == OBJECT_IDENTIFIER
        return len(public_key_info) <= _LONGEST_KEY and ((name == EC_OID and is_named) or name in _EDWARDS)
    except (MalformedError, ValueError):
        return False


def _read_pss(identifier: Element) -> Scheme:
    """RFC 4055 section 3.1; the digest of the mask must be that of the message, as all programs choose it."""
    parameters = identifier.readable_children(2)[1:]
    digest = mask = "SHA-1"
    salt_length = 20
    for each in parameters[0].readable_children(4) if parameters and parameters[0].tag == SEQUENCE else []:
        value = each.fields(1)[0]
        if each.tag == CONTEXT_0:
            digest = digest_name(value)
        elif each.tag == CONTEXT_0 + 1:
            generator, digest_of_mask = value.fields(2)
            if generator.object_identifier() != _MGF1:
                raise UnsupportedSignatureError("an unknown mask")
            mask = digest_name(digest_of_mask)
        elif each.tag == CONTEXT_0 + 2 and value.tag == INTEGER:
            salt_length = value.integer()
    if mask != digest or not 0 <= salt_length <= _LONGEST_SALT:
        raise UnsupportedSignatureError("unusual parameters")
    return Scheme("RSA-PSS", digest, salt_length)
