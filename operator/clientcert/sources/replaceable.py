"""Decides whether the content of a source may be replaced by a renewed certificate, and `client.csr` by another.

Only plain PEM is replaced, and only if the renewed certificate and its chain are all that it holds: whatever else it
holds would be lost. Text that openssl writes around a certificate may be lost.
"""

import re
from dataclasses import dataclass, field

from clientcert.errors import CertificateError, Reason, SourceError
from clientcert.pki.der import MalformedError, read_element
from clientcert.pki.lenient import Outline, read_outline
from clientcert.pki.names import read_name
from clientcert.pki.pem import TooManyBlocksError, plain_text, read_blocks
from clientcert.pki.pkcs7 import certificates_in
from clientcert.pki.private_key_search import holds_private_key
from clientcert.pki.structure import Kind, kind_of
from clientcert.sources.interface import WriteOrder

CSR_NAME = "client.csr"
_PLAIN_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
_BLOCK = re.compile(rb"-----BEGIN [^\n]*\n[^-]*-----END [^\n]*")
_AROUND = re.compile(
    rb"\s*|#.*|\s.*|Certificate:\s*|(?:Bag Attributes|Key Attributes|subject|issuer)\b.*|\d+ s:.*", re.IGNORECASE
)
"""A line that openssl writes around a certificate (`x509 -text`, `ca`, `pkcs12`, `s_client`), or a comment."""
_BY_HAND = "put the new certificate there by hand (clientcert retrieve prints it)"


@dataclass(frozen=True, slots=True)
class _Held:
    certificates: tuple[Outline, ...] = field(default=(), repr=False)
    format: str = ""
    """Empty for plain PEM; else what it is, as the rest of a sentence."""


def check_not_encrypted(has_password: bool, title: str) -> None:
    """Raise SourceError for a source with a password: its new content could not be opened with that."""
    if has_password:
        words = f"{title} has a password, and is not written: {_BY_HAND}, in the same format."
        raise SourceError(Reason.UNSUPPORTED_FORMAT, words)


def may_write(content: bytes | None, order: WriteOrder, title: str) -> bool:
    """True if the content (None: there is none) may be replaced; False if it is the new certificate already.

    Raises SourceError with a sentence that begins with the title. Blocking: call it in a thread.
    """
    if content is None or not content.strip():
        if order.old_fingerprint_sha256:
            raise _changed(title, "is empty, and no longer holds the certificate that was renewed")
        return True
    held, wanted = _read(content), _fingerprint(order.new_pem)
    fingerprints = {each.fingerprint_sha256 for each in held.certificates}
    if wanted in fingerprints:
        return False
    if holds_private_key(content):
        words = f"{title} holds a private key, so it is not written: {_BY_HAND}, together with its key."
        raise SourceError(Reason.SOURCE_HAS_PRIVATE_KEY, words)
    if held.format and (not fingerprints or order.old_fingerprint_sha256 in fingerprints):
        words = f"{title} {held.format}, and only plain PEM is written: {_BY_HAND}, in the same format."
        raise SourceError(Reason.UNSUPPORTED_FORMAT, words)
    if order.old_fingerprint_sha256 not in fingerprints:
        raise _changed(title, "no longer holds the certificate that was renewed")
    if _others(held.certificates, order.old_fingerprint_sha256):
        raise _changed(title, "holds other certificates besides the one that was renewed")
    return True


def may_write_csr(existing: bytes | None, order: WriteOrder) -> bool:
    """True if this content of `client.csr` (None: there is none) may be replaced by the order's CSR.

    Where several consumers share a folder, the file may be another's request: only one with the same subject or the
    key of the renewed certificate is replaced.
    """
    if existing is None or not existing.strip():
        return True
    if holds_private_key(existing):
        return False
    old, new = _request(existing), _request(order.csr_pem)
    if old is None or new is None:
        return False
    return old == new or (bool(old[0]) and old[0] == new[0])


def _changed(title: str, what: str) -> SourceError:
    return SourceError(Reason.SOURCE_CHANGED, f"{title} {what}, so it is not written: {_BY_HAND}, if it belongs there.")


def _read(content: bytes) -> _Held:
    kind = kind_of(content)
    if kind is Kind.CERTIFICATE:
        return _Held(_outlines([content]), "is DER")
    if kind is Kind.PKCS7:
        return _Held(_outlines(_certificates_in(content)), "is PKCS#7")
    if kind in (Kind.PKCS12, Kind.KEYSTORE, Kind.BKS, Kind.BCFKS):
        return _Held((), "is a keystore")
    try:
        text = plain_text(content, [])
        blocks = read_blocks(text)
    except (CertificateError, TooManyBlocksError):
        return _Held((), "is no PEM")
    outlines = _outlines([der for each in blocks if each.der is not None for der in _ders(each.der)])
    is_plain = bool(blocks) and len(outlines) == len(blocks)
    is_plain = is_plain and all(each.label in _PLAIN_LABELS and each.has_exact_lines for each in blocks)
    is_plain = is_plain and all(_AROUND.fullmatch(line) for line in _BLOCK.sub(b"", text).splitlines())
    return _Held(outlines, "" if is_plain else "holds something else than certificates, or is damaged")


def _ders(content: bytes) -> list[bytes]:
    return _certificates_in(content) if kind_of(content) is Kind.PKCS7 else [content]


def _certificates_in(content: bytes) -> list[bytes]:
    try:
        return certificates_in(content)
    except CertificateError:
        return []


def _outlines(ders: list[bytes]) -> tuple[Outline, ...]:
    found = []
    for der in ders:
        try:
            found.append(read_outline(der))
        except MalformedError:
            continue
    return tuple(found)


def _others(certificates: tuple[Outline, ...], fingerprint: str) -> list[Outline]:
    """The certificates that are neither that one nor a CA's: they have not issued another one here."""
    issuers = {each.issuer_dn for each in certificates if each.issuer_dn != each.subject_dn}
    return [
        each
        for each in certificates
        if each.fingerprint_sha256 != fingerprint and not each.is_authority and each.subject_dn not in issuers
    ]


def _fingerprint(new_pem: bytes) -> str:
    """Of the certificate to be written. Raises ValueError if there is anything but certificates in the order."""
    held = _read(new_pem)
    if held.format or holds_private_key(new_pem):
        raise ValueError("the order holds something else than certificates")
    return held.certificates[0].fingerprint_sha256


def _request(content: bytes) -> tuple[str, bytes] | None:
    """Subject and public key of a CSR, if the content is one alone."""
    try:
        if kind_of(content) is not Kind.CERTIFICATE_REQUEST:
            blocks = read_blocks(plain_text(content, []))
            ders = [each.der for each in blocks]
            if len(ders) != 1 or ders[0] is None or kind_of(ders[0]) is not Kind.CERTIFICATE_REQUEST:
                return None
            content = ders[0]
        _version, subject, key = read_element(content).fields(1)[0].fields(3)
        return read_name(subject.encoded)[0], key.encoded
    except (MalformedError, CertificateError, TooManyBlocksError):
        return None
