"""Reverts changes that editors and templates make to a text before it is stored in a Secret."""

from clientcert.errors import CertificateError, Reason

_BYTE_ORDER_MARKS = (
    # UTF-32 first: its little-endian mark begins with the mark of UTF-16.
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_UTF_16_DASHES = (("-----".encode("utf-16-le"), "utf-16-le"), ("-----".encode("utf-16-be"), "utf-16-be"))
_UTF_8_MARK = b"\xef\xbb\xbf"


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
    data = data.removeprefix(_UTF_8_MARK)
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
