"""Mail addresses: one plain address, as it is sent, and whether two reach the same mailbox. Pure."""

import re
import unicodedata
from email.headerregistry import Address

import idna

LONGEST_ADDRESS = 254
_ATOM = r"[A-Za-z0-9!#$&'*+/=?^_{}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@)(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?P<domain>{_LABEL}(?:\.{_LABEL})+)")
_LOOK_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE"})
"""Scripts with letters that look alike; a label with letters of two of them is a trap, and no registry allows it."""


def plain_address(text: str) -> Address | None:
    """Parse one address, without comments, quotes or a list; None if it is anything else.

    Its domain is in ASCII: an internationalized one is converted to punycode (RFC 5890, 5891). A local part that needs
    SMTPUTF8 (RFC 6531) is refused.
    """
    local, _, domain = text.partition("@") if len(text) <= LONGEST_ADDRESS else ("", "", "")
    plain = f"{local}@{ascii_domain(domain)}"
    found = _ADDRESS.fullmatch(plain) if len(plain) <= LONGEST_ADDRESS else None
    return Address(username=found["local"], domain=found["domain"]) if found else None


def ascii_domain(text: str) -> str:
    """The domain as it is sent; empty if it is no domain, or mixes alphabets with letters that look alike."""
    if text.isascii():
        return text
    if any(unicodedata.category(each)[0] not in "LMN" for each in text if each not in ".-"):
        return ""
    if any(len(_alphabets(label)) > 1 for label in text.split(".")):
        return ""
    try:
        return idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError:
        return ""


def _alphabets(label: str) -> set[str]:
    return {script for each in label if (script := unicodedata.name(each, "").partition(" ")[0]) in _LOOK_ALIKE}


def mailbox(text: str) -> str:
    """The mailbox that an address reaches, for comparisons: however it is written, and without a tag (RFC 5233).

    Empty if it is no plain address.
    """
    found = plain_address(text.strip())
    return f"{found.username.partition('+')[0]}@{found.domain}".casefold() if found else ""
