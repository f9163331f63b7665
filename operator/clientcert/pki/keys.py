"""Keys: the usual name of an algorithm, and the public key of a private key."""

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from clientcert.pki.der import (
    BIT_STRING,
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    Element,
    MalformedError,
    read_element,
)

_RSA = "1.2.840.113549.1.1.1"
_RSA_PSS = "1.2.840.113549.1.1.10"
_EC = "1.2.840.10045.2.1"
_ED25519 = "1.3.101.112"
_ED448 = "1.3.101.113"

_ML_DSA = {
    "2.16.840.1.101.3.4.3.17": "ML-DSA-44",
    "2.16.840.1.101.3.4.3.18": "ML-DSA-65",
    "2.16.840.1.101.3.4.3.19": "ML-DSA-87",
}
_NAMES = {
    _ED25519: "Ed25519",
    _ED448: "Ed448",
    "1.3.101.110": "X25519",
    "1.3.101.111": "X448",
    "1.2.840.10040.4.1": "DSA",
    # FIPS 204 and 205, with the OIDs of RFC 9881 and RFC 9909.
    **_ML_DSA,
    "2.16.840.1.101.3.4.3.20": "SLH-DSA-SHA2-128s",
    "2.16.840.1.101.3.4.3.21": "SLH-DSA-SHA2-128f",
    "2.16.840.1.101.3.4.3.22": "SLH-DSA-SHA2-192s",
    "2.16.840.1.101.3.4.3.23": "SLH-DSA-SHA2-192f",
    "2.16.840.1.101.3.4.3.24": "SLH-DSA-SHA2-256s",
    "2.16.840.1.101.3.4.3.25": "SLH-DSA-SHA2-256f",
    "2.16.840.1.101.3.4.3.26": "SLH-DSA-SHAKE-128s",
    "2.16.840.1.101.3.4.3.27": "SLH-DSA-SHAKE-128f",
    "2.16.840.1.101.3.4.3.28": "SLH-DSA-SHAKE-192s",
    "2.16.840.1.101.3.4.3.29": "SLH-DSA-SHAKE-192f",
    "2.16.840.1.101.3.4.3.30": "SLH-DSA-SHAKE-256s",
    "2.16.840.1.101.3.4.3.31": "SLH-DSA-SHAKE-256f",
}

_CURVES = {
    "1.2.840.10045.3.1.1": "P-192",
    "1.3.132.0.33": "P-224",
    "1.2.840.10045.3.1.7": "P-256",
    "1.3.132.0.34": "P-384",
    "1.3.132.0.35": "P-521",
    "1.3.132.0.10": "secp256k1",
    "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1",
    "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
    "1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
}

MAX_PRIVATE_KEY_SIZE = 16 * 1024
"""An RSA key of 16,384 bits has 9 KiB; larger keys are ignored."""
_CHEAP_ALGORITHMS = frozenset({_RSA, _EC, _ED25519, _ED448, *_ML_DSA})


def algorithm_name(public_key_info: Element) -> str:
    """The usual name (`RSA 2048`, `ECDSA P-256`) for a SubjectPublicKeyInfo; the OID if no name is known.

    Raises MalformedError if not even the OID can be read.
    """
    algorithm = public_key_info.fields(1)[0]
    oid = algorithm.fields(1)[0].object_identifier()
    if oid in (_RSA, _RSA_PSS):
        return f"{'RSA' if oid == _RSA else 'RSA-PSS'} {_modulus_bits(public_key_info)}".rstrip()
    if oid == _EC:
        return f"ECDSA {_curve(algorithm)}".rstrip()
    return _NAMES.get(oid, oid)


def public_key_info_of(private_key_der: bytes) -> bytes | None:
    """The SubjectPublicKeyInfo (DER) of a private key; None if the key is encrypted or of an unknown kind.

    RSA keys are not checked for primality: the check of a hostile key takes seconds, and a wrong key matches nothing.
    """
    if len(private_key_der) > MAX_PRIVATE_KEY_SIZE or not _is_cheap(private_key_der):
        return None
    try:
        private_key = load_der_private_key(private_key_der, None, unsafe_skip_rsa_key_validation=True)
        return private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # noqa: BLE001 - the library's messages about a private key are dropped
        return None


def _is_cheap(private_key_der: bytes) -> bool:
    """True if the public key can be derived without arithmetic on numbers from the file (as DSA and DH need)."""
    try:
        private_key = read_element(private_key_der)
        version, second = private_key.fields(2)
        if version.tag != INTEGER:
            return False
        if second.tag == SEQUENCE:  # PKCS#8
            return second.fields(1)[0].object_identifier() in _CHEAP_ALGORITHMS
        # SEC 1, or PKCS#1 (nine integers; a DSA key has six).
        return second.tag == OCTET_STRING or len(private_key.fields(9)) == 9
    except MalformedError:
        return False


def _modulus_bits(public_key_info: Element) -> str:
    """The bit length of an RSAPublicKey's modulus (RFC 8017 appendix A.1.1), without converting it to a number."""
    try:
        key = public_key_info.fields(2)[1]
        if key.tag != BIT_STRING:
            return ""
        modulus = read_element(key.buffer, key.content_start + 1, key.content_end).fields(1)[0]
    except MalformedError:
        return ""
    octets = modulus.content.lstrip(b"\0")
    return str(len(octets) * 8 - 8 + octets[0].bit_length()) if octets else ""


def _curve(algorithm: Element) -> str:
    """The named curve (RFC 5480 section 2.1.1); empty for explicit parameters."""
    parameters = algorithm.readable_children(2)[1:]
    if not parameters or parameters[0].tag != OBJECT_IDENTIFIER:
        return ""
    oid = parameters[0].object_identifier()
    return _CURVES.get(oid, oid)
