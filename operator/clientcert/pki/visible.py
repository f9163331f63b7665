"""Shows text whose characters the eye cannot tell apart, and quotes it so that it can be copied."""

import unicodedata
from difflib import SequenceMatcher

LONGEST_SHOWN = 120
_SHOWN_BEFORE = 30
"""Equal characters that are shown before the first difference of long texts."""
_RESEMBLANCE = 0.5
_SPACE, _DELETE = "\N{SYMBOL FOR SPACE}", "\N{SYMBOL FOR DELETE}"
_CONTROL_PICTURES = 0x2400
_UNDECLARABLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""The categories of characters that the schema refuses in spec.identity."""
_DRAW_NOTHING = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters, marks and symbols without a shape, although their category is not "format"."""
_VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def visible(text: str, beside: str = "") -> str:
    """At most 120 characters of the text, in double quotes, with everything visible that the eye cannot see.

    A control is its picture (`␀`), and so is a space at an end or beside another space (`␠`). Other characters without
    a shape are `[U+200B]`, and so are combining marks where composed letters exist (`e[U+0301]`). If the text resembles
    `beside`, codes follow the letters beyond ASCII in which it differs, for they may look alike (`é[U+00E9]`). Of a
    long text the part is shown in which it begins to differ.
    """
    pairs = zip(text, beside, strict=False)
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(text), len(beside)))
    start = same - _SHOWN_BEFORE if same > LONGEST_SHOWN - _SHOWN_BEFORE and text != beside else 0
    end = start + LONGEST_SHOWN
    marked = _look_alikes(text[start:end], beside[start:end])
    shown = "".join(
        _picture(text[at])
        if is_hidden(text, at)
        else text[at] + (_code(text[at]) if at - start in marked and not text[at].isascii() else "")
        for at in range(start, min(end, len(text)))
    )
    return f'"{"…" if start else ""}{shown}{"…" if len(text) > end else ""}"'


def quoted(text: str) -> str:
    """The text as a double-quoted string of YAML, with escapes for everything that the eye cannot see."""
    return '"' + "".join(_escape(each) if is_hidden(text, at) else _plain(each) for at, each in enumerate(text)) + '"'


def declarable(text: str) -> bool:
    """True if the schema allows this text as a value of spec.identity."""
    return bool(text) and all(unicodedata.category(each) not in _UNDECLARABLE for each in text)


def is_hidden(text: str, at: int) -> bool:
    """True if the eye cannot see the character in this place, or not as it is."""
    character = text[at]
    if character == " ":
        return not 0 < at < len(text) - 1 or " " in (text[at - 1], text[at + 1])
    if character.isascii():
        return not character.isprintable()
    category = unicodedata.category(character)
    return (
        category in _UNDECLARABLE
        or category == "Zs"
        or character in _DRAW_NOTHING
        or any(ord(character) in each for each in _VARIATION_SELECTORS)
        or (unicodedata.combining(character) > 0 and not unicodedata.is_normalized("NFC", text))
    )


def _look_alikes(text: str, beside: str) -> frozenset[int]:
    """The places in which the text differs from a text that resembles it."""
    matcher = SequenceMatcher(None, beside, text, autojunk=False)
    resembles = len(text) == len(beside) or matcher.ratio() >= _RESEMBLANCE
    if not resembles and unicodedata.normalize("NFKC", text) != unicodedata.normalize("NFKC", beside):
        return frozenset()
    changes = [(begin, end) for change, _, _, begin, end in matcher.get_opcodes() if change != "equal"]
    return frozenset(at for begin, end in changes for at in range(begin, end))


def _picture(character: str) -> str:
    if character == "\x7f":
        return _DELETE
    return chr(_CONTROL_PICTURES + ord(character)) if character <= " " else _code(character)


def _code(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _plain(character: str) -> str:
    return f"\\{character}" if character in '"\\' else character


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
