"""Java keystores: JKS, and the part of JCEKS that has the same layout.

The layout is that of `sun.security.provider.JavaKeyStore`: magic, version, count, entries, and a SHA-1 digest over the
password and all of these. Certificates are not encrypted, so they can be read without a password. If a password is
given, the digest is checked, because a wrong password is a mistake that must be reported. Keys are skipped.
"""

import hashlib
import hmac
import struct

from clientcert.errors import Reason
from clientcert.pki.container_entry import Entry, NotOpenedError, password_candidates
from clientcert.pki.structure import KEYSTORE_MAGIC

_PRIVATE_KEY, _TRUSTED_CERTIFICATE = 1, 2
_DIGEST_SIZE = 20
_DIGEST_SALT = b"Mighty Aphrodite"
_MAX_ENTRIES = 1_000


def open_keystore(data: bytes, password: str | None) -> list[Entry]:
    """Return the certificates of all entries in their order; the first one in a private key's chain has the key.

    Raises NotOpenedError.
    """
    if data[:4] not in KEYSTORE_MAGIC:
        raise NotOpenedError(Reason.UNSUPPORTED_FORMAT)
    if password is not None and not any(_digest_matches(data, each) for each in password_candidates(password)):
        raise NotOpenedError(Reason.PASSWORD_INCORRECT)
    try:
        return _Reader(data).entries()
    except (struct.error, EOFError):
        raise NotOpenedError(Reason.INVALID_CERTIFICATE) from None


def _digest_matches(data: bytes, password: str) -> bool:
    secret = password.encode("utf-16-be", errors="replace")
    digest = hashlib.sha1(secret + _DIGEST_SALT + data[:-_DIGEST_SIZE], usedforsecurity=False).digest()
    return hmac.compare_digest(digest, data[-_DIGEST_SIZE:])


class _Reader:
    """Reads the values that `DataOutputStream` wrote, up to the digest."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 4
        self._end = len(data) - _DIGEST_SIZE

    def entries(self) -> list[Entry]:
        version, count = self._number(), self._number()
        found: list[Entry] = []
        for _ in range(min(count, _MAX_ENTRIES)):
            kind = self._number()
            self._octets(self._short())  # the alias
            self._octets(8)  # its creation time
            if kind == _PRIVATE_KEY:
                self._octets(self._number())
                found.extend(Entry(self._certificate(version), at == 0) for at in range(self._number()))
            elif kind == _TRUSTED_CERTIFICATE:
                found.append(Entry(self._certificate(version), has_key=False))
            else:
                break  # a secret key of JCEKS is a serialised Java object without a length field
        return found

    def _certificate(self, version: int) -> bytes:
        if version > 1:
            self._octets(self._short())  # its type, X.509
        return self._octets(self._number())

    def _number(self) -> int:
        return int(struct.unpack(">I", self._octets(4))[0])

    def _short(self) -> int:
        return int(struct.unpack(">H", self._octets(2))[0])

    def _octets(self, length: int) -> bytes:
        start, self._position = self._position, self._position + length
        if self._position > self._end:
            raise EOFError
        return self._data[start : self._position]
