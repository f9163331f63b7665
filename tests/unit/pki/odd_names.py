"""Subjects and alternative names as old certificates have them, also those that no library writes (DER)."""

from tests.unit.pki.certificates import attribute, sequence
from tools.der import der_element

CN, COUNTRY, ORGANIZATION, UNIT, EMAIL = "550403", "550406", "55040a", "55040b", "2a864886f70d010901"
UTF8, PRINTABLE, TELETEX, IA5, UNIVERSAL, BMP, NUMERIC = 0x0C, 0x13, 0x14, 0x16, 0x1C, 0x1E, 0x12


def value(tag: int, text: bytes) -> bytes:
    return der_element(tag, text)


def rdn(*attributes: bytes) -> bytes:
    """In the given order, which DER does not always allow."""
    return der_element(0x31, b"".join(attributes))


def name(*rdns: bytes) -> bytes:
    return sequence(*rdns)


def cn(tag: int, text: bytes) -> bytes:
    return name(rdn(attribute(CN, value(tag, text))))


CLEAN_NAMES = {
    "UTF8String": cn(UTF8, "nhs-Zoë".encode()),
    "PrintableString": cn(PRINTABLE, b"nhs"),
    "with country and organization": name(
        rdn(attribute(COUNTRY, value(PRINTABLE, b"GB"))),
        rdn(attribute(ORGANIZATION, value(UTF8, b"NHS Digital"))),
        rdn(attribute(CN, value(UTF8, b"nhs"))),
    ),
    "multi-valued RDN": name(
        rdn(attribute(CN, value(UTF8, b"nhs")), attribute(ORGANIZATION, value(UTF8, b"NHS"))),
    ),
}
"""RFC 5280 has no objection to these."""
OLD_NAMES = {
    "TeletexString with Latin-1": cn(TELETEX, "Zoë".encode("latin-1")),
    "TeletexString with UTF-8": cn(TELETEX, "Zoë".encode()),
    "BMPString": cn(BMP, "nhs Zoë".encode("utf-16-be")),
    "UniversalString": cn(UNIVERSAL, "nhs Zoë".encode("utf-32-be")),
    "PrintableString with characters it may not have": cn(PRINTABLE, b"nhs_client@*&"),
    "PrintableString with octets above 127": cn(PRINTABLE, b"nhs \xe9"),
    "IA5String": cn(IA5, b"nhs"),
    "NumericString with letters": cn(NUMERIC, b"nhs"),
    "empty value": cn(UTF8, b""),
    "very long CN": cn(UTF8, b"n" * 300),
    "emailAddress": name(rdn(attribute(CN, value(UTF8, b"nhs"))), rdn(attribute(EMAIL, value(IA5, b"jo@nhs.example")))),
    "unsorted multi-valued RDN": name(
        rdn(attribute(ORGANIZATION, value(UTF8, b"NHS")), attribute(CN, value(UTF8, b"a"))),
    ),
    "the same attribute twice in an RDN": name(
        rdn(attribute(UNIT, value(UTF8, b"one")), attribute(UNIT, value(UTF8, b"two")))
    ),
    "country of three letters": name(rdn(attribute(COUNTRY, value(PRINTABLE, b"GBR")))),
    "unknown attribute": name(rdn(attribute("2b0601040186df1903", value(UTF8, b"nhs")))),
    "a value that is no string": name(rdn(attribute(CN, sequence(value(UTF8, b"nhs"))))),
}
"""Names that old CAs wrote."""
EMPTY_RDN = name(rdn(), rdn(attribute(CN, value(UTF8, b"nhs"))))
"""RFC 5280 wants at least one attribute in each; OpenSSL reads it all the same, and `cryptography` does not."""

UNDECODABLE_NAMES = {
    "UTF8String that is not UTF-8": cn(UTF8, b"nhs \xff\xfe"),
    "BMPString of odd length": cn(BMP, b"\0n\0h\0"),
}
"""OpenSSL refuses the whole certificate, also the old one; other programs do not."""

BROKEN_NAMES = {
    "not a SEQUENCE": rdn(attribute(CN, value(UTF8, b"nhs"))),
    "octets after it": cn(UTF8, b"nhs") + b"\x05\0",
    "cut off": cn(UTF8, b"nhs")[:-1],
    "nothing": b"",
    "indefinite length": b"\x30\x80" + rdn(attribute(CN, value(UTF8, b"nhs"))) + b"\0\0",
    "length in too many octets": b"\x30\x81\x0e" + rdn(attribute(CN, value(UTF8, b"nhs"))),
    "attribute without a value": name(rdn(sequence(der_element(0x06, bytes.fromhex(CN))))),
    "attribute with two values": name(
        rdn(sequence(der_element(0x06, bytes.fromhex(CN)), value(UTF8, b"a"), value(UTF8, b"b")))
    ),
    "no OID": name(rdn(sequence(value(UTF8, b"CN"), value(UTF8, b"nhs")))),
    "an RDN that is no SET": name(sequence(attribute(CN, value(UTF8, b"nhs")))),
    "too long": cn(UTF8, b"n" * 17_000),
}

_UPN = bytes.fromhex("060a2b060104018237140203")
ALTERNATIVE_NAMES = {
    "DNS": sequence(value(0x82, b"nhs.example")),
    "several": sequence(value(0x82, b"nhs.example"), value(0x81, b"jo@nhs.example"), value(0x87, b"\x0a\0\0\x01")),
    "URI": sequence(value(0x86, b"spiffe://nhs.example/client")),
    "IPv6": sequence(value(0x87, bytes(15) + b"\x01")),
    "otherName": sequence(der_element(0xA0, _UPN + der_element(0xA0, value(UTF8, "zoë@nhs".encode())))),
    "directoryName": sequence(der_element(0xA4, CLEAN_NAMES["UTF8String"])),
    "registeredID": sequence(value(0x88, bytes.fromhex("2b0601"))),
}
ODD_ALTERNATIVE_NAMES = {
    "DNS with a blank and Latin-1": sequence(value(0x82, b"nhs \xe9")),
    "IP address of three octets": sequence(value(0x87, b"\x0a\0\0")),
    "x400Address": sequence(der_element(0xA3, value(UTF8, b"x"))),
    "empty DNS name": sequence(value(0x82, b"")),
}
BROKEN_ALTERNATIVE_NAMES = {
    "empty sequence": sequence(),
    "not a SEQUENCE": value(0x82, b"nhs.example"),
    "octets after it": sequence(value(0x82, b"nhs.example")) + b"\x05\0",
    "cut off": sequence(value(0x82, b"nhs.example"))[:-1],
    "indefinite length": b"\x30\x80" + value(0x82, b"nhs") + b"\0\0",
    "a name of another class": sequence(value(UTF8, b"nhs")),
}
