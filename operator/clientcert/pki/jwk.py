"""Public keys as JSON Web Keys (RFC 7517 and 7518), alone or in a set of one."""

import json
from collections.abc import Iterator

from clientcert.pki.curves import P256, P384, UNCOMPRESSED
from clientcert.pki.pem import decode_base64
from clientcert.pki.public_keys import DAMAGED, MAKE_ANOTHER, PublicKey, UnsupportedKeyError, read_ec, read_ed25519
from clientcert.pki.public_keys import rsa_key as make_rsa_key

_LONGEST = 64 * 1024
_MOST = 20
_CURVES = {"P-256": P256, "P-384": P384}


def jwk_keys(text: str) -> Iterator[PublicKey | UnsupportedKeyError]:
    """Yield each key of a JSON text, or why it cannot be used; nothing for any other text."""
    if len(text) > _LONGEST or not text.lstrip().startswith("{") or '"kty"' not in text:
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    keys = document["keys"] if isinstance(document.get("keys"), list) else [document]
    for key in keys[:_MOST]:
        try:
            if isinstance(key, dict) and "kty" in key:
                yield _read(key)
        except UnsupportedKeyError as error:
            yield error


def _read(key: dict[str, object]) -> PublicKey:
    match key["kty"], key.get("crv"):
        case "RSA", _:
            return make_rsa_key(b"\0" + _octets(key, "n"), b"\0" + _octets(key, "e"))
        case "EC", ("P-256" | "P-384") as curve:
            return read_ec(_CURVES[curve], bytes([UNCOMPRESSED]) + _octets(key, "x") + _octets(key, "y"))
        case "OKP", "Ed25519":
            return read_ed25519(_octets(key, "x"))
    raise UnsupportedKeyError(f"this kind of JSON Web Key is not accepted: {MAKE_ANOTHER}")


def _octets(key: dict[str, object], name: str) -> bytes:
    value = key.get(name)
    if not isinstance(value, str) or not value.isascii():
        raise UnsupportedKeyError(DAMAGED)
    octets = decode_base64(value.encode())
    if octets is None:
        raise UnsupportedKeyError(DAMAGED)
    return octets
