"""Signatures over certificates and revocation lists: how a CA signs, and whether a certificate is signed by a key.

`cryptography` verifies a certificate only if it can parse it, and there are valid ones that it refuses; so the signed
octets are verified here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

from clientcert.pki.certificate_fields import CertificateFields, read_fields
from clientcert.pki.der import MalformedError, read_element
from clientcert.pki.der_writer import NULL, algorithm
from clientcert.pki.signature_verification import ALGORITHMS, STRONG, UnsupportedSignatureError, is_signed, read_scheme

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
)

_SHA256_WITH_RSA = "1.2.840.113549.1.1.11"
_ECDSA_BY_CURVE = {
    "secp256r1": ("1.2.840.10045.4.3.2", "SHA-256"),
    "secp384r1": ("1.2.840.10045.4.3.3", "SHA-384"),
    "secp521r1": ("1.2.840.10045.4.3.4", "SHA-512"),
}
"""ECDSA with the hash that matches the strength of the curve (RFC 5758 section 3.2)."""
_ED25519, _ED448 = "1.3.101.112", "1.3.101.113"
_EDWARDS = ""
"""The digest of Edwards curves, which have their own."""


@dataclass(frozen=True, slots=True)
class SigningAlgorithm:
    """The algorithm that a CA's key signs with."""

    identifier_der: bytes
    """AlgorithmIdentifier."""
    digest: str = _EDWARDS


def algorithm_for(key: PrivateKey) -> SigningAlgorithm | None:
    """The algorithm for new signatures by this key, of SHA-256 or better; None for a curve that is not supported."""
    match key:
        case rsa.RSAPrivateKey():
            return SigningAlgorithm(algorithm(_SHA256_WITH_RSA, NULL), "SHA-256")
        case ec.EllipticCurvePrivateKey():
            oid, digest = _ECDSA_BY_CURVE.get(key.curve.name, ("", ""))
            return SigningAlgorithm(algorithm(oid), digest) if oid else None
        case ed25519.Ed25519PrivateKey():
            return SigningAlgorithm(algorithm(_ED25519))
        case ed448.Ed448PrivateKey():
            return SigningAlgorithm(algorithm(_ED448))


def sign(private_key: PrivateKey, message: bytes) -> bytes:
    """Sign with `algorithm_for` the key. The same message gives the same octets where the library can (RFC 6979)."""
    if isinstance(private_key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        return private_key.sign(message)
    found = algorithm_for(private_key)
    if found is None:
        raise ValueError("a curve that is not supported")
    digest = ALGORITHMS[found.digest]
    if isinstance(private_key, rsa.RSAPrivateKey):
        return private_key.sign(message, padding.PKCS1v15(), digest)
    try:
        return private_key.sign(message, ec.ECDSA(digest, deterministic_signing=True))
    except UnsupportedAlgorithm:  # OpenSSL before 3.2
        return private_key.sign(message, ec.ECDSA(digest))


def is_signed_by(certificate: CertificateFields, public_key_info: bytes, accepted: Collection[str] = STRONG) -> bool:
    """True if the certificate is signed by this key (SubjectPublicKeyInfo), with one of the `accepted` digests."""
    is_consistent = certificate.algorithm_der == certificate.inner_algorithm_der
    signature = (certificate.algorithm_der, certificate.signature)
    return is_consistent and is_valid(certificate.tbs_der, signature, public_key_info, accepted)


def is_issued_by(certificate_der: bytes, authority_der: bytes) -> bool:
    """True if the certificate is signed by the other one's key, whatever it calls its issuer.

    Also for X.509 version 1, for SHA-1, and for what `cryptography` cannot parse. False if one cannot be read.
    """
    try:
        certificate, authority = read_fields(certificate_der), read_fields(authority_der)
    except MalformedError:
        return False
    return is_signed_by(certificate, authority.public_key_info, ALGORITHMS)


def is_valid(
    message: bytes, signature: tuple[bytes, bytes], public_key_info: bytes, accepted: Collection[str] = STRONG
) -> bool:
    """True if the signature, an AlgorithmIdentifier and its octets, over the message is by this key."""
    identifier_der, octets = signature
    try:
        scheme = read_scheme(read_element(identifier_der))
    except (MalformedError, UnsupportedSignatureError):
        return False
    return scheme.digest in {*accepted, _EDWARDS} and is_signed(public_key_info, scheme, octets, message)
