"""The password-based encryption and integrity of PKCS#12 (RFC 7292, RFC 8018, RFC 9579).

The library's `load_pkcs12` is not used: it decrypts the private key, which is not needed here, tells of several keys
only the first, and refuses a whole container because of one invalid certificate.
"""

import hashlib
import hmac
from dataclasses import dataclass

from clientcert.errors import Reason
from clientcert.pki.container_entry import NotOpenedError
from clientcert.pki.der import INTEGER, OCTET_STRING, SEQUENCE, Element, MalformedError
from clientcert.pki.passwords import Secret
from clientcert.pki.pkcs12_ciphers import (
    PBES1_CIPHERS,
    PKCS12_CIPHERS,
    ContentCipher,
    UnknownAlgorithmError,
    content_cipher,
)

MAX_ITERATIONS = 2_000_000
"""The largest count of one key derivation; OWASP recommended 600,000 in 2023, writers use 2,048 to 100,000."""
_LONGEST_SALT = 1024
_LONGEST_KEY = 128

_KEY_PURPOSE, _IV_PURPOSE, _MAC_PURPOSE = 1, 2, 3
"""The diversifiers of RFC 7292 appendix B.3."""

_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
_PBMAC1 = "1.2.840.113549.1.5.14"
_SCRYPT = "1.3.6.1.4.1.11591.4.11"
_LARGEST_SCRYPT = 32 * 1024 * 1024
"""Octets of memory (RFC 7914 section 2: 128 * N * r)."""
_HMAC_SHA1 = "1.2.840.113549.2.7"
_HMAC = {
    _HMAC_SHA1: "sha1",
    "1.3.6.1.5.5.8.1.1": "md5",
    "1.2.840.113549.2.6": "md5",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
    "1.2.840.113549.2.12": "sha512_224",
    "1.2.840.113549.2.13": "sha512_256",
    "1.2.156.10197.1.401.2": "sm3",
    "2.16.840.1.101.3.4.2.13": "sha3_224",
    "2.16.840.1.101.3.4.2.14": "sha3_256",
    "2.16.840.1.101.3.4.2.15": "sha3_384",
    "2.16.840.1.101.3.4.2.16": "sha3_512",
}
_DIGESTS = {
    "1.3.14.3.2.26": "sha1",
    "1.2.840.113549.2.5": "md5",
    "1.3.36.3.2.1": "ripemd160",
    "1.2.156.10197.1.401": "sm3",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.5": "sha512_224",
    "2.16.840.1.101.3.4.2.6": "sha512_256",
    "2.16.840.1.101.3.4.2.7": "sha3_224",
    "2.16.840.1.101.3.4.2.8": "sha3_256",
    "2.16.840.1.101.3.4.2.9": "sha3_384",
    "2.16.840.1.101.3.4.2.10": "sha3_512",
}


@dataclass(frozen=True, slots=True)
class _Derivation:
    """The key derivation of RFC 7292 appendix B.2."""

    digest: str
    salt: bytes
    iterations: int

    def derive(self, secret: Secret, purpose: int, size: int) -> bytes:
        """Return `size` octets of a key, an initialization vector or a MAC key."""
        block_size = new_digest(self.digest).block_size
        diversifier = bytes([purpose]) * block_size
        seed = _repeated(self.salt, block_size) + _repeated(secret.bmp, block_size)
        derived = b""
        while len(derived) < size:
            value = new_digest(self.digest, diversifier + seed).digest()
            for _ in range(self.iterations - 1):
                value = hashlib.new(self.digest, value, usedforsecurity=False).digest()
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
        cipher, vector = content_cipher(*read_algorithm(encryption))
        return _unpadded(cipher, _pbes2_key(key_derivation, secret, cipher.key_size), vector, ciphertext)
    if oid not in PKCS12_CIPHERS and oid not in PBES1_CIPHERS:
        raise UnknownAlgorithmError(oid)
    salt, iterations = _fields(parameters, 2)
    if oid in PBES1_CIPHERS:
        digest, cipher = PBES1_CIPHERS[oid]
        derived = _pbkdf1(digest, secret.octets + _salt(salt), checked_iterations(iterations))
        return _unpadded(cipher, derived[:8], derived[8:16], ciphertext)
    cipher = PKCS12_CIPHERS[oid]
    derivation = _Derivation("sha1", _salt(salt), checked_iterations(iterations))
    key = derivation.derive(secret, _KEY_PURPOSE, cipher.key_size)
    return _unpadded(cipher, key, derivation.derive(secret, _IV_PURPOSE, cipher.block_size), ciphertext)


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
        key = _pbes2_key(key_derivation, secret, None)
    else:
        digest = _look_up(_DIGESTS, oid)
        count = checked_iterations(iterations[0]) if iterations else 1
        key = _Derivation(digest, _salt(salt), count).derive(secret, _MAC_PURPOSE, new_digest(digest).digest_size)
    return hmac.compare_digest(hmac.digest(key, content, digest), expected.octets())


def is_pbmac1(mac_data: Element) -> bool:
    """True for the MAC of RFC 9579, whose key is derived from the octets of the password."""
    return read_algorithm(_fields(mac_data, 1)[0].fields(1)[0])[0] == _PBMAC1


def check_mac_cost(mac_data: Element) -> None:
    """Do the same as `check_cost` for a MacData."""
    digest_info, _, *iterations = mac_data.children()
    check_cost(_fields(digest_info, 2)[0])
    if iterations:
        checked_iterations(iterations[0])


def check_cost(identifier: Element) -> None:
    """Raise NotOpenedError if this AlgorithmIdentifier has an iteration count above the limit."""
    for each in _members(read_algorithm(identifier)[1]):
        if each.tag == INTEGER:
            checked_iterations(each)
        elif each.tag == SEQUENCE:
            for count in _members(read_algorithm(each)[1]):
                if count.tag == INTEGER:
                    checked_iterations(count)


def _members(parameters: Element | None) -> list[Element]:
    """Of a SEQUENCE; an initialization vector may look like one, or like an iteration count."""
    return list(parameters.readable_children(4)) if parameters is not None and parameters.tag == SEQUENCE else []


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


def _pbes2_key(identifier: Element, secret: Secret, key_size: int | None) -> bytes:
    """The key of PBKDF2 or scrypt, of size `key_size` if the cipher has a fixed one, else as in the parameters."""
    oid, parameters = read_algorithm(identifier)
    if oid not in (_PBKDF2, _SCRYPT) or parameters is None:
        raise UnknownAlgorithmError(oid)
    salt, *numbers = parameters.children()
    stated = [each.integer() for each in numbers if each.tag == INTEGER]
    fixed = 1 if oid == _PBKDF2 else 3
    stated_size = stated[fixed] if len(stated) > fixed else None
    size = key_size or stated_size or 0
    if not 0 < size <= _LONGEST_KEY or stated_size not in (None, size):
        raise MalformedError("a key of the wrong size")
    if oid == _SCRYPT:
        return _scrypt(secret, _salt(salt), stated[:3], size)
    function = next((read_algorithm(each)[0] for each in numbers if each.tag == SEQUENCE), _HMAC_SHA1)
    digest, iterations = _look_up(_HMAC, function), checked_iterations(numbers[0])
    try:
        return hashlib.pbkdf2_hmac(digest, secret.octets, _salt(salt), iterations, dklen=size)
    except ValueError:
        raise UnknownAlgorithmError(function) from None


def _scrypt(secret: Secret, salt: bytes, costs: list[int], size: int) -> bytes:
    """RFC 7914 section 7; raises NotOpenedError if it takes too much memory or time."""
    if len(costs) < 3 or min(costs) < 1:
        raise MalformedError("not the parameters of scrypt")
    cost, block_size, parallel = costs
    memory = 128 * cost * block_size
    if memory > _LARGEST_SCRYPT or parallel * memory > 4 * _LARGEST_SCRYPT:
        raise NotOpenedError(Reason.TOO_EXPENSIVE)
    memory += 128 * block_size * (parallel + 2)
    return hashlib.scrypt(
        secret.octets, salt=salt, n=cost, r=block_size, p=parallel, maxmem=memory + 1024 * 1024, dklen=size
    )


def _pbkdf1(digest: str, value: bytes, iterations: int) -> bytes:
    """RFC 8018 section 5.1, of password and salt together."""
    for _ in range(iterations):
        value = new_digest(digest, value).digest()
    return value


def new_digest(name: str, value: bytes = b"") -> "hashlib._Hash":
    """A digest that has begun with `value`; raises UnknownAlgorithmError if this machine does not have it."""
    try:
        return hashlib.new(name, value, usedforsecurity=False)
    except ValueError:
        raise UnknownAlgorithmError from None


def _unpadded(cipher: ContentCipher, key: bytes, vector: bytes, ciphertext: bytes) -> bytes | None:
    try:
        plain = cipher.decrypt(key, vector, ciphertext)
    except ValueError:
        return None
    if not cipher.block_size:
        return plain
    padding = plain[-1] if plain else 0
    is_padded = 0 < padding <= cipher.block_size and plain.endswith(bytes([padding]) * padding)
    return plain[:-padding] if is_padded else None


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
        raise UnknownAlgorithmError(oid)
    return table[oid]


def _repeated(text: bytes, block_size: int) -> bytes:
    """Repeat the text until it fills whole blocks; an empty text stays empty."""
    blocks = -(-len(text) // block_size)
    return (text * (blocks * block_size // len(text) + 1))[: blocks * block_size] if text else b""
