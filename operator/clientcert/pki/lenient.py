"""The lenient reader: finds the fields of a certificate by their position.

It does not check whether a field is well-formed, so a malformed field does not affect the others. If `cryptography`
refuses a whole certificate (a year 0, an empty RDN, an unknown version), this reader still finds the dates. It also
reads the other certificates of a bundle, which are needed only to find the leaf.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from clientcert.pki.certificate import Expiry
from clientcert.pki.der import (
    CONTEXT_0,
    EARLIEST,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    UTC_TIME,
    Element,
    MalformedError,
    read_element,
    read_time,
)
from clientcert.pki.keys import algorithm_name
from clientcert.pki.names import read_name

TIMES = (UTC_TIME, GENERALIZED_TIME)
_EXTENSIONS = CONTEXT_0 + 3
_BASIC_CONSTRAINTS = bytes.fromhex("0603551d13")
_UNNAMED: tuple[str, tuple[str, ...]] = ("", ())
_Value = TypeVar("_Value")
_LONGEST_SERIAL_NUMBER = 20
"""Octets (RFC 5280 section 4.1.2.2)."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The fields of a certificate; a field that cannot be read is an empty string, 0 or empty bytes."""

    der: bytes = field(repr=False)
    serial_number: int
    not_before: datetime
    not_after: datetime
    subject_dn: str
    subject_common_names: tuple[str, ...]
    """All CNs that are not empty, in the order of the encoding: the last one is the most specific."""
    issuer_dn: str
    issuer_common_name: str
    public_key_info: bytes = field(repr=False)
    key_algorithm: str
    is_authority: bool
    """True if its basicConstraints have cA."""
    warnings: tuple[str, ...]
    fingerprint_sha256: str
    """Lowercase hex."""

    @property
    def expiry(self) -> Expiry:
        """Its own date."""
        return Expiry(self.not_after, self.subject_dn, f"{self.serial_number:x}", self.fingerprint_sha256)


def read_outline(der: bytes) -> Outline:
    """The outline of the certificate at the beginning of `der`; the rest is ignored.

    Raises MalformedError if there is no certificate, or if its notAfter cannot be read.
    """
    certificate = read_element(der)
    fields = tbs_fields(certificate)
    warnings: list[str] = []
    sequences = [each for each in fields if each.tag == SEQUENCE]
    at = next((index for index, each in enumerate(sequences) if is_validity(each)), None)
    if at is None:
        raise MalformedError("no validity")
    issuer, subject, public_key_info = (
        sequences[index] if 0 <= index < len(sequences) else None for index in (at - 1, at + 1, at + 2)
    )
    not_before, not_after = _validity(sequences[at], warnings)
    (subject_dn, subject_common_names), (issuer_dn, issuer_common_names) = (
        _read(lambda each: read_name(each.encoded), name, _UNNAMED, warnings, f"its {field_name} cannot be read")
        for field_name, name in (("subject", subject), ("issuer", issuer))
    )
    encoded = certificate.encoded
    return Outline(
        der=encoded,
        serial_number=_serial_number(fields, warnings),
        not_before=not_before,
        not_after=not_after,
        subject_dn=subject_dn,
        subject_common_names=subject_common_names,
        issuer_dn=issuer_dn,
        issuer_common_name=issuer_common_names[-1] if issuer_common_names else "",
        public_key_info=public_key_info.encoded if public_key_info else b"",
        key_algorithm=_read(algorithm_name, public_key_info, "", warnings, "its public key cannot be read"),
        is_authority=_is_authority(fields),
        warnings=tuple(warnings),
        fingerprint_sha256=hashlib.sha256(encoded).hexdigest(),
    )


def is_validity(element: Element) -> bool:
    """True if the element looks like a Validity (RFC 5280 section 4.1): a sequence of times."""
    return element.tag == SEQUENCE and any(each.tag in TIMES for each in element.readable_children(2))


def read_extension(fields: list[Element], oid: bytes) -> Element | None:
    """The value of an extension of these fields of a TBSCertificate; None if it is absent or cannot be read."""
    try:
        block = next(each for each in fields if each.tag == _EXTENSIONS)
        for extension in next(block.children()).children():
            if not extension.content.startswith(oid):
                continue
            value = next(each for each in extension.children() if each.tag == OCTET_STRING)
            return read_element(value.buffer, value.content_start, value.content_end)
    except (StopIteration, MalformedError):
        pass
    return None


def tbs_fields(certificate: Element) -> list[Element]:
    """The readable fields of the TBSCertificate; raises MalformedError if there is none."""
    tbs = next(certificate.children(), None)
    if certificate.tag != SEQUENCE or tbs is None or tbs.tag != SEQUENCE:
        raise MalformedError("not a certificate")
    return tbs.readable_children()


def _validity(validity: Element, warnings: list[str]) -> tuple[datetime, datetime]:
    first, second, *_ = [*validity.readable_children(2), None, None]
    if second is None:
        raise MalformedError("no notAfter")
    not_after, not_after_is_exact = read_time(second)
    try:
        not_before, not_before_is_exact = read_time(first) if first is not None else (EARLIEST, False)
    except MalformedError:
        not_before, not_before_is_exact = EARLIEST, True
        warnings.append("its notBefore cannot be read: the earliest possible time is used instead")
    for name, is_exact in (("notBefore", not_before_is_exact), ("notAfter", not_after_is_exact)):
        if not is_exact:
            warnings.append(f"its {name} is not in the form of RFC 5280 section 4.1.2.5: the nearest time was used")
    return not_before, not_after


def _serial_number(fields: list[Element], warnings: list[str]) -> int:
    try:
        element = next(each for each in fields if each.tag == INTEGER)
        serial_number = element.integer()
    except (StopIteration, MalformedError):
        warnings.append("its serial number cannot be read")
        return 0
    if serial_number <= 0:
        warnings.append("its serial number is not positive (RFC 5280 section 4.1.2.2)")
    elif element.content_end - element.content_start > _LONGEST_SERIAL_NUMBER:
        warnings.append("its serial number is longer than 20 octets (RFC 5280 section 4.1.2.2)")
    return serial_number


def _read(
    read: Callable[[Element], _Value], element: Element | None, default: _Value, warnings: list[str], warning: str
) -> _Value:
    """Return the result of `read`; the default, with a warning, if there is no element or it cannot be read."""
    if element is not None:
        try:
            return read(element)
        except MalformedError:
            pass
    warnings.append(warning)
    return default


def _is_authority(fields: list[Element]) -> bool:
    """True if basicConstraints (RFC 5280 section 4.2.1.9) have cA; the default is False."""
    constraints = read_extension(fields, _BASIC_CONSTRAINTS)
    if constraints is None:
        return False
    content = constraints.content
    return content.startswith(b"\x01\x01") and content[2:3] not in (b"", b"\0")
