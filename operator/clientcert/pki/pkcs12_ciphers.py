"""The ciphers that PKCS#12 files are encrypted with, by their OIDs, and the names of those that are not supported."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4, CAST5, IDEA, SEED, Blowfish, Camellia, TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4
from cryptography.hazmat.primitives.ciphers.modes import CBC

from clientcert.pki.aria import ARIA
from clientcert.pki.der import INTEGER, OCTET_STRING, SEQUENCE, Element, MalformedError
from clientcert.pki.rc2 import RC2


class UnknownAlgorithmError(Exception):
    """The algorithm is not in any table; `name` is empty, or one of `UNSUPPORTED`."""

    def __init__(self, oid: str = "") -> None:
        super().__init__("an unknown algorithm")
        self.name = next((name for prefix, name in UNSUPPORTED.items() if f"{oid}.".startswith(prefix)), "")


UNSUPPORTED = {
    "1.2.643.": "GOST",
    "1.2.804.": "DSTU",
    "1.2.112.": "BelT",
    "1.2.840.113549.2.2.": "MD2",
    "1.2.840.113549.1.5.1.": "MD2",
    "1.2.840.113549.1.5.4.": "MD2",
    "1.2.840.113549.1.9.16.3.18.": "ChaCha20-Poly1305",
    "2.16.840.1.101.3.4.1.": "an unusual mode of AES",
    "1.2.840.113549.1.7.3.": "the public key of a recipient instead of a password",
    "1.2.840.113549.1.7.2.": "a signature instead of a password",
}
"""The names of well-known algorithms by the beginning of their OIDs."""


class _BlockCipher(Protocol):
    block_size: int

    def decrypt_block(self, block: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class ContentCipher:
    """A cipher in CBC mode, or a stream cipher."""

    key_size: int
    """Octets."""
    block_size: int
    """Octets, also those of the initialization vector; 0 for a stream cipher."""
    decrypt: Callable[[bytes, bytes, bytes], bytes]
    """From key, initialization vector and ciphertext to the padded content; raises ValueError for odd sizes."""


def content_cipher(oid: str, parameters: Element | None) -> tuple[ContentCipher, bytes]:
    """The cipher of PBES2 with this AlgorithmIdentifier, and its initialization vector (RFC 8018 appendix B.2).

    Raises MalformedError and UnknownAlgorithmError.
    """
    if parameters is None:
        raise UnknownAlgorithmError(oid)
    if oid == _RC2_CBC:
        return _rc2_with_parameters(parameters)
    if oid not in _CBC:
        raise UnknownAlgorithmError(oid)
    if oid == _CAST5_CBC and parameters.tag == SEQUENCE:
        parameters = parameters.fields(1)[0]
    cipher, vector = _CBC[oid], parameters.content
    if parameters.tag != OCTET_STRING or len(vector) != cipher.block_size:
        raise MalformedError("not an initialization vector")
    return cipher, vector


def _library(cipher: type[BlockCipherAlgorithm], key_size: int, block_size: int) -> ContentCipher:
    def decrypt(key: bytes, vector: bytes, ciphertext: bytes) -> bytes:
        decryptor = Cipher(cipher(key), CBC(vector)).decryptor()  # type: ignore[call-arg]
        return decryptor.update(ciphertext) + decryptor.finalize()

    return ContentCipher(key_size, block_size, decrypt)


def _triple_des(key_size: int) -> ContentCipher:
    """3DES with three keys or with two, or single DES: shorter keys are repeated."""
    cipher = _library(TripleDES, 24, 8)
    return ContentCipher(key_size, 8, lambda key, *rest: cipher.decrypt((key * 3)[:24], *rest))


def _decrypt_cbc(make: Callable[[bytes], _BlockCipher], key: bytes, vector: bytes, ciphertext: bytes) -> bytes:
    cipher, size = make(key), len(vector)
    if len(ciphertext) % size:
        raise ValueError("not whole blocks")
    plain, previous = bytearray(), vector
    for at in range(0, len(ciphertext), size):
        block = ciphertext[at : at + size]
        plain += bytes(a ^ b for a, b in zip(cipher.decrypt_block(block), previous, strict=True))
        previous = block
    return bytes(plain)


def _rc2(key_size: int, effective_bits: int) -> ContentCipher:
    make = partial(RC2, effective_bits=effective_bits)
    return ContentCipher(key_size, RC2.block_size, partial(_decrypt_cbc, make))


def _aria(key_size: int) -> ContentCipher:
    return ContentCipher(key_size, ARIA.block_size, partial(_decrypt_cbc, ARIA))


def _decrypt_rc4(key: bytes, _: bytes, ciphertext: bytes) -> bytes:
    return Cipher(ARC4(key), mode=None).decryptor().update(ciphertext)


def _rc2_with_parameters(parameters: Element) -> tuple[ContentCipher, bytes]:
    """RC2-CBC-Parameter of RFC 8018 appendix B.2.3."""
    *version, vector = parameters.children()
    number = version[0].integer() if version and version[0].tag == INTEGER else None
    bits = _RC2_VERSIONS.get(number, number)
    if bits is None or not 0 < bits <= 1024 or len(vector.content) != RC2.block_size:
        raise MalformedError("not the parameters of RC2")
    return _rc2(min(bits // 8, 16) or 1, bits), vector.content


_RC2_VERSIONS = {None: 32, 160: 40, 120: 64, 58: 128}
_RC2_CBC = "1.2.840.113549.3.2"
_CAST5_CBC = "1.2.840.113533.7.66.10"
_DES = _triple_des(8)
_CBC = {
    **{f"2.16.840.1.101.3.4.1.{number}": _library(AES, size, 16) for number, size in ((2, 16), (22, 24), (42, 32))},
    **{f"1.2.392.200011.61.1.1.1.{number}": _library(Camellia, 8 * number, 16) for number in (2, 3, 4)},
    **{f"1.2.410.200046.1.1.{number}": _aria(size) for number, size in ((2, 16), (7, 24), (12, 32))},
    "1.2.840.113549.3.7": _triple_des(24),
    "1.3.14.3.2.7": _DES,
    "1.2.410.200004.1.4": _library(SEED, 16, 16),
    "1.2.156.10197.1.104.2": _library(SM4, 16, 16),
    "1.3.6.1.4.1.188.7.1.1.2": _library(IDEA, 16, 8),
    "1.3.6.1.4.1.3029.1.2": _library(Blowfish, 16, 8),
    _CAST5_CBC: _library(CAST5, 16, 8),
}
"""AES, Camellia, ARIA, 3DES, DES, SEED, SM4, IDEA, Blowfish and CAST5."""
_RC2_64 = _rc2(8, 64)
PKCS12_CIPHERS = {
    "1.2.840.113549.1.12.1.1": ContentCipher(16, 0, _decrypt_rc4),
    "1.2.840.113549.1.12.1.2": ContentCipher(5, 0, _decrypt_rc4),
    "1.2.840.113549.1.12.1.3": _triple_des(24),
    "1.2.840.113549.1.12.1.4": _triple_des(16),
    "1.2.840.113549.1.12.1.5": _rc2(16, 128),
    "1.2.840.113549.1.12.1.6": _rc2(5, 40),
}
"""The ciphers of RFC 7292 appendix C, all with keys derived by SHA-1."""
PBES1_CIPHERS = {
    "1.2.840.113549.1.5.3": ("md5", _DES),
    "1.2.840.113549.1.5.6": ("md5", _RC2_64),
    "1.2.840.113549.1.5.10": ("sha1", _DES),
    "1.2.840.113549.1.5.11": ("sha1", _RC2_64),
}
"""The digests and ciphers of RFC 8018 appendix A.3 (PKCS#5 version 1.5)."""
