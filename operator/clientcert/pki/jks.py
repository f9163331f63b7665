"""Java keystores: JKS and JCEKS.

The layout is that of `sun.security.provider.JavaKeyStore`: magic, version, count, entries, and a SHA-1 digest over the
password and all of these. Certificates are not encrypted, so they can be read without a password. If a password is
given, the digest is checked, because a wrong password is a mistake that must be reported. Keys are skipped, also the
secret keys of JCEKS, which are serialised objects.
"""

import hashlib
import hmac

from clientcert.errors import Reason
from clientcert.pki.container_entry import Entry, NotOpenedError
from clientcert.pki.java_streams import MalformedStreamError, OctetReader
from clientcert.pki.passwords import password_candidates

KEYSTORE_MAGIC = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
"""The first octets of JKS and JCEKS files."""
_PRIVATE_KEY, _TRUSTED_CERTIFICATE, _SECRET_KEY = 1, 2, 3
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
        return _read_entries(OctetReader(data, len(KEYSTORE_MAGIC[0]), len(data) - _DIGEST_SIZE))
    except MalformedStreamError:
        raise NotOpenedError(Reason.INVALID_CERTIFICATE) from None


def _digest_matches(data: bytes, password: str) -> bool:
    secret = password.encode("utf-16-be", errors="replace")
    digest = hashlib.sha1(secret + _DIGEST_SALT + data[:-_DIGEST_SIZE], usedforsecurity=False).digest()
    return hmac.compare_digest(digest, data[-_DIGEST_SIZE:])


def _read_entries(source: OctetReader) -> list[Entry]:
    version, count = source.number(), source.number()
    found: list[Entry] = []
    for _ in range(min(count, _MAX_ENTRIES)):
        kind = source.number()
        source.text()  # the alias
        source.octets(8)  # its creation time
        if kind == _PRIVATE_KEY:
            source.octets(source.number())
            found.extend(Entry(_read_certificate(source, version), at == 0) for at in range(source.number()))
        elif kind == _TRUSTED_CERTIFICATE:
            found.append(Entry(_read_certificate(source, version), has_key=False))
        elif kind == _SECRET_KEY:
            try:
                source.skip_object()
            except MalformedStreamError:
                break  # its end is unknown, so nothing after it can be read
        else:
            raise MalformedStreamError("not a known entry")
    return found


def _read_certificate(source: OctetReader, version: int) -> bytes:
    if version > 1:
        source.text()  # its type, X.509
    return source.octets(source.number())
