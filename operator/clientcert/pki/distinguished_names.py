"""Distinguished names as people write them: parsed, and compared as names instead of as text.

Four forms are understood: RFC 4514 (`CN=nhs,O=Example,C=GB`; types in any case, spaces around separators, values in
quotes), openssl's two (`C = GB, O = Example, CN = nhs` and `/C=GB/O=Example/CN=nhs`), and Java's names of types.
openssl writes the attributes in the order of the encoding, RFC 4514 in the reverse order. A slash at the beginning says
which it is. With spaces around separators it may be either, so both orders are compared; without them it is RFC 4514.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, TypeAlias

from clientcert.pki.der import MalformedError, read_element
from clientcert.pki.names import COMMON_NAME, decode_text

_TYPES = {
    COMMON_NAME: "CN",
    "2.5.4.4": "SN surname",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST S SP",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "T title",
    "2.5.4.13": "description",
    "2.5.4.15": "businessCategory",
    "2.5.4.16": "postalAddress",
    "2.5.4.17": "postalCode",
    "2.5.4.20": "telephoneNumber",
    "2.5.4.41": "name",
    "2.5.4.42": "GN G givenName",
    "2.5.4.43": "initials",
    "2.5.4.44": "generation generationQualifier",
    "2.5.4.46": "DNQ dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "E EMAIL emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.2.840.113549.1.9.8": "unstructuredAddress",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}
"""The names that RFC 4514, openssl, Java and Windows use, by OID."""
EMAIL_ADDRESS = "1.2.840.113549.1.9.1"
_OIDS = {name.casefold(): oid for oid, names in _TYPES.items() for name in names.split()}
_TYPE = rf"(?:(?:OID[.])?[0-9]+(?:[.][0-9]+)+|{'|'.join(name for names in _TYPES.values() for name in names.split())})"
_VALUE = r'(?: *"(?:[^"\\]|\\.)*" *|(?:[^"\\,;+]|\\.)*)'
PATTERN = rf"^(?i:/{_TYPE}=.*|(?:(?:^|[,;+]) *{_TYPE} *={_VALUE})+)$"
"""All forms, together with the rule that no separator comes first; the same expression as in the CRD."""

_WHOLE = re.compile(PATTERN)
_PART = re.compile(rf"(?i)([,;+]?)( *)({_TYPE})( *)=({_VALUE})")
_SLASH_PART = re.compile(rf"(?i)(?<!\\)[/+]({_TYPE})=")
_ESCAPE = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)
_SLASH_ESCAPE = re.compile(r"((?:\\x[0-9A-Fa-f]{2})+)|\\([/+])")

Attribute: TypeAlias = tuple[str, str]
"""An OID and a value."""
Rdns: TypeAlias = tuple[tuple[Attribute, ...], ...]
"""Relative DNs, the most specific first, as RFC 4514 writes them; the attributes of each in a fixed order."""


class DistinguishedName(NamedTuple):
    """A parsed name."""

    rdns: Rdns
    either_order: bool = False
    """True if the text may list the attributes in the order of the encoding as well."""
    flat: bool = False
    """True if the form does not show which attributes form one RDN."""


@lru_cache(maxsize=128)
def parse_name(text: str) -> DistinguishedName | None:
    """A name in one of the forms; None if it is in none of them. An empty text is the empty name."""
    if text.startswith("/") and _WHOLE.fullmatch(text):
        return DistinguishedName(tuple([(each,) for each in reversed([*_slash_attributes(text)])]), flat=True)
    if text and (text[0] in ",;+" or not _WHOLE.fullmatch(text)):
        return None
    rdns: list[list[Attribute]] = []
    spaced = False
    for separator, before, kind, after, value in _PART.findall(text):
        if separator != "+":
            rdns.append([])
        spaced = spaced or bool((separator and before) or after) or value.startswith(" ")
        rdns[-1].append((_oid(kind), _value(value.lstrip(" "))))
    return DistinguishedName(tuple(tuple(sorted(each)) for each in rdns), either_order=spaced)


def same_name(declared: str, actual: str) -> bool:
    """True if `declared`, in any form, is the name `actual` (RFC 4514); values are compared exactly.

    If one of them cannot be parsed, True if the texts are equal.
    """
    if declared == actual:
        return True
    one, other = parse_name(declared), parse_name(actual)
    if one is None or other is None:
        return False
    if one.flat:
        return _is_flat(one.rdns, other.rdns)
    return one.rdns == other.rdns or (one.either_order and one.rdns[::-1] == other.rdns)


def values_of(name: str, oid: str) -> tuple[str, ...]:
    """The values of this attribute in an RFC 4514 string, the most specific first; none if it cannot be parsed."""
    parsed = parse_name(name)
    return tuple(value for rdn in parsed.rdns for kind, value in rdn if kind == oid) if parsed else ()


def common_name(name: str) -> str:
    """The CN of an RFC 4514 string; empty if there is none, or the string cannot be parsed."""
    return next(iter(values_of(name, COMMON_NAME)), "")


def _is_flat(flat: Rdns, rdns: Rdns) -> bool:
    """True if `flat`, with one attribute in each RDN, has the attributes of `rdns` in their order."""
    attributes = iter([rdn[0] for rdn in flat])
    regrouped = tuple(tuple(sorted(islice(attributes, len(rdn)))) for rdn in rdns)
    return regrouped == rdns and next(attributes, None) is None


def _slash_attributes(text: str) -> Iterator[Attribute]:
    starts = [*_SLASH_PART.finditer(text)]
    ends = [each.start() for each in starts[1:]] + [len(text)]
    for start, end in zip(starts, ends, strict=True):
        yield _oid(start[1]), _SLASH_ESCAPE.sub(_unescaped, text[start.end() : end])


def _oid(kind: str) -> str:
    return _OIDS.get(kind.casefold()) or kind[4 if kind[:4].upper() == "OID." else 0 :]


def _value(text: str) -> str:
    if text.startswith('"'):
        return _ESCAPE.sub(_unescaped, text.rstrip(" ")[1:-1])
    if text.startswith("#"):
        return _encoded_value(text)
    # A blank that is escaped belongs to the value.
    trimmed = text.rstrip(" ")
    if len(trimmed) < len(text) and (len(trimmed) - len(trimmed.rstrip("\\"))) % 2:
        trimmed += " "
    return _ESCAPE.sub(_unescaped, trimmed)


def _unescaped(escape: re.Match[str]) -> str:
    return _octets(escape) if escape[1] else escape[2]


def _octets(escape: re.Match[str]) -> str:
    """Octets in hex are UTF-8 (RFC 4514 section 2.4)."""
    return bytes.fromhex(re.sub(r"\\x?", "", escape[1])).decode("utf-8", errors="replace")


def _encoded_value(text: str) -> str:
    """A value as `#` and its BER encoding in hex (RFC 4514 section 2.4); the text itself if it is none."""
    try:
        return decode_text(read_element(bytes.fromhex(text[1:].strip())))
    except (ValueError, MalformedError):
        return text
