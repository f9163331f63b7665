"""Public keys of OpenSSH (RFC 4253 section 6.6), in a line of authorized_keys or as `SSH2 PUBLIC KEY` (RFC 4716).

Both hold the same base64, which says itself where it ends. So whatever stands around it does not matter.
"""

import re
from collections.abc import Iterator
from itertools import islice

from clientcert.pki.base64_runs import decode_run
from clientcert.pki.curves import P256, P384
from clientcert.pki.public_keys import MAKE_ANOTHER, PublicKey, UnsupportedKeyError, read_ec, read_ed25519
from clientcert.pki.public_keys import rsa_key as make_rsa_key

_BEGINNINGS = ("ssh-", "ecdsa-sha2-", "sk-")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/=]+")
_LONGEST = 8_000
_MOST = 50
_CURVES = {b"ecdsa-sha2-nistp256": P256, b"ecdsa-sha2-nistp384": P384}


def ssh_keys(text: str) -> Iterator[PublicKey | UnsupportedKeyError]:
    """Yield each key in this text, or why it cannot be used."""
    for found in islice(re.finditer("AAAA", text), _MOST):
        octets = decode_run(_NOT_BASE64.sub("", text[found.start() : found.start() + _LONGEST]).partition("=")[0])
        name, rest = _field(octets)
        if not name.decode("ascii", errors="replace").startswith(_BEGINNINGS):
            continue
        try:
            yield _read(name, rest)
        except UnsupportedKeyError as error:
            yield error


def _read(name: bytes, rest: bytes) -> PublicKey:
    first, rest = _field(rest)
    second, _ = _field(rest)
    if name == b"ssh-rsa":
        return make_rsa_key(second, first)
    if name == b"ssh-ed25519":
        return read_ed25519(first)
    if name in _CURVES:
        return read_ec(_CURVES[name], second)
    shown = name.decode("ascii", errors="replace") if name.isascii() and len(name) < 50 else "unknown"
    raise UnsupportedKeyError(f"SSH keys of type {shown} are not accepted: {MAKE_ANOTHER}")


def _field(octets: bytes) -> tuple[bytes, bytes]:
    """A string of RFC 4251 section 5, and what follows it; empty if it is cut off."""
    end = 4 + int.from_bytes(octets[:4], "big")
    return (octets[4:end], octets[end:]) if len(octets) >= end > 4 else (b"", b"")
