"""The public key to which a delivery is encrypted."""

import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from clientcert.errors import CertificateError, Reason
from clientcert.pki.der import read_element
from clientcert.pki.key_rules import CANNOT_ENCRYPT_TO, can_encrypt_to, key_problem
from clientcert.pki.public_keys import DAMAGED


@dataclass(frozen=True, slots=True)
class Recipient:
    """A public key that something can be encrypted to."""

    key: RSAPublicKey | EllipticCurvePublicKey = field(repr=False)
    key_identifier: bytes
    """The SubjectKeyIdentifier: SHA-1 over the key's BIT STRING (RFC 5280 section 4.2.1.2, method 1)."""


def recipient_of(public_key_info: bytes) -> Recipient:
    """Read a SubjectPublicKeyInfo (DER). Raises CertificateError `UnsupportedKey` if nothing can be encrypted to it."""
    if problem := key_problem(public_key_info):
        raise CertificateError(Reason.UNSUPPORTED_KEY, problem)
    if not can_encrypt_to(public_key_info):
        raise CertificateError(Reason.UNSUPPORTED_KEY, CANNOT_ENCRYPT_TO)
    try:
        key = load_der_public_key(public_key_info)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        raise CertificateError(Reason.UNSUPPORTED_KEY, DAMAGED)
    bits = read_element(public_key_info).fields(2)[1].content[1:]
    return Recipient(key, hashlib.sha1(bits, usedforsecurity=False).digest())
