"""Distinguished names in a certificate, read leniently."""

from functools import lru_cache

from cryptography.x509.oid import NameOID

from clientcert.pki.der import OBJECT_IDENTIFIER, Element, MalformedError, read_element

COMMON_NAME = NameOID.COMMON_NAME.dotted_string
LONGEST_NAME = 16 * 1024
"""Octets of the longest name that is read; real names have about a hundred."""
_CACHED_NAMES = 128
"""The certificates of a CA have the same issuer."""

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
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
"""All others are UTF-8, which includes ASCII; in practice a TeletexString holds UTF-8 or Latin-1, and never T.61."""


def folded(name: str) -> str:
    """Equal for names that are equal by RFC 5280 section 7.1, as far as this matters within one file."""
    return " ".join(name.casefold().split())


@lru_cache(_CACHED_NAMES)
def read_name(encoded: bytes) -> tuple[str, tuple[str, ...]]:
    """A Name (DER) as an RFC 4514 string, and its CNs that are not empty, in the order of the encoding.

    Accepts names that a strict reader refuses: an RDN without an attribute or with too many, and text that is not in
    the encoding of its tag. Raises MalformedError if the attributes cannot be separated.
    """
    name = read_element(encoded)
    if name.content_end - name.content_start > LONGEST_NAME:
        raise MalformedError("the name is too long")
    rdns: list[str] = []
    common_names: list[str] = []
    for rdn in name.children():
        parts: list[str] = []
        for attribute in rdn.children():
            identifier, value, *_ = [*attribute.children(), None, None]
            if identifier is None or value is None or identifier.tag != OBJECT_IDENTIFIER:
                raise MalformedError("not an attribute")
            oid, text = identifier.object_identifier(), decode_text(value)
            parts.append(f"{_RFC_4514_NAMES.get(oid, oid)}={_escaped(text)}")
            if oid == COMMON_NAME and text:
                common_names.append(text)
        if parts:
            rdns.append("+".join(parts))
    return ",".join(reversed(rdns)), tuple(common_names)


def decode_text(value: Element) -> str:
    """The text of a string; one that is not in the encoding of its tag is UTF-8 or, failing that, Latin-1."""
    for encoding in (_ENCODINGS.get(value.tag, "utf-8"), "utf-8"):
        try:
            return value.content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return value.content.decode("latin-1")


def _escaped(value: str) -> str:
    """RFC 4514 section 2.4."""
    for special in '\\"+,;<>':
        value = value.replace(special, "\\" + special)
    value = value.replace("\0", "\\00")
    if value.startswith(("#", " ")) and value != " ":
        value = "\\" + value
    return value[:-1] + "\\ " if value.endswith(" ") else value
