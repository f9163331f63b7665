"""Hide the mail addresses in a text that people or strangers have written. Rather a word too many is hidden."""

import re

HIDDEN = "[address]"
_AT = "(?:[@\uff20\ufe6b]|%40)"
_OPENING = r"[(\[{<\"'`]"
_QUOTED = re.compile(rf"\"[^\"]*+\"(?=\s*+{_AT})")
"""The local part of an address may be quoted, and have blanks then."""
_SPACED = re.compile(rf"(?<!\S)\S++\s++{_AT}\s*+\S*?[^\s.]\.\w\S*+")
"""With blanks before the sign, what follows must look like a domain: "a @ b" and "ask @on-call" are no addresses."""
_WORD = re.compile(rf"(?<!\S){_OPENING}*+{_AT}*+(?:(?!{_AT})\S)++{_AT}\S*+")
"""The whole word around a sign that has something before it, whatever separates its parts."""


def hide_addresses(text: str) -> str:
    """The text with `[address]` in place of each address. The time that it takes grows with the length alone."""
    for pattern in (_QUOTED, _SPACED, _WORD):
        text = pattern.sub(HIDDEN, text)
    return text
