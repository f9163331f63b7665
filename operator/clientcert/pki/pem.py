"""PEM (RFC 7468), with common mistakes accepted: what editors, templates and mail do to a text is undone.

Each block is read on its own, so a bad one does not affect others.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

from clientcert.errors import CertificateError, Reason
from clientcert.pki.structure import is_exact

_BEGIN = b"-----BEGIN "
_END = b"-----END "
_DASHES = b"-----"
_LONGEST_LABEL = 64
_WHITESPACE = b" \t\r\n\v\f"

MAX_BLOCKS = 200
_BYTE_ORDER_MARKS = (
    # UTF-32 first: its little-endian mark begins with the mark of UTF-16.
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_UTF_16_DASHES = (("-----".encode("utf-16-le"), "utf-16-le"), ("-----".encode("utf-16-be"), "utf-16-be"))
_UTF_8_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"[ \t\r]{0,80}(?:\n|\Z)")


@dataclass(frozen=True, slots=True)
class Block:
    """One block. Its content may be a private key, so the repr does not show it."""

    label: str
    """The text between BEGIN and the dashes: `CERTIFICATE`."""
    der: bytes | None = field(repr=False)
    """None if the base64 is damaged or the END line is missing."""
    encrypted: bool = False
    """True if the headers say so (RFC 1421 section 4.6.1.1), as in private keys of old OpenSSL versions."""
    has_exact_lines: bool = True
    """False if its BEGIN or END line is not in the form of RFC 7468, or not a line of its own, or they differ."""


class TooManyBlocksError(ValueError):
    """There are more than `MAX_BLOCKS` blocks."""


def plain_text(data: bytes, warnings: list[str]) -> bytes:
    """Convert the text to an ASCII-compatible encoding, without NUL octets and with real line breaks.

    Adds to `warnings`. Raises CertificateError if the text begins like UTF-16 or UTF-32 but cannot be decoded.
    """
    encoding = _wide_encoding(data)
    if encoding is not None:
        try:
            data = data.decode(encoding).encode("utf-8")
        except UnicodeError:
            raise CertificateError(
                Reason.UNSUPPORTED_ENCODING,
                "the text begins like UTF-16 or UTF-32, but cannot be decoded: save the certificate as ASCII or UTF-8",
            ) from None
        warnings.append("the text is UTF-16 or UTF-32: save it as ASCII or UTF-8")
    if data.startswith(_UTF_8_MARK):
        data = data.removeprefix(_UTF_8_MARK)
        warnings.append("the text begins with a byte order mark, as of Notepad: save it as UTF-8 without that")
    if b"\0" in data:
        data = data.replace(b"\0", b"")
        warnings.append("the text holds NUL octets: they were removed")
    if any(dashes in data for dashes in (b"-----\\n", b"-----\\r", b"-----\\\\n")):
        for literal in (b"\\\\r", b"\\\\n", b"\\r", b"\\n"):
            data = data.replace(literal, b"\n")
        warnings.append("the text holds a backslash and an n instead of line breaks: they were read as line breaks")
    return data


def _wide_encoding(data: bytes) -> str | None:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    # Each encoding of the dashes also contains the other one, shifted by one octet.
    return next((encoding for dashes, encoding in _UTF_16_DASHES if data.find(dashes) % 2 == 0), None)


def read_blocks(text: bytes) -> list[Block]:
    """Return all blocks in their order; other text around them is ignored.

    Raises TooManyBlocksError.
    """
    blocks: list[Block] = []
    begin = text.find(_BEGIN)
    while begin >= 0:
        if len(blocks) == MAX_BLOCKS:
            raise TooManyBlocksError
        label_start = begin + len(_BEGIN)
        label_end = text.find(_DASHES, label_start, label_start + _LONGEST_LABEL + len(_DASHES))
        body_start = label_end + len(_DASHES) if label_end >= 0 else label_start
        next_begin = text.find(_BEGIN, body_start)
        end = text.find(_END, body_start, next_begin if next_begin >= 0 else len(text))
        if label_end >= 0:
            label = text[label_start:label_end]
            is_exact = label == label.strip() and _is_line(text, begin, _BEGIN + label + _DASHES)
            is_exact = is_exact and end > 0 and _is_line(text, end, _END + label + _DASHES)
            name = label.decode("ascii", errors="replace").strip()
            blocks.append(_block(name, text[body_start:end] if end >= 0 else None, is_exact))
        begin = next_begin
    return blocks


def _is_line(text: bytes, at: int, line: bytes) -> bool:
    """True if this line is at this place, and nothing else is in it (openssl allows white space at its end)."""
    is_there = text.startswith(line, at) and text[max(at - 1, 0) : at] in (b"", b"\n")
    return is_there and _LINE_END.match(text, at + len(line)) is not None


def decode_base64(text: bytes) -> bytes | None:
    """Decode base64; padding, whitespace and the URL-safe alphabet are optional. None if the text is not base64."""
    compact = text.translate(None, _WHITESPACE).rstrip(b"=")
    is_url_safe = b"-" in compact or b"_" in compact
    if not compact or len(compact) % 4 == 1 or (is_url_safe and (b"+" in compact or b"/" in compact)):
        return None
    try:
        return base64.b64decode(
            compact + b"=" * (-len(compact) % 4), altchars=b"-_" if is_url_safe else None, validate=True
        )
    except binascii.Error:
        return None


def _block(label: str, body: bytes | None, has_exact_lines: bool) -> Block:
    if body is None:
        return Block(label, None)
    encrypted = b"ENCRYPTED" in body
    if b":" in body:
        body = b"\n".join(line for line in body.splitlines() if b":" not in line)
    der = decode_base64(body)
    if der is not None and b"-" in body and not is_exact(der):
        der = None  # a hyphen of the URL-safe alphabet, or one that something put before each line
    return Block(label, der, encrypted, has_exact_lines)
