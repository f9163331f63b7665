"""Writes PKCS#12 (RFC 7292) with any iteration count in any place, also counts that would take hours to compute."""

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from tests.unit.pki.certificates import sequence
from tools.der import der_element

_PBES2, _PBKDF2, _PBMAC1 = (bytes.fromhex("06092a864886f70d0105" + number) for number in ("0d", "0c", "0e"))
_HMAC_SHA512 = sequence(bytes.fromhex("06082a864886f70d020b0500"))
_AES_256_CBC = bytes.fromhex("060960864801650304012a")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_SHA256 = sequence(bytes.fromhex("06096086480165030402010500"))
_DATA, _ENCRYPTED_DATA = (bytes.fromhex("06092a864886f70d0107" + number) for number in ("01", "06"))
_BAG = "060b2a864886f70d010c0a01"
_X509_CERTIFICATE = bytes.fromhex("060a2a864886f70d01091601")
_LOCAL_KEY_ID = bytes.fromhex("06092a864886f70d010915")

SALT = b"8 octets"


def integer(value: int) -> bytes:
    return der_element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(value: bytes) -> bytes:
    return der_element(0x04, value)


def explicit(content: bytes) -> bytes:
    return der_element(0xA0, content)


def pbkdf2(iterations: int, key_length: int | None = None) -> bytes:
    length = integer(key_length) if key_length else b""
    return sequence(_PBKDF2, sequence(octets(SALT), integer(iterations), length, _HMAC_SHA512))


def pbes2(iterations: int, vector: bytes) -> bytes:
    """The AlgorithmIdentifier of PBKDF2 and AES-256-CBC."""
    return sequence(_PBES2, sequence(pbkdf2(iterations), sequence(_AES_256_CBC, octets(vector))))


def bag(kind: int, value: bytes, key_id: bytes = b"") -> bytes:
    attributes = der_element(0x31, sequence(_LOCAL_KEY_ID, der_element(0x31, octets(key_id)))) if key_id else b""
    return sequence(bytes.fromhex(f"{_BAG}{kind:02x}"), explicit(value), attributes)


def certificate_bag(der: bytes, key_id: bytes = b"") -> bytes:
    return bag(3, sequence(_X509_CERTIFICATE, explicit(octets(der))), key_id)


def shrouded_key_bag(iterations: int, key_id: bytes = b"") -> bytes:
    """An encrypted private key that no test decrypts."""
    return bag(2, sequence(pbes2(iterations, bytes(16)), octets(bytes(160))), key_id)


def plain(*bags: bytes) -> bytes:
    return sequence(_DATA, explicit(octets(sequence(*bags))))


def encrypted(*bags: bytes, password: str | bytes, iterations: int = 1, told_iterations: int | None = None) -> bytes:
    """EncryptedData; `told_iterations` is the stated iteration count, if it differs from the real one."""
    vector = os.urandom(16)
    key = hashlib.pbkdf2_hmac("sha512", _octets_of(password), SALT, iterations, 32)
    return _encrypted_data(pbes2(told_iterations or iterations, vector), _aes(key, vector, sequence(*bags)))


def encrypted_with_scrypt(*bags: bytes, password: str, cost: int, block_size: int, parallel: int) -> bytes:
    """EncryptedData with a key of RFC 7914; the key is only derived if that takes less than 16 MiB."""
    vector, key = os.urandom(16), bytes(32)
    if 128 * cost * block_size * parallel < 16 << 20:
        key = hashlib.scrypt(password.encode(), salt=SALT, n=cost, r=block_size, p=parallel, dklen=32)
    derivation = sequence(_SCRYPT, sequence(octets(SALT), integer(cost), integer(block_size), integer(parallel)))
    algorithm = sequence(_PBES2, sequence(derivation, sequence(_AES_256_CBC, octets(vector))))
    return _encrypted_data(algorithm, _aes(key, vector, sequence(*bags)))


def encrypted_with_cipher(oid: bytes) -> bytes:
    """EncryptedData of a cipher that nobody decrypts."""
    cipher = sequence(der_element(0x06, oid), octets(bytes(16)))
    return _encrypted_data(sequence(_PBES2, sequence(pbkdf2(1), cipher)), bytes(32))


def _encrypted_data(algorithm: bytes, ciphertext: bytes) -> bytes:
    info = sequence(_DATA, algorithm, der_element(0x80, ciphertext))
    return sequence(_ENCRYPTED_DATA, explicit(sequence(integer(0), info)))


def _aes(key: bytes, vector: bytes, content: bytes) -> bytes:
    padder, encryptor = PKCS7(128).padder(), Cipher(AES(key), CBC(vector)).encryptor()
    return encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()


def _octets_of(password: str | bytes) -> bytes:
    return password.encode() if isinstance(password, str) else password


def mac_of(content: bytes, bmp: bytes, iterations: int = 1) -> bytes:
    """A MacData of RFC 7292 with SHA-256, for a password as BMPString; its key fits into one digest."""
    block = 64
    seed = bytes([3]) * block + (SALT * block)[:block]
    seed += (bmp * block)[: -(-len(bmp) // block) * block]
    key = hashlib.sha256(seed).digest()
    for _ in range(iterations - 1):
        key = hashlib.sha256(key).digest()
    return sequence(sequence(_SHA256, octets(hmac.digest(key, content, "sha256"))), octets(SALT), integer(iterations))


def sha256_mac(iterations: int) -> bytes:
    """A MacData of the old kind with a wrong MAC."""
    return sequence(sequence(_SHA256, octets(bytes(32))), octets(SALT), integer(iterations))


def pbmac1(content: bytes, password: str | bytes, iterations: int) -> bytes:
    """A MacData of RFC 9579."""
    key = hashlib.pbkdf2_hmac("sha512", _octets_of(password), SALT, iterations, 64)
    algorithm = sequence(_PBMAC1, sequence(pbkdf2(iterations, 64), _HMAC_SHA512))
    digest = hmac.digest(key, content, "sha512")
    return sequence(sequence(algorithm, octets(digest)), octets(b"NOT USED"), integer(1))


def pfx(*contents: bytes, mac: bytes = b"") -> bytes:
    return sequence(integer(3), sequence(_DATA, explicit(octets(sequence(*contents)))), mac)
