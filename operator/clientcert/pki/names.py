"""Distinguished names: read leniently, and compared as names instead of as text."""

from collections.abc import Iterator

from cryptography import x509
from cryptography.x509.oid import NameOID

from clientcert.pki.der import OBJECT_IDENTIFIER, Element, MalformedError

COMMON_NAME = NameOID.COMMON_NAME.dotted_string
LONGEST_NAME = 16 * 1024
"""Octets of the longest name that is read; real names have about a hundred."""

_RFC_4514_NAMES = {
    COMMON_NAME: "CN",
    NameOID.LOCALITY_NAME.dotted_string: "L",
    NameOID.STATE_OR_PROVINCE_NAME.dotted_string: "ST",
    NameOID.ORGANIZATION_NAME.dotted_string: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME.dotted_string: "OU",
    NameOID.COUNTRY_NAME.dotted_string: "C",
    NameOID.STREET_ADDRESS.dotted_string: "STREET",
    NameOID.DOMAIN_COMPONENT.dotted_string: "DC",
    NameOID.USER_ID.dotted_string: "UID",
}
"""The attribute names of RFC 4514 section 3; other attributes are written with their OID."""

_ENCODINGS = {
    0x0C: "utf-8",  # UTF8String
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString: in practice it never holds T.61
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}


def same_name(one: str, other: str) -> bool:
    """True if two RFC 4514 strings are the same name; if one cannot be parsed, True if the texts are equal."""
    if one == other:
        return True
    try:
        return x509.Name.from_rfc4514_string(one) == x509.Name.from_rfc4514_string(other)
    except ValueError:
        return False


def folded(name: str) -> str:
    """Equal for names that are equal by RFC 5280 section 7.1, as far as this matters within one file."""
    return " ".join(name.casefold().split())


def common_name(name: str) -> str:
    """The first CN of an RFC 4514 string; empty if there is none, or the string cannot be parsed."""
    try:
        found = x509.Name.from_rfc4514_string(name).get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return ""
    return str(found[0].value) if found else ""


def read_name(name: Element) -> tuple[str, str]:
    """A Name as an RFC 4514 string, and its first CN (empty if there is none).

    Accepts names that a strict reader refuses: an RDN without an attribute or with too many, and text that is not in
    the encoding of its tag. Raises MalformedError if the attributes cannot be separated.
    """
    if name.content_end - name.content_start > LONGEST_NAME:
        raise MalformedError("the name is too long")
    rdns: list[str] = []
    common_name = None
    for rdn in name.children():
        parts = []
        for oid, value in _attributes(rdn):
            parts.append(f"{_RFC_4514_NAMES.get(oid, oid)}={_escaped(value)}")
            if oid == COMMON_NAME and common_name is None:
                common_name = value
        if parts:
            rdns.append("+".join(parts))
    return ",".join(reversed(rdns)), common_name or ""


def _attributes(rdn: Element) -> Iterator[tuple[str, str]]:
    for attribute in rdn.children():
        oid, value, *_ = [*attribute.children(), None, None]
        if oid is None or value is None or oid.tag != OBJECT_IDENTIFIER:
            raise MalformedError("not an attribute")
        yield oid.object_identifier(), _text(value)


def _text(value: Element) -> str:
    encoding = _ENCODINGS.get(value.tag, "utf-8")
    try:
        return value.content.decode(encoding)
    except UnicodeDecodeError:
        return value.content.decode("utf-8", errors="replace")


def _escaped(value: str) -> str:
    """RFC 4514 section 2.4."""
    for special in '\\"+,;<>':
        value = value.replace(special, "\\" + special)
    value = value.replace("\0", "\\00")
    if value.startswith(("#", " ")) and value != " ":
        value = "\\" + value
    return value[:-1] + "\\ " if value.endswith(" ") else value
