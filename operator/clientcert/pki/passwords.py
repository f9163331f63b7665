"""Passwords of containers: how files hold them, and the forms in which programs used them for keys."""

import codecs
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

_MARK = "\ufeff"
_LONGEST_PASSWORD = 4096
"""Octets; what follows is ignored."""
_WIDE_MARKS = (
    # UTF-32 first: its little-endian mark begins with the mark of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_password(value: bytes) -> str:
    """The text in a file or in the key of a Secret, unchanged: with its line break and its byte order mark.

    Text that is not UTF-8, or UTF-16 and UTF-32 with a byte order mark, is taken as Windows-1252.
    """
    value = value[:_LONGEST_PASSWORD]
    encoding = next((name for mark, name in _WIDE_MARKS if value.startswith(mark)), "utf-8")
    try:
        return value.decode(encoding)
    except UnicodeDecodeError:
        return value.decode("cp1252", errors="replace")


def password_candidates(password: str) -> list[str]:
    """The password unchanged, then without what editors and `echo` add: a line break, white space, a byte order mark.

    Then in the normal forms of Unicode, because keyboards differ.
    """
    texts = [password, password.rstrip("\r\n")]
    texts += [each.removeprefix(_MARK) for each in texts]
    texts += [each.strip() for each in texts]
    texts += [unicodedata.normalize(form, texts[-1]) for form in ("NFC", "NFD")]
    return list(dict.fromkeys(texts))


@dataclass(frozen=True, slots=True)
class Secret:
    """One password as octets; no password and an empty password differ in `bmp` only."""

    octets: bytes = field(repr=False)
    """The form of PKCS#5, usually UTF-8."""
    bmp: bytes = field(repr=False)
    """The form of PKCS#12: a BMPString with two zero octets at the end (RFC 7292 appendix B.1)."""


def secrets_for(password: str | None) -> list[Secret]:
    """All that may be meant by this password, the most probable first; None is no password or an empty one."""
    candidates = password_candidates(password or "")
    secrets = [each for candidate in candidates for each in _as_specified(candidate)]
    secrets += [each for candidate in candidates for each in _as_mistaken(candidate)]
    if "" in candidates:
        secrets.insert(0 if password is None else len(secrets), Secret(b"", b""))
    return list(dict.fromkeys(secrets))


def _as_specified(password: str) -> Iterable[Secret]:
    yield Secret(_utf8(password), _bmp(password))


def _as_mistaken(password: str) -> Iterable[Secret]:
    """The forms of programs that did it differently.

    OpenSSL before 1.1.0 made one BMP character of each octet of the terminal's encoding, which was UTF-8 or
    Windows-1252. BouncyCastle took the low octets for PKCS#5. NSS before 3.101 took the BMPString for PKCS#5, too.
    """
    utf8, bmp = _utf8(password), _bmp(password)
    yield Secret(utf8, _bmp(utf8.decode("latin-1")))
    narrow = password.encode("cp1252", errors="replace")
    yield Secret(narrow, bmp)
    yield Secret(narrow, _bmp(narrow.decode("latin-1")))
    yield Secret(bytes(ord(character) & 0xFF for character in password), bmp)
    yield Secret(bmp, bmp)
    yield Secret(bmp[:-2], bmp)


def _utf8(password: str) -> bytes:
    return password.encode("utf-8", errors="replace")


def _bmp(password: str) -> bytes:
    return password.encode("utf-16-be", errors="replace") + b"\0\0"
