"""Finds requests, public keys and certificates in whatever a consumer sends, by the repairs that certificates get."""

import re
from dataclasses import dataclass, field

from clientcert.errors import CertificateError, Reason
from clientcert.pki.bare_base64 import decode_bare
from clientcert.pki.base64_runs import base64_runs, decode_hexadecimal, decode_run
from clientcert.pki.der import INTEGER, read_element
from clientcert.pki.jwk import jwk_keys
from clientcert.pki.loose_pem import read_loosely
from clientcert.pki.pem import Block, TooManyBlocksError, plain_text, read_blocks
from clientcert.pki.pkcs7 import certificates_in
from clientcert.pki.public_keys import (
    PublicKey,
    UnsupportedKeyError,
    read_pkcs1,
    read_public_key,
    write_public_key,
)
from clientcert.pki.ssh_keys import ssh_keys
from clientcert.pki.structure import Kind, kind_of
from clientcert.pki.text_damage import decoded, undo_damage

_MOST_LAYERS = 4
_MOST_FOUND = 200
_CUT_OFF = re.compile(rb"\x30[\x80-\x84]")
"""A beginning of DER whose end is missing."""


@dataclass(slots=True)
class Material:
    """Everything that was found, without repetitions and in its order."""

    requests: dict[bytes, None] = field(default_factory=dict, repr=False)
    """PKCS#10, DER."""
    keys: dict[bytes, None] = field(default_factory=dict, repr=False)
    """SubjectPublicKeyInfo, in the canonical encoding."""
    certificates: dict[bytes, None] = field(default_factory=dict, repr=False)
    signed: dict[bytes, None] = field(default_factory=dict, repr=False)
    """PKCS#7 and CMS, DER."""
    others: set[Kind] = field(default_factory=set)
    unsupported: str = ""
    """The reason why a key that was found cannot be used."""
    damaged: bool = False
    """True if a block cannot be read."""

    @property
    def rank(self) -> int:
        """The more useful the higher."""
        found = (self.requests, self.keys, self.certificates, self.unsupported, self.others, self.damaged)
        return next((len(found) - at for at, each in enumerate(found) if each), 0)

    def add(self, der: bytes) -> bool:
        """Add one element of DER; what follows it is ignored. False if it is of no known kind."""
        kind = kind_of(der)
        if kind is Kind.UNKNOWN:
            return False
        der = read_element(der).encoded if der[:1] == b"\x30" else der
        match kind:
            case Kind.CERTIFICATE_REQUEST:
                self.requests[der] = None
            case Kind.PUBLIC_KEY:
                self._add_public_key(der)
            case Kind.CERTIFICATE:
                self.certificates[der] = None
            case Kind.PKCS7:
                self._add_pkcs7(der)
            case _:
                self.others.add(kind)
        return True

    def add_damaged(self) -> None:
        """Note a block that cannot be read."""
        self.damaged = True

    def add_key(self, key: PublicKey | UnsupportedKeyError) -> None:
        """Add a key that was read, or why it cannot be used."""
        if isinstance(key, UnsupportedKeyError):
            self.unsupported = key.sentence
        else:
            self.keys[write_public_key(key)] = None

    def _add_public_key(self, der: bytes) -> None:
        is_pkcs1 = read_element(der).fields(1)[0].tag == INTEGER
        try:
            self.add_key(read_pkcs1(der) if is_pkcs1 else read_public_key(der))
        except UnsupportedKeyError as error:
            self.add_key(error)

    def _add_pkcs7(self, der: bytes) -> None:
        self.others.add(Kind.PKCS7)
        self.signed[der] = None
        try:
            self.certificates |= dict.fromkeys(certificates_in(der))
        except CertificateError:
            self.damaged = True


def find_material(data: bytes, layers: int = 0) -> Material:
    """Read everything in `data`. Raises CertificateError `NotARequest` or `TooLarge`.

    `layers` counts the base64 encodings that were already removed.
    """
    if kind_of(data) is not Kind.UNKNOWN:
        return _of_der(data)
    try:
        text = plain_text(data, [])
        blocks = read_blocks(text)
    except TooManyBlocksError:
        raise CertificateError(Reason.TOO_LARGE, "it holds too many blocks: send only the request") from None
    except CertificateError:
        raise CertificateError(
            Reason.NOT_A_REQUEST, "the text begins like UTF-16, but cannot be decoded: save it as UTF-8"
        ) from None
    best = _of_text(decoded(text), blocks)
    if _CUT_OFF.match(data) is not None:
        best.add_damaged()
    for undone, _ in () if best.requests else undo_damage(decoded(text)):
        found = _of_text(undone, read_loosely(undone).blocks)
        if not (found.requests or found.keys or best.requests or best.keys):
            found = max(found, _of_base64(undone, layers), key=lambda each: each.rank)
        best = max(best, found, key=lambda each: each.rank)
        if best.requests or best.keys:
            break
    return best


def _of_der(data: bytes) -> Material:
    """One element after the other."""
    found = Material()
    for _ in range(_MOST_FOUND):
        if not found.add(data) or data[:1] != b"\x30":
            break
        data = data[read_element(data).end :]
    return found


def _of_text(text: str, blocks: list[Block]) -> Material:
    found = Material()
    for block in blocks:
        if (block.der is None or not found.add(block.der)) and "SSH2" not in block.label:
            found.add_damaged()
    for key in (*ssh_keys(text), *jwk_keys(text)):
        found.add_key(key)
    return found


def _of_base64(text: str, layers: int) -> Material:
    """Base64 without BEGIN and END lines: all of the text, or runs in it."""
    found = Material()
    bare = decode_bare(text) if layers < _MOST_LAYERS else None
    if bare is not None:
        found = find_material(bare[0], layers + 1)
    if found.requests or found.keys or found.certificates:
        return found
    for octets in (decode_hexadecimal(text), *map(decode_run, base64_runs(text))):
        if not found.add(octets) and b"BEGIN" in octets and layers < _MOST_LAYERS:
            found = max(found, find_material(octets, layers + 1), key=lambda each: each.rank)
        if found.requests or len(found.certificates) >= _MOST_FOUND:
            break
    return found
