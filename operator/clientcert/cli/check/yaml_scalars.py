"""The scalars of YAML as kubectl reads them: a hexadecimal serial number such as 4e10 is a number, a date is text."""

import re
from base64 import b64decode
from typing import Any

_TAG = "tag:yaml.org,2002:"
_TRUE = ("y", "yes", "true", "on")
_FALSE = ("n", "no", "false", "off")
_WORDS: dict[str, bool | None] = {
    form: value
    for words, value in ((_TRUE, True), (_FALSE, False), (("null",), None))
    for word in words
    for form in (word, word.capitalize(), word.upper())
} | {"": None, "~": None}
_NO_JSON = {
    f"{sign}.{form}": float(word)
    for word in ("inf", "nan")
    for form in (word, word.upper(), "Inf" if word == "inf" else "NaN")
    for sign in (("", "+", "-") if word == "inf" else ("",))
}
_INTEGERS = (
    (re.compile(r"([-+]?)([1-9][0-9]*|0)"), 10),
    (re.compile(r"([-+]?)0[xX]([0-9a-fA-F]+)"), 16),
    (re.compile(r"([-+]?)0[oO]?([0-7]+)"), 8),
    (re.compile(r"([-+]?)0[bB]([01]+)"), 2),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?", re.DOTALL)
_LEAST, _MOST, _MOST_UNSIGNED = -(2**63), 2**63, 2**64
_MOST_DIGITS = 80
_TYPES: dict[str, set[type]] = {"null": {type(None)}, "bool": {bool}, "int": {int}, "float": {int, float}}
_WRONG_TYPE = "a value is not of the type of its tag"
_WHOLE = 1e21
"""Go writes a smaller whole number without an exponent, as an integer."""


def resolved(text: str) -> Any:
    """The value of a plain scalar without a tag. Times, and numbers with colons, are text."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _NO_JSON:
        return _NO_JSON[text]
    found = number(text) if text[0] in "+-0123456789" or (text[:1] == "." and text[1:2].isdigit()) else None
    return text if found is None else found


def tagged(tag: str | None, text: str) -> Any:
    """The value of a scalar that is quoted, or has a tag; one that is not known means text. Raises ValueError."""
    found = text
    match tag.removeprefix(_TAG) if tag and tag.startswith(_TAG) else "":
        case "null" | "bool" | "int" | "float" as name:
            found = resolved(text)
            if type(found) not in _TYPES[name]:
                raise ValueError(_WRONG_TYPE)
        case "timestamp" if not _TIME.fullmatch(text):
            raise ValueError(_WRONG_TYPE)
        case "binary":
            try:
                found = b64decode("".join(text.split()), validate=True).decode(errors="replace")
            except ValueError:
                raise ValueError(_WRONG_TYPE) from None
    return found


def number(text: str) -> int | float | None:
    """The number that a text is in Go; None if it is none."""
    digits = text.replace("_", "")
    for pattern, base in _INTEGERS if len(digits) <= _MOST_DIGITS else ():
        if (match := pattern.fullmatch(digits)) is None:
            continue
        whole = int("".join(match.groups()), base)
        if _LEAST <= whole < _MOST:
            return whole
        if 0 <= whole < _MOST_UNSIGNED or base == 10:
            return float(whole)
        return None
    if not _FLOAT.fullmatch(digits):
        return None
    found = float(digits)
    if abs(found) == float("inf"):
        return None
    return int(found) if found.is_integer() and abs(found) < _WHOLE else found
