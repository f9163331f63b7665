"""Hide the mail addresses in a text that people or strangers have written. Rather a word too many is hidden."""

import re

HIDDEN = "[address]"
_SPELLED = r"[\[({<]\s*+at\s*+[\])}>]"
_AT = rf"(?:[@\uff20\ufe6b]|%40|\\(?:x|u00)?40|&#0*+64(?!\d);?|&#x0*+40(?![\da-f]);?|&commat;|{_SPELLED})"
"""The sign: also wide or small, as URLs, DNs (RFC 4514), programs and HTML escape it, and as people spell it."""
_DOT = r"[\[({<]\s*+(?:dot|\.)\s*+[\])}>]"
_OPENING = r"[(\[{<\"'`]"
_PATTERNS = (
    # The local part of an address may be quoted, and have blanks then.
    rf"\"[^\"]*+\"(?=\s*+{_AT})",
    rf"(?<!\S)\S++\s*+{_SPELLED}\s*+\S++(?:\s*+{_DOT}\s*+\S++)*+",
    # With blanks before the sign, what follows must look like a domain: "a @ b" and "ask @on-call" are no addresses.
    rf"(?<!\S)\S++\s++{_AT}\s*+\S*?[^\s.]\.\w\S*+",
    # The whole word around a sign that has something before it, whatever separates its parts.
    rf"(?<!\S){_OPENING}*+{_AT}*+(?:(?!{_AT})\S)++{_AT}\S*+",
)
_ADDRESSES = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _PATTERNS)
_HEXADECIMAL = re.compile(r"#((?:[\da-f]{2})+)", re.IGNORECASE)
"""A value in a DN whose type is unknown (RFC 4514 section 2.4)."""


def hide_addresses(text: str) -> str:
    """The text with `[address]` in place of each address. The time that it takes grows with the length alone."""
    text = _HEXADECIMAL.sub(lambda found: HIDDEN if _has_sign(bytes.fromhex(found[1])) else found[0], text)
    for pattern in _ADDRESSES:
        text = pattern.sub(HIDDEN, text)
    return text


def _has_sign(octets: bytes) -> bool:
    return b"@" in octets or "\uff20".encode() in octets
