"""The password-based encryption and integrity of PKCS#12 (RFC 7292, RFC 8018, RFC 9579).

The library's `load_pkcs12` is not used for two reasons: it decrypts the private key, which is not needed here, and it
refuses a whole container because of one invalid certificate. It opens only old containers, which use RC2 or RC4.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from clientcert.errors import Reason
from clientcert.pki.container_entry import NotOpenedError
from clientcert.pki.der import INTEGER, OCTET_STRING, SEQUENCE, Element, MalformedError

MAX_ITERATIONS = 2_000_000
"""The largest count of one key derivation; OWASP recommended 600,000 in 2023, writers use 2,048 to 100,000."""
_LONGEST_SALT = 1024
_LONGEST_KEY = 128

_KEY_PURPOSE, _IV_PURPOSE, _MAC_PURPOSE = 1, 2, 3
"""The diversifiers of RFC 7292 appendix B.3."""

_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
_PBMAC1 = "1.2.840.113549.1.5.14"
_PBE_SHA1_3DES = {"1.2.840.113549.1.12.1.3": 24, "1.2.840.113549.1.12.1.4": 16}
"""Key sizes of 3DES with three keys and with two."""
_HMAC_SHA1 = "1.2.840.113549.2.7"
_HMAC = {
    _HMAC_SHA1: "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
_DIGESTS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_CIPHERS: dict[str, tuple[type[AES] | type[TripleDES], int]] = {
    "2.16.840.1.101.3.4.1.2": (AES, 16),
    "2.16.840.1.101.3.4.1.22": (AES, 24),
    "2.16.840.1.101.3.4.1.42": (AES, 32),
    "1.2.840.113549.3.7": (TripleDES, 24),
}


class UnknownAlgorithmError(Exception):
    """The algorithm is not in the tables above."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One password in both encodings of PKCS#12; no password and an empty password differ in `bmp` only."""

    utf8: bytes = field(repr=False)
    bmp: bytes = field(repr=False)

    @classmethod
    def of(cls, password: str | None) -> "Secret":
        """Encode a password; None means no password."""
        if password is None:
            return cls(b"", b"")
        utf8 = password.encode("utf-8", errors="replace")
        return cls(utf8, password.encode("utf-16-be", errors="replace") + b"\0\0")


@dataclass(frozen=True, slots=True)
class _Derivation:
    """The key derivation of RFC 7292 appendix B.2."""

    digest: str
    salt: bytes
    iterations: int

    def derive(self, secret: Secret, purpose: int, size: int) -> bytes:
        """Return `size` octets of a key, an initialization vector or a MAC key."""
        block_size = hashlib.new(self.digest).block_size
        diversifier = bytes([purpose]) * block_size
        seed = _repeated(self.salt, block_size) + _repeated(secret.bmp, block_size)
        derived = b""
        while len(derived) < size:
            value = hashlib.new(self.digest, diversifier + seed).digest()
            for _ in range(self.iterations - 1):
                value = hashlib.new(self.digest, value).digest()
            derived += value
            seed = _next_seed(seed, value, block_size)
        return derived[:size]


def decrypt(identifier: Element, secret: Secret, ciphertext: bytes) -> bytes | None:
    """Decrypt; returns None if the padding shows that the password is wrong.

    Raises MalformedError, NotOpenedError (too expensive) and UnknownAlgorithmError.
    """
    oid, parameters = read_algorithm(identifier)
    if oid == _PBES2:
        key_derivation, encryption = _fields(parameters, 2)
        cipher_oid, initialization = read_algorithm(encryption)
        if cipher_oid not in _CIPHERS or initialization is None:
            raise UnknownAlgorithmError
        cipher, key_size = _CIPHERS[cipher_oid]
        return _decrypt_cbc(cipher, _pbkdf2(key_derivation, secret, key_size), initialization.content, ciphertext)
    if oid not in _PBE_SHA1_3DES:
        raise UnknownAlgorithmError
    salt, iterations = _fields(parameters, 2)
    derivation = _Derivation("sha1", _salt(salt), checked_iterations(iterations))
    key = derivation.derive(secret, _KEY_PURPOSE, _PBE_SHA1_3DES[oid])
    vector = derivation.derive(secret, _IV_PURPOSE, 8)
    return _decrypt_cbc(TripleDES, key, vector, ciphertext)


def mac_matches(mac_data: Element, content: bytes, secret: Secret) -> bool:
    """True if MacData (RFC 7292 section 4) is valid for `content` and this password.

    Raises MalformedError, NotOpenedError (too expensive) and UnknownAlgorithmError.
    """
    digest_info, salt, *iterations = mac_data.children()
    algorithm, expected = _fields(digest_info, 2)
    oid, parameters = read_algorithm(algorithm)
    if oid == _PBMAC1:
        key_derivation, scheme = _fields(parameters, 2)
        digest = _look_up(_HMAC, read_algorithm(scheme)[0])
        key = _pbkdf2(key_derivation, secret, None)
    else:
        digest = _look_up(_DIGESTS, oid)
        count = checked_iterations(iterations[0]) if iterations else 1
        key = _Derivation(digest, _salt(salt), count).derive(secret, _MAC_PURPOSE, hashlib.new(digest).digest_size)
    return hmac.compare_digest(hmac.digest(key, content, digest), expected.octets())


def check_mac_cost(mac_data: Element) -> None:
    """Do the same as `check_cost` for a MacData."""
    digest_info, _, *iterations = mac_data.children()
    check_cost(_fields(digest_info, 2)[0])
    if iterations:
        checked_iterations(iterations[0])


def check_cost(identifier: Element) -> None:
    """Raise NotOpenedError if this AlgorithmIdentifier has an iteration count above the limit."""
    _, parameters = read_algorithm(identifier)
    for each in parameters.readable_children(4) if parameters else ():
        if each.tag == INTEGER:
            checked_iterations(each)
        elif each.tag == SEQUENCE:
            _, inner = read_algorithm(each)
            for count in inner.readable_children(4) if inner else ():
                if count.tag == INTEGER:
                    checked_iterations(count)


def checked_iterations(element: Element) -> int:
    """Return the iteration count; raises NotOpenedError if it is above the limit, MalformedError if it is not one."""
    if element.tag != INTEGER:
        raise MalformedError("no iteration count")
    if element.content_end - element.content_start > 8 or element.integer() > MAX_ITERATIONS:
        raise NotOpenedError(Reason.TOO_EXPENSIVE)
    if element.integer() < 1:
        raise MalformedError("no iterations")
    return element.integer()


def read_algorithm(identifier: Element) -> tuple[str, Element | None]:
    """Return OID and parameters of an AlgorithmIdentifier (RFC 5280 section 4.1.1.2)."""
    oid, *parameters = identifier.fields(1) + identifier.readable_children(2)[1:]
    return oid.object_identifier(), parameters[0] if parameters else None


def _next_seed(seed: bytes, value: bytes, block_size: int) -> bytes:
    """Add the repeated `value` plus one to each block of the seed (RFC 7292 appendix B.2, step 6C)."""
    addend = int.from_bytes((value * block_size)[:block_size], "big") + 1
    blocks = (int.from_bytes(seed[at : at + block_size], "big") for at in range(0, len(seed), block_size))
    return b"".join(((block + addend) % (1 << 8 * block_size)).to_bytes(block_size, "big") for block in blocks)


def _pbkdf2(identifier: Element, secret: Secret, key_size: int | None) -> bytes:
    """The key of RFC 8018 appendix A.2, of size `key_size` if the cipher has a fixed one, else as in the parameters."""
    oid, parameters = read_algorithm(identifier)
    if oid != _PBKDF2 or parameters is None:
        raise UnknownAlgorithmError
    salt, iterations, *optional = parameters.children()
    stated_size = next((each.integer() for each in optional if each.tag == INTEGER), None)
    function = next((read_algorithm(each)[0] for each in optional if each.tag == SEQUENCE), _HMAC_SHA1)
    size = key_size or stated_size or 0
    if not 0 < size <= _LONGEST_KEY or stated_size not in (None, size):
        raise MalformedError("a key of the wrong size")
    return hashlib.pbkdf2_hmac(
        _look_up(_HMAC, function), secret.utf8, _salt(salt), checked_iterations(iterations), dklen=size
    )


def _decrypt_cbc(cipher: type[AES] | type[TripleDES], key: bytes, vector: bytes, ciphertext: bytes) -> bytes | None:
    decryptor = Cipher(cipher(key), CBC(vector)).decryptor()
    unpadder = PKCS7(cipher.block_size).unpadder()
    try:
        padded = decryptor.update(ciphertext) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return None


def _fields(parameters: Element | None, count: int) -> list[Element]:
    if parameters is None:
        raise MalformedError("no parameters")
    return parameters.fields(count)


def _salt(element: Element) -> bytes:
    if element.tag != OCTET_STRING or element.content_end - element.content_start > _LONGEST_SALT:
        raise MalformedError("not a salt of a supported size")
    return element.content


def _look_up(table: dict[str, str], oid: str) -> str:
    if oid not in table:
        raise UnknownAlgorithmError
    return table[oid]


def _repeated(text: bytes, block_size: int) -> bytes:
    """Repeat the text until it fills whole blocks; an empty text stays empty."""
    blocks = -(-len(text) // block_size)
    return (text * (blocks * block_size // len(text) + 1))[: blocks * block_size] if text else b""
