"""Keys that the operator makes for a consumer, and certification requests (PKCS#10, RFC 2986) by them."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from clientcert.errors import CertificateError, Reason
from clientcert.lifecycle.renewal.policy import KeySettings
from clientcert.pki.der import CONTEXT_0, SEQUENCE, MalformedError, read_element
from clientcert.pki.der_writer import (
    NULL,
    TRUE,
    algorithm,
    bit_string,
    element,
    integer,
    object_identifier,
    octet_string,
    sequence,
    set_of,
)
from clientcert.pki.pem_writer import pem

_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_SUBJECT_ALT_NAME = "2.5.29.17"
_SHA256_WITH_RSA = "1.2.840.113549.1.1.11"
_ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"
_ECDSA_WITH_SHA384 = "1.2.840.10045.4.3.3"
_RSA_SIZES = range(2048, 4097)
_CURVES: dict[int, ec.EllipticCurve] = {256: ec.SECP256R1(), 384: ec.SECP384R1()}


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key pair."""

    private_key_pem: bytes = field(repr=False)
    """PKCS#8, not encrypted."""
    public_key_pem: str
    public_key_info: bytes = field(repr=False)
    """SubjectPublicKeyInfo, DER."""


def make_key(settings: KeySettings) -> MadeKey:
    """Make a key. RSA takes up to seconds: call it in a thread, the interpreter lock is free meanwhile.

    Raises CertificateError `KeyNotAllowed` if there is no such key.
    """
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if settings.algorithm == "RSA" and settings.size in _RSA_SIZES:
        private = rsa.generate_private_key(65537, settings.size)
    elif settings.algorithm == "ECDSA" and settings.size in _CURVES:
        private = ec.generate_private_key(_CURVES[settings.size])
    else:
        raise CertificateError(
            Reason.KEY_NOT_ALLOWED,
            "the policy asks for a key that cannot be made: set spec.renewal.key.generate to RSA of 2048 to 4096 bits, "
            "or to ECDSA of 256 or 384",
        )
    public = private.public_key()
    return MadeKey(
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def make_csr(key: MadeKey, subject_der: bytes, alternative_names_der: bytes, critical: bool) -> str:
    """Make a CSR (PEM) for this Name, byte for byte, and these GeneralNames, if any.

    Raises CertificateError `InvalidCertificate` if either is not one whole SEQUENCE.
    """
    for name in filter(None, (subject_der, alternative_names_der)):
        _require_sequence(name)
    attributes = b""
    if alternative_names_der:
        extension = sequence(
            object_identifier(_SUBJECT_ALT_NAME), TRUE if critical else b"", octet_string(alternative_names_der)
        )
        attributes = sequence(object_identifier(_EXTENSION_REQUEST), set_of(sequence(extension)))
    to_be_signed = sequence(integer(0), subject_der or sequence(), key.public_key_info, element(CONTEXT_0, attributes))
    signature_algorithm, signature = _sign(key, to_be_signed)
    return pem("CERTIFICATE REQUEST", sequence(to_be_signed, signature_algorithm, bit_string(signature)))


def _sign(key: MadeKey, content: bytes) -> tuple[bytes, bytes]:
    """The AlgorithmIdentifier and the signature."""
    private = load_pem_private_key(key.private_key_pem, None, unsafe_skip_rsa_key_validation=True)
    if isinstance(private, rsa.RSAPrivateKey):
        return algorithm(_SHA256_WITH_RSA, NULL), private.sign(content, padding.PKCS1v15(), hashes.SHA256())
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("a made key is RSA or ECDSA")
    if private.key_size > 256:
        return algorithm(_ECDSA_WITH_SHA384), private.sign(content, ec.ECDSA(hashes.SHA384()))
    return algorithm(_ECDSA_WITH_SHA256), private.sign(content, ec.ECDSA(hashes.SHA256()))


def _require_sequence(encoded: bytes) -> None:
    try:
        outer = read_element(encoded)
    except MalformedError:
        outer = None
    if outer is None or outer.tag != SEQUENCE or outer.end != len(encoded):
        raise CertificateError(
            Reason.INVALID_CERTIFICATE,
            "subject or subjectAltName of the old certificate is damaged: ask for a new certificate (mode Reissue)",
        )
