"""Certificates with any names and dates; nothing else about them is odd."""

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from tests.unit.pki.certificates import NOT_AFTER, NOT_BEFORE, attribute, extension, odd_certificate, pem, sequence
from tools.der import der_element, der_time

CN, COUNTRY, ORGANIZATION, SERIAL_NUMBER, EMAIL = "550403", "550406", "55040a", "550405", "2a864886f70d010901"
"""Types of attributes, as the hex of their OIDs."""
_TAGS = {"email": 0x81, "dns": 0x82, "uri": 0x86}
_USER_PRINCIPAL_NAME = bytes.fromhex("060a2b060104018237140203")


@dataclass(frozen=True)
class Named:
    """The names of a certificate, each as a kind and a value; those of DNs are in the order of the encoding."""

    subject: tuple[tuple[str, str], ...] = ()
    alternatives: tuple[tuple[str, str], ...] = ()
    issuer: tuple[tuple[str, str], ...] = ((CN, "CA one"),)
    not_before: datetime = NOT_BEFORE
    not_after: datetime = NOT_AFTER
    serial_number: int = 1
    is_authority: bool = False

    @property
    def der(self) -> bytes:
        extensions = []
        if self.alternatives:
            names = sequence(*[_alternative(kind, value) for kind, value in self.alternatives])
            extensions.append(extension("551d11", names))
        if self.is_authority:
            extensions.append(extension("551d13", sequence(b"\x01\x01\xff")))
        return odd_certificate(
            serial_number=der_element(
                0x02, self.serial_number.to_bytes(self.serial_number.bit_length() // 8 + 1, "big")
            ),
            subject=_name(self.subject),
            issuer=_name(self.issuer),
            not_before=der_time(self.not_before),
            not_after=der_time(self.not_after),
            extensions=tuple(extensions),
        )

    @property
    def pem(self) -> bytes:
        return pem(self.der)


def _name(attributes: tuple[tuple[str, str], ...]) -> bytes:
    return sequence(
        *[der_element(0x31, attribute(oid, der_element(0x0C, value.encode()))) for oid, value in attributes]
    )


def _alternative(kind: str, value: str) -> bytes:
    if kind == "ip":
        return der_element(0x87, ip_address(value).packed)
    if kind == "upn":
        return der_element(0xA0, _USER_PRINCIPAL_NAME + der_element(0xA0, der_element(0x0C, value.encode())))
    return der_element(_TAGS[kind], value.encode())
