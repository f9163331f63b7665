"""Reads the private key of a CA: PEM or DER, in PKCS#8, PKCS#1 or SEC 1, encrypted or not.

Raises PrivateKeyError, whose message is a fragment of a sentence and holds nothing of the content.
"""

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from clientcert.errors import CertificateError
from clientcert.pki.container_entry import NotOpenedError
from clientcert.pki.der import OCTET_STRING, SEQUENCE, Element, MalformedError, read_element
from clientcert.pki.keys import MAX_PRIVATE_KEY_SIZE
from clientcert.pki.passwords import Secret, password_candidates
from clientcert.pki.pem import Block, TooManyBlocksError, plain_text, read_blocks
from clientcert.pki.pkcs12_ciphers import UnknownAlgorithmError
from clientcert.pki.pkcs12_encryption import decrypt
from clientcert.pki.signatures import PrivateKey
from clientcert.pki.strict import PROCESS_EXITS
from clientcert.pki.structure import Kind, kind_of

MAX_SIZE = 64 * 1024
"""Octets of the whole content, which may have other blocks beside the key."""
_LABEL = "PRIVATE KEY"
_OPENSSH = "OPENSSH PRIVATE KEY"


class PrivateKeyError(Exception):
    """There is no usable private key. `message` completes a sentence that begins with the name of the content."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def read_private_key(content: bytes, password: str | None = None) -> PrivateKey:
    """Read the first private key in the content; `password` also without the line break that editors add.

    RSA keys are not checked for primality, which holds the interpreter lock for half a second: use `is_pair`.
    """
    try:
        key = _read(content, password)
    except (PrivateKeyError, *PROCESS_EXITS):
        raise
    except BaseException:  # noqa: BLE001 - also a panic of the library; its message may quote the key
        key = None
    if isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    ):
        return key
    # Raised outside of the except block, without a context: an inner frame would lead to the key.
    raise PrivateKeyError("holds no private key of a supported kind: put an RSA, ECDSA or Ed25519 key there, as PEM")


def _read(content: bytes, password: str | None) -> object:
    if len(content) > MAX_SIZE:
        raise PrivateKeyError("is larger than 64 KiB: put the private key there alone, as PEM")
    if kind_of(content) is Kind.PRIVATE_KEY:
        return _read_der(content, password)
    text, block = _first_block(content)
    if block is None:
        raise PrivateKeyError("holds no private key: put it there as PEM, with its BEGIN and END lines")
    if block.label == _OPENSSH:
        raise PrivateKeyError("is in the form of OpenSSH: convert it with ssh-keygen -p -m PKCS8 -f FILE")
    if not block.encrypted:
        return _read_der(block.der or b"", password)
    for candidate in _candidates(password):
        # The key derivation of this old form (RFC 1421) is one round of MD5, so no count can be too large.
        try:
            return load_pem_private_key(text, candidate.encode(), unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError):
            continue
    raise _wrong_password()


def _first_block(content: bytes) -> tuple[bytes, Block | None]:
    """The text from the first private key on, and its block."""
    try:
        text = plain_text(content, [])
        blocks = read_blocks(text)
    except (CertificateError, TooManyBlocksError):
        return b"", None
    found = next((each for each in blocks if each.label.endswith(_LABEL)), None)
    start = text.find(f"-----BEGIN {found.label}".encode()) if found else 0
    return text[start:], found


def _read_der(der: bytes, password: str | None) -> object:
    if len(der) > MAX_PRIVATE_KEY_SIZE:
        return None
    encrypted = _encrypted_parts(der)
    plain = _decrypted(*encrypted, _candidates(password)) if encrypted else der
    return load_der_private_key(plain, None, unsafe_skip_rsa_key_validation=True)


def _encrypted_parts(der: bytes) -> tuple[Element, bytes] | None:
    """Algorithm and ciphertext of an EncryptedPrivateKeyInfo (RFC 5958 section 3); None if it is not encrypted."""
    try:
        parts = read_element(der).fields(2)
    except MalformedError:
        return None
    algorithm, ciphertext = parts
    is_encrypted = algorithm.tag == SEQUENCE and ciphertext.tag == OCTET_STRING
    return (algorithm, ciphertext.octets()) if is_encrypted else None


def _decrypted(algorithm: Element, ciphertext: bytes, passwords: Iterable[str]) -> bytes:
    for password in passwords:
        try:
            plain = decrypt(algorithm, Secret(password.encode(), password.encode("utf-16-be") + b"\0\0"), ciphertext)
        except NotOpenedError:
            raise PrivateKeyError(
                "is encrypted with too many iterations: encrypt it again, with at most 2,000,000"
            ) from None
        except UnknownAlgorithmError:
            raise PrivateKeyError(
                "is encrypted in an unusual way: encrypt it again with openssl pkcs8 -topk8 -v2 aes-256-cbc"
            ) from None
        if plain is not None and kind_of(plain) is Kind.PRIVATE_KEY:
            return plain
    raise _wrong_password()


def _candidates(password: str | None) -> list[str]:
    if not password:
        raise PrivateKeyError("is encrypted: name the key of the Secret with its password, or store it unencrypted")
    return [each for each in password_candidates(password) if each]


def _wrong_password() -> PrivateKeyError:
    return PrivateKeyError("cannot be decrypted with the password: correct the password")
