"""Undoes what mail, web pages, proxies, shells and word processors do to a text, each with a warning.

None of this changes an undamaged base64 text. The time is linear in the length of the text.
"""

import binascii
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff]+"
)
_TERMINAL = re.compile(r"\x1b\[[0-9;?]{0,12}[A-Za-z]")
_SPACES = re.compile("[\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_DASHES = re.compile(
    "[\u058a\u05be\u1806\u2010-\u2015\u2043\u2212\u23af\u2500\u2796\u2e3a\u2e3b\u30fc\ufe58\ufe63\uff0d]+"
)
_QUOTES = re.compile("[\u00ab\u00b4\u00bb\u2018-\u201f\u2032\u2033\u2039\u203a\u300c-\u300f\uff02\uff07]+")
_QUOTED_PRINTABLE = re.compile(r"=(?:[23][0-9A-F]|0[AD]|C2=A0|E2=80)", re.IGNORECASE)
_SOFT_LINE_BREAK = re.compile(r"=(?<=[A-Za-z0-9+/]{60}=)\r?\n[A-Za-z0-9+/]")
"""It begins with =, so the search is fast."""
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,10});", re.IGNORECASE)
_WORD_BREAK = re.compile(r"<wbr ?/?>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][a-z0-9]{0,10}(?:[ /][^<>]{0,300})?>", re.IGNORECASE)
_PERCENT = re.compile(r"%(?:0[AD]|2[05BDF]|3D|E2)", re.IGNORECASE)
_FORM_ENCODED = re.compile(r"BEGIN\+[A-Z]")
_ESCAPE = re.compile(r"\\{1,8}(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|par\b|(.))|`([nr])", re.DOTALL)
_ESCAPED_LINE_ENDS = {"n": "\n", "r": "\n", "t": " "}
_MOST_LAYERS = 3
_QUOTED_PRINTABLE_TEXT = "quoted-printable text, as in the source of a mail: decode it"
LARGEST_DAMAGED = 256 * 1024
"""Octets of the largest text whose damage is undone. A regular expression holds the interpreter lock meanwhile."""


@dataclass(frozen=True, slots=True)
class _Damage:
    undo: Callable[[str], str]
    what: str


def refused(what: str) -> str:
    """The warning about text that is read here, and by few other programs."""
    return f"other programs do not accept {what}"


def undo_damage(text: str) -> Iterator[tuple[str, list[str]]]:
    """The text as it probably was, and a warning for each kind of damage that was found; then another guess, if any.

    Padding before the prefix of a line looks like a soft line break of a mail (RFC 2045 section 6.7).
    """
    if len(text) > LARGEST_DAMAGED:
        yield text, []
        return
    yield _undo(text, [])
    if _SOFT_LINE_BREAK.search(text) and not _QUOTED_PRINTABLE.search(text):
        yield _undo(_from_quoted_printable(text), [refused(_QUOTED_PRINTABLE_TEXT)])


def _undo(text: str, warnings: list[str]) -> tuple[str, list[str]]:
    for damage in _DAMAGES:
        undone = damage.undo(text)
        if undone != text:
            text = undone
            warnings.append(refused(damage.what))
    return text, warnings


def decoded(data: bytes) -> str:
    """The text of these octets, in UTF-8 or else in Windows-1252; never fails."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _without_quoted_printable(text: str) -> str:
    return _from_quoted_printable(text) if _QUOTED_PRINTABLE.search(text) else text


def _from_quoted_printable(text: str) -> str:
    return decoded(binascii.a2b_qp(text.encode("utf-8", errors="replace")))


def _without_html(text: str) -> str:
    for _ in range(_MOST_LAYERS):
        if not _ENTITY.search(text):
            break
        text = html.unescape(text)
    return _TAG.sub("\n", _WORD_BREAK.sub("", text))


def _without_percent(text: str) -> str:
    if _FORM_ENCODED.search(text):
        text = text.replace("+", " ")
    for _ in range(_MOST_LAYERS):
        if not _PERCENT.search(text):
            break
        text = unquote(text, errors="replace")
    return text


def _without_escapes(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    wide, narrow, octal, character, after_backtick = found.groups()
    if wide or narrow or octal:
        return chr(int(wide or narrow, 16) if wide or narrow else int(octal, 8))
    if after_backtick:
        return "\n"
    return _ESCAPED_LINE_ENDS.get(character, character) if character else "\n"


_DAMAGES = (
    _Damage(lambda text: _TERMINAL.sub("", text), "the colours of a terminal: copy the text without them"),
    _Damage(lambda text: _INVISIBLE.sub("", text), "invisible characters (zero width, soft hyphen): remove them"),
    _Damage(_without_quoted_printable, _QUOTED_PRINTABLE_TEXT),
    _Damage(_without_html, "HTML tags or entities: save the text without them"),
    _Damage(_without_percent, "URL-encoded text (with %0A, %2B): decode it"),
    _Damage(_without_escapes, "backslash escapes, as in JSON: write real line breaks and no backslashes"),
    _Damage(lambda text: _SPACES.sub(" ", text), "no-break or typographic spaces: replace them by usual spaces"),
    _Damage(lambda text: _DASHES.sub("--", text), "typographic dashes: write the BEGIN and END lines with hyphens"),
    _Damage(lambda text: _QUOTES.sub('"', text), "typographic quotation marks: remove them"),
)
