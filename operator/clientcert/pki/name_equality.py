"""Names compared as RFC 5280 section 7.1 says: whatever their encoding, case and white space; and e-mail addresses."""

import unicodedata
from collections.abc import Iterator
from typing import TypeAlias

from clientcert.pki.alternative_names import NameKind, read_alternative_names
from clientcert.pki.der import OBJECT_IDENTIFIER, SEQUENCE, SET, Element, MalformedError, read_element
from clientcert.pki.distinguished_names import EMAIL_ADDRESS
from clientcert.pki.lenient import is_validity, read_extension, tbs_fields
from clientcert.pki.names import LONGEST_NAME, decode_text

_MAIL = "0.9.2342.19200300.100.1.3"
_STRINGS = frozenset({0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A, 0x1C, 0x1E})
"""UTF8String, NumericString, PrintableString, TeletexString, IA5String, VisibleString, UniversalString, BMPString."""
_SPACES = frozenset("\t\n\v\f\r\u0085")
_NOTHING = frozenset("\u00ad\u034f\u1806\u180b\u180c\u180d\u200b\ufeff\ufffc")
_ALTERNATIVE_NAMES = bytes.fromhex("0603551d11")
_Value: TypeAlias = tuple[str, str | bytes]


def same_name_der(a: bytes, b: bytes) -> bool:
    """True if two Names (DER) are equal: the same RDNs in their order, the attributes of each in any order.

    A value that is no string, and a Name that cannot be read, equals only the same octets.
    """
    if a == b:
        return True
    try:
        return _rdns(a) == _rdns(b)
    except MalformedError:
        return False


def email_addresses(certificate_der: bytes) -> tuple[str, ...]:
    """The e-mail addresses in subject and subjectAltName of a certificate; none if they cannot be read."""
    try:
        fields = tbs_fields(read_element(certificate_der))
    except MalformedError:
        return ()
    _, subject = issuer_and_subject(fields)
    return emails_in(subject, read_extension(fields, _ALTERNATIVE_NAMES))


def issuer_and_subject(fields: list[Element]) -> tuple[Element | None, Element | None]:
    """The Names in these fields of a TBSCertificate: they stand beside the validity; None if one is missing."""
    sequences = [each for each in fields if each.tag == SEQUENCE]
    at = next((at for at, each in enumerate(sequences) if is_validity(each)), len(sequences))
    issuer = sequences[at - 1] if 0 < at < len(sequences) else None
    return issuer, sequences[at + 1] if at + 1 < len(sequences) else None


def emails_in(subject: Element | None, alternative_names: Element | None) -> tuple[str, ...]:
    """The e-mail addresses in a Name and a GeneralNames, each once; what cannot be read has none."""
    found: dict[str, None] = {}
    try:
        for attributes in _attributes(subject) if subject is not None else ():
            found |= {decode_text(value): None for oid, value in attributes if oid in (EMAIL_ADDRESS, _MAIL)}
    except MalformedError:
        pass
    try:
        names = read_alternative_names(alternative_names) if alternative_names is not None else ()
        addresses = [each.value for each in names if each.kind in (NameKind.EMAIL_ADDRESS, NameKind.OTHER)]
        found |= {each: None for each in addresses if "@" in each}
    except (MalformedError, ValueError):
        pass
    return tuple(each for each in found if each)


def _rdns(name: bytes) -> list[list[_Value]]:
    element = read_element(name)
    if element.tag != SEQUENCE or element.end != len(name) or len(name) > LONGEST_NAME:
        raise MalformedError("not a Name")
    return [
        sorted(((oid, _prepared(value)) for oid, value in attributes), key=repr) for attributes in _attributes(element)
    ]


def _attributes(name: Element) -> Iterator[list[tuple[str, Element]]]:
    for rdn in name.children():
        attributes = []
        for attribute in rdn.children():
            fields = attribute.readable_children(3)
            if rdn.tag != SET or len(fields) != 2 or fields[0].tag != OBJECT_IDENTIFIER:
                raise MalformedError("not an attribute")
            oid, value = fields
            attributes.append((oid.object_identifier(), value))
        yield attributes


def _prepared(value: Element) -> str | bytes:
    """A string as RFC 4518 section 2 prepares it for comparison; the octets of anything else."""
    if value.tag not in _STRINGS:
        return value.encoded
    kept = "".join(_mapped(each) for each in decode_text(value))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", kept).casefold())
    return " ".join(folded.split())


def _mapped(character: str) -> str:
    """RFC 4518 section 2.2: controls become nothing, and separators a space."""
    if character in _SPACES:
        return " "
    category = unicodedata.category(character)
    if category in ("Zs", "Zl", "Zp"):
        return " "
    if category in ("Cc", "Cf") or character in _NOTHING or "\ufe00" <= character <= "\ufe0f":
        return ""
    return character
