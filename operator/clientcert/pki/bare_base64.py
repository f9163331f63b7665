"""Decodes base64 without BEGIN and END lines, alone or in the wrapping of a header, a data URI or a variable."""

import re

from clientcert.pki.loose_pem import readings
from clientcert.pki.pem import decode_base64
from clientcert.pki.structure import Kind, is_exact, kind_of
from clientcert.pki.text_damage import LARGEST_DAMAGED, refused

_JSON_OR_XML = ("{", "[", "<")
_YAML_FIELD = re.compile(
    r"^[ \t-]{0,8}[A-Za-z][\w.-]{0,80}:[ \t]{0,8}(?:v1|List|Secret|Config)?[ \t]{0,8}\r?$", re.MULTILINE
)
"""A field of YAML with other fields inside, or of a manifest: what in it is the certificate cannot be told."""
_DATA_URI = re.compile(r"[\"'(]{0,3}(?:url\([\"']?)?data:[^,]{0,200};base64,", re.IGNORECASE)
_VARIABLE = re.compile(
    r"(?:export\s{1,9}|set\s{1,9}|\$)?(?!data:)[A-Za-z_][\w.-]{0,80}\"?[ \t]{0,9}(?::?=|:)[ \t]{0,9}"
    r"(?:!!binary[ \t]{0,9})?"
)
_FOLDED = re.compile(r"(?<=\S)\r?\n (?=\S)")
_LDIF = re.compile(r"^[A-Za-z][\w;.-]{0,80}:: ?\S", re.MULTILINE)
_ASSIGNMENT = re.compile(
    r"(?i)^[ \t]{0,40}(?:(?:export|set|env|arg|declare -x|-)[ \t]|environment=[\"']?)?"
    r"[A-Za-z_][\w;.-]{0,80}\"?[ \t]{0,9}(?:::?|:?=)[ \t]{0,9}"
    r"(\S{100,})[ \t]{0,9}\r?$",
    re.MULTILINE,
)
"""A line of an environment file, a Dockerfile, a unit of systemd, LDIF or flat YAML; its value may be base64."""
_SEPARATORS = re.compile(r"[\"'`,;:|<>()\[\]][\s\"'`,;:|<>()\[\]]*")
_AFTER_PADDING = re.compile(r"=\s+")
_PARAGRAPH = re.compile(r"\n[ \t\r]{0,9}\n")
"""Between the headers of a mail and its base64."""
_SHORTEST = 100
_MOST_PIECES = 200
_BEGINNING = 4_000
EXTRA_BASE64 = "the content has an extra base64 encoding: store it without that"


def decode_bare(text: str) -> tuple[bytes, list[str]] | None:
    """The content of the base64 in this text, and warnings; None without base64, or if it looks like no certificate.

    Several certificates, as proxies write them into one header, become one DER after the other.
    """
    text = text.strip()
    if len(text) > LARGEST_DAMAGED:
        content = decode_base64(text.encode("ascii", errors="replace"))
        return (content, [EXTRA_BASE64]) if content is not None and _is_worth_reading(content) else None
    if text.startswith(_JSON_OR_XML) or _YAML_FIELD.search(text[:_BEGINNING]):
        return None
    assigned = _assigned(text)
    if assigned:
        return assigned, [EXTRA_BASE64]
    text, warnings = _unwrapped(text)
    parts = [
        each for part in _SEPARATORS.split(text, _MOST_PIECES) for each in _AFTER_PADDING.split(part, _MOST_PIECES)
    ]
    octets = [_octets(each) for each in parts if len(each) >= _SHORTEST]
    if len(octets) > 1 and all(each[:1] == b"\x30" for each in octets):
        damaged = [each for each in octets if kind_of(each) is not Kind.CERTIFICATE or not is_exact(each)]
        return damaged[0] if damaged else b"".join(octets), [*warnings, EXTRA_BASE64]
    promising = None
    for part in (text, *_PARAGRAPH.split(text, _MOST_PIECES)):
        if len(part) < _SHORTEST:
            continue
        for candidate, warning in readings(part):
            decoded = decode_base64(candidate.encode("ascii", errors="replace"))
            if decoded is None:
                continue
            found = decoded, [*warnings, EXTRA_BASE64, *([warning] if warning else [])]
            if _is_recognised(decoded) and is_exact(decoded):
                return found
            promising = promising or (found if _is_promising(decoded) else None)
    return promising


def _assigned(text: str) -> bytes:
    """The values of a file's variables: all PEM, else all certificates in DER, else a damaged one; empty if none."""
    if _LDIF.search(text):
        text = _FOLDED.sub("", text)  # RFC 2849: a line goes on after a line break and a blank
    values = [_octets(found[1].strip("\"',")) for found in _ASSIGNMENT.finditer(text)]
    texts = [each for each in values if b"-----BEGIN" in each]
    certificates = [each for each in values if kind_of(each) is Kind.CERTIFICATE and is_exact(each)]
    damaged = next((each for each in values if kind_of(each) is Kind.UNKNOWN and _is_promising(each)), b"")
    return b"\n".join(texts) or b"".join(certificates) or damaged


def _unwrapped(text: str) -> tuple[str, list[str]]:
    variable = _VARIABLE.match(text)
    if variable is not None:
        text = text[variable.end() :]
    uri = _DATA_URI.match(text)
    if uri is not None:
        text = text[uri.end() :]
    text = text.strip(" \t\r\n\"'`,;:|()")
    return text, [refused("a data: URI: store the certificate itself")] if uri is not None else []


def _octets(piece: str) -> bytes:
    return decode_base64(piece.encode("ascii", errors="replace")) or b""


def _is_worth_reading(decoded: bytes) -> bool:
    return _is_recognised(decoded) or _is_promising(decoded)


def _is_recognised(decoded: bytes) -> bool:
    return kind_of(decoded) is not Kind.UNKNOWN or b"BEGIN" in decoded.replace(b"\0", b"").upper()


def _is_promising(decoded: bytes) -> bool:
    """True if decoded content looks like a certificate; many words are valid base64 by chance."""
    begins_like_der = decoded[:1] == b"\x30" and decoded[1:2] in (b"\x81", b"\x82", b"\x83")
    return begins_like_der or bool(decode_base64(decoded.strip(b" \t\r\n\"'")))
