"""A Java keystore with one key, as `keytool -storetype JKS` writes it."""

import hashlib
import os
import struct
from collections.abc import Sequence

from tools.der import der_element


def java_keystore(alias: str, key_der: bytes, chain: Sequence[bytes], password: str) -> bytes:
    """The keystore of a key (PKCS#8) and its certificates, the leaf first, all in DER."""
    entry = struct.pack(">I", 1) + _java_utf(alias) + struct.pack(">Q", 0)
    protected = _protected_key(key_der, password)
    entry += struct.pack(">I", len(protected)) + protected
    entry += struct.pack(">I", len(chain))
    entry += b"".join(_java_utf("X.509") + struct.pack(">I", len(der)) + der for der in chain)
    store = struct.pack(">III", 0xFEEDFEED, 2, 1) + entry
    return store + _sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + store)


def _java_utf(text: str) -> bytes:
    """Encode ASCII text as `DataOutput.writeUTF` does."""
    return struct.pack(">H", len(text)) + text.encode("ascii")


def _protected_key(key_der: bytes, password: str) -> bytes:
    """EncryptedPrivateKeyInfo with Sun's own key protection: the key XORed with a chain of SHA-1 digests."""
    secret, digest = password.encode("utf-16-be"), os.urandom(20)
    protected, stream = digest, b""
    while len(stream) < len(key_der):
        digest = _sha1(secret + digest)
        stream += digest
    protected += bytes(a ^ b for a, b in zip(key_der, stream, strict=False)) + _sha1(secret + key_der)
    sun_key_protector = der_element(0x30, bytes.fromhex("060a2b060104012a021101010500"))
    return der_element(0x30, sun_key_protector + der_element(0x04, protected))


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()
