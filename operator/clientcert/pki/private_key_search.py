"""Searches for private keys that people send by mistake: in any format, whole or cut off, encrypted or not.

It looks for what only private keys have, at any place: words of their files, and beginnings of their DER, also inside
base64, inside base64 of that, and beside anything else. A container that cannot be looked into counts as one.
"""

import re
from itertools import islice

from clientcert.errors import CertificateError
from clientcert.pki.base64_runs import base64_runs, decode_hexadecimal, decode_run
from clientcert.pki.container_entry import NotOpenedError
from clientcert.pki.der import OBJECT_IDENTIFIER, OCTET_STRING, MalformedError, read_element
from clientcert.pki.jks import KEYSTORE_MAGIC, open_keystore
from clientcert.pki.pem import plain_text
from clientcert.pki.structure import Kind, kind_of
from clientcert.pki.text_damage import decoded, undo_damage

_MOST_LAYERS = 4
_PIECE, _OVERLAP = 128 * 1024, 8 * 1024
"""Octets. A regular expression holds the interpreter lock, so a large content is searched in pieces, through one layer
of base64."""
_LONGEST_BODY = 4_000
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n"
_MOST_TEXTS = 64
"""Texts in base64 that are searched, too."""
_MOST_FOUND, _MOST_JWKS = 1_000, 50

_MARK = re.compile(
    r"(?<![A-Za-z0-9])(BEGIN|END)[ \t_-]{0,4}(?:[A-Z0-9]{1,12}[ \t_-]{1,2}){0,4}?PRIVATE[ \t_-]{0,2}KEY", re.IGNORECASE
)
_OTHER_MARK = re.compile(r"(?<![A-Za-z0-9])(?:BEGIN|END)[ \t_-]{1,4}[A-Z0-9]{2}", re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9+/]{24,}")
_CLASSES = (re.compile("[A-Z]"), re.compile("[a-z]"), re.compile("[0-9]"))
_WORDS = re.compile(
    r"PuTTY-User-Key-File-[0-9]|Private-Lines: {0,4}[1-9]|openssh-key-v1|b3BlbnNzaC1rZXktdjE"
    r"|DEK-Info: {0,4}[A-Z]|AGE-SECRET-KEY-1[A-Z0-9]{20}|Private-key-format: {0,4}v1"
    r"|private[-_ ]{0,2}key[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?[A-Za-z0-9+/_-]{40}"
    r"|\b(?:privateExponent|priv):\s{1,20}(?:[0-9a-f]{2}:){8}"
    r"|<(?:D|InverseQ)>\s{0,9}[A-Za-z0-9+/]{16}",
    re.IGNORECASE,
)
"""Of PuTTY, OpenSSH, old versions of OpenSSL, age, BIND and WireGuard, of `openssl pkey -text`, and of XML of .NET."""
_JWK, _LONGEST_JWK = re.compile(r"\"kty\"\s{0,9}:"), 10_000
_PRIVATE_NUMBER = re.compile(r"\"(?:d|k)\"\s{0,9}:\s{0,9}\"[A-Za-z0-9_-]{16}")

_LENGTH = rb"(?:\x80|[\0-\x7f]|\x81.|\x82..)"
_PKCS8 = re.compile(rb"\x02\x01[\0\1](?=\x30)", re.DOTALL)
_NUMBERS = re.compile(rb"\x30(?:\x81.|\x82..)\x02\x01[\0\1]\x02(?:[\x30-\x7f]|\x81.|\x82..)[\0-\xff]", re.DOTALL)
"""PKCS#1, and the old format of DSA keys."""
_SEC1 = re.compile(
    rb"\x02\x01\x01\x04(?:\x1c.{28}|\x20.{32}|\x30.{48}|\x41.{65}|\x42.{66})(?:\xa0.\x06|\xa1.\x03|\xa1\x81.\x03)"
    rb"|^\x30(?:.|\x81.)\x02\x01\x01\x04[\x18-\x48]",
    re.DOTALL,
)
_PASSWORD_BASED = (bytes.fromhex("06092a864886f70d01050d"), bytes.fromhex("060a2a864886f70d010c01"))
"""PBES2, and the algorithms of PKCS#12: what they encrypt is a private key, or a container that may hold one."""
_PBES1 = re.compile(rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05[\x01\x03\x04\x06\x0a\x0b]", re.DOTALL)
_PFX = re.compile(rb"\x02\x01\x03\x30" + _LENGTH + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x01\x02]", re.DOTALL)
_BAG = bytes.fromhex("2a864886f70d010c0a01")
_KEY_BAGS, _CERTIFICATE_BAG = (_BAG + b"\x01", _BAG + b"\x02"), _BAG + b"\x03"
_OCTETS = (b"openssh-key-v1", *_PASSWORD_BASED, *_KEY_BAGS)
_JCEKS = KEYSTORE_MAGIC[1]
_BEGINNINGS = (b"\x1e\xf1\xb5\xb0", b"kych")
"""PVK, and a keychain of macOS."""


def holds_private_key(data: bytes) -> bool:
    """True if there is a private key anywhere in `data`, or a container that may hold one and cannot be looked into.

    Blocking: up to a second for 1 MiB, without holding the interpreter lock for long.
    """
    if len(data) <= _PIECE:
        return _search(data, 0)
    return any(_search(data[at : at + _PIECE + _OVERLAP], _MOST_LAYERS - 1) for at in range(0, len(data), _PIECE))


def _search(data: bytes, layers: int) -> bool:
    kind = kind_of(data)
    if _is_in_octets(data) or kind in (Kind.PRIVATE_KEY, Kind.BKS, Kind.BCFKS):
        return True
    if kind in (Kind.CERTIFICATE, Kind.CERTIFICATE_REQUEST, Kind.PUBLIC_KEY) and read_element(data).end == len(data):
        return False
    try:
        text = plain_text(data, [])
    except CertificateError:
        text = data.replace(b"\0", b"")
    readings = {decoded(text): None, **{undone: None for undone, _ in undo_damage(decoded(text))}}
    return any(_is_in_text(each, layers) for each in readings)


def _is_in_text(text: str, layers: int) -> bool:
    if _WORDS.search(text) or _is_labelled(text) or _is_jwk(text) or _is_in_hexadecimal(text):
        return True
    texts: list[bytes] = []
    for run in base64_runs(text):
        for skipped in range(4):  # something else may stand before it, so where its groups of four begin is not known
            octets = decode_run(run, skipped)
            if _is_in_octets(octets):
                return True
            if layers < _MOST_LAYERS and _is_text(octets):
                texts.append(octets)
    texts.sort(key=len, reverse=True)
    return any(_search(each, layers + 1) for each in texts[: _MOST_TEXTS >> 2 * layers])


def _is_labelled(text: str) -> bool:
    """True if base64 is beside a BEGIN or END line; a sentence about such lines holds no key."""
    for mark in islice(_MARK.finditer(text), _MOST_FOUND):
        if mark[1].upper() == "BEGIN":
            body = _OTHER_MARK.split(text[mark.end() : mark.end() + _LONGEST_BODY], maxsplit=1)[0]
        else:
            body = _OTHER_MARK.split(text[max(mark.start() - _LONGEST_BODY, 0) : mark.start()])[-1]
        if any(all(each.search(run) for each in _CLASSES) for run in _RUN.findall(body)):
            return True
    return False


def _is_jwk(text: str) -> bool:
    """True for a JSON Web Key with a private or symmetric part (RFC 7518 section 6)."""
    return any(
        _PRIVATE_NUMBER.search(text, max(found.start() - _LONGEST_JWK, 0), found.end() + _LONGEST_JWK)
        for found in islice(_JWK.finditer(text), _MOST_JWKS)
    )


def _is_in_hexadecimal(text: str) -> bool:
    octets = decode_hexadecimal(text)
    return bool(octets) and _is_in_octets(octets)


def _is_text(octets: bytes) -> bool:
    """True if most octets at the beginning are printable, in ASCII or UTF-16: a text that was encoded once more."""
    beginning = octets[:128].replace(b"\0", b"")[:64]
    return (
        len(beginning) >= 24 and sum(32 <= each < 127 or each in b"\t\r\n" for each in beginning) > len(beginning) * 0.6
    )


def _is_in_octets(data: bytes) -> bool:
    if data[:4] in KEYSTORE_MAGIC:
        return _is_in_keystore(data)
    if (
        data.startswith(_BEGINNINGS)
        or b"openssh-key-v1" in data
        or any(each in data for each in (*_PASSWORD_BASED, *_KEY_BAGS))
    ):
        return True
    if any(pattern.search(data) for pattern in (_NUMBERS, _SEC1, _PBES1)):
        return True
    if _PFX.search(data) and _CERTIFICATE_BAG not in data:
        return True
    return any(_is_pkcs8(data, found.end()) for found in islice(_PKCS8.finditer(data), _MOST_FOUND))


def _is_pkcs8(data: bytes, at: int) -> bool:
    """True if an algorithm and an OCTET STRING follow the version (RFC 5958), and not an issuer, as in X.509 v1."""
    try:
        algorithm = read_element(data, at)
        oid = algorithm.fields(1)[0]
        return oid.tag == OBJECT_IDENTIFIER and data[algorithm.end : algorithm.end + 1] == bytes([OCTET_STRING])
    except MalformedError:
        return False


def _is_in_keystore(data: bytes) -> bool:
    """True unless all entries of a JKS can be read, and are certificates without a key."""
    if data[:4] == _JCEKS:
        return True
    try:
        entries = open_keystore(data, None)
    except NotOpenedError:
        return True
    return not entries or any(each.has_key for each in entries)
