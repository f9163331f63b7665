"""The subject alternative names of a certificate (RFC 5280 section 4.2.1.6), read leniently."""

import ipaddress
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from clientcert.pki.der import CONTEXT_0, OBJECT_IDENTIFIER, Element, MalformedError, read_element
from clientcert.pki.lenient import Outline, read_extension, tbs_fields
from clientcert.pki.names import decode_text

_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("0603551d11")
_MOST_NAMES = 500
"""The names that are read of one certificate; public CAs allow 100 to 250."""
_OTHER_NAMES = {"1.3.6.1.5.5.7.8.9", "1.3.6.1.4.1.311.20.2.3"}
"""SmtpUTF8Mailbox (RFC 9598) and the user principal name of Active Directory; both have the form of an address."""


class NameKind(StrEnum):
    """The kinds that are read; the value says so in a sentence."""

    DNS_NAME = "DNS name"
    URI = "URI"
    EMAIL_ADDRESS = "e-mail address"
    IP_ADDRESS = "IP address"
    OTHER = "other name"


class AlternativeName(NamedTuple):
    """One name, exactly as it is written."""

    kind: NameKind
    value: str


_TEXTS = {0x81: NameKind.EMAIL_ADDRESS, 0x82: NameKind.DNS_NAME, 0x86: NameKind.URI}
_IP_ADDRESS = 0x87


class Names:
    """The names of one certificate."""

    def __init__(self, certificate: Outline) -> None:
        self.certificate = certificate

    @cached_property
    def alternative(self) -> tuple[AlternativeName, ...]:
        """Its subject alternative names, without empty ones and those of other kinds; none if they cannot be read.

        They are read when they are needed for the first time.
        """
        try:
            extension = read_extension(tbs_fields(read_element(self.certificate.der)), _SUBJECT_ALTERNATIVE_NAME)
            return read_alternative_names(extension) if extension is not None else ()
        except MalformedError:
            return ()

    @property
    def own(self) -> tuple[str, ...]:
        """The CNs, the most specific first; if there is none, all alternative names."""
        return self.certificate.subject_common_names[::-1] or tuple([each.value for each in self.alternative])


def read_alternative_names(names: Element) -> tuple[AlternativeName, ...]:
    """The names of a GeneralNames, without empty ones and those of other kinds; raises MalformedError."""
    return tuple([name for each in names.readable_children(_MOST_NAMES) for name in _read(each) if name.value])


def _read(name: Element) -> Iterator[AlternativeName]:
    if name.tag in _TEXTS:
        yield AlternativeName(_TEXTS[name.tag], decode_text(name))
    elif name.tag == _IP_ADDRESS and len(name.content) in (4, 16):
        yield AlternativeName(NameKind.IP_ADDRESS, str(ipaddress.ip_address(name.content)))
    elif name.tag == CONTEXT_0:
        yield from _read_other(name)


def _read_other(name: Element) -> Iterator[AlternativeName]:
    oid, value, *_ = [*name.readable_children(2), None, None]
    if oid is None or value is None or oid.tag != OBJECT_IDENTIFIER or oid.object_identifier() not in _OTHER_NAMES:
        return
    for text in value.readable_children(1):
        yield AlternativeName(NameKind.OTHER, decode_text(text))
