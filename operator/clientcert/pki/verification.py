"""Verifies what an issuer returned, before it counts: it is the certificate that was asked for, and no other."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clientcert.pki.certificate_fields import (
    CLIENT_AUTH,
    CRL_SIGN,
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    SERVER_AUTH,
    CertificateFields,
    read_fields,
)
from clientcert.pki.der import MalformedError, read_element
from clientcert.pki.signatures import is_signed_by

CLOCK_SKEW = timedelta(minutes=5)
"""The tolerance of a notBefore that lies ahead: the issuer's clock may be fast."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected content of the certificate."""

    authority_der: bytes = field(repr=False)
    """The certificate of the CA that signs."""
    public_key_info: bytes = field(repr=False)
    subject_der: bytes = field(repr=False)
    alternative_names_der: bytes = field(repr=False)
    """GeneralNames; empty: none."""
    now: datetime
    serial_number: int | None = None
    """None: the issuer chooses it."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    """None: the issuer chooses it. It must be in the future in any case."""
    ends_after: datetime | None = None
    """The certificate must end later than this, as the one that it renews; None: it renews none."""
    same_name: Callable[[bytes, bytes], bool] = operator.eq
    """Compares two Names (DER); an issuer that writes names anew needs more than octets (RFC 5280 section 7.1)."""


def verify_issued(certificate_der: bytes, expected: Expectation) -> str:
    """Empty if the certificate is as expected; else what is wrong, as a sentence without its full stop."""
    try:
        found = read_fields(certificate_der)
        authority = read_fields(expected.authority_der)
        if len(found.der) != len(certificate_der):
            return "the answer has other content after the certificate"
        return next(filter(None, (rule(found, authority, expected) for rule in _RULES)), "")
    except MalformedError:
        return "the answer cannot be read as a certificate"


def _signature(found: CertificateFields, authority: CertificateFields, expected: Expectation) -> str:
    if not expected.same_name(authority.subject_der, found.issuer_der):
        return "its issuer is another CA than the one that was expected"
    if not is_signed_by(found, authority.public_key_info):
        return "it is not signed by the CA with SHA-256 or better"
    return ""


def _key(found: CertificateFields, _: CertificateFields, expected: Expectation) -> str:
    return "" if found.public_key_info == expected.public_key_info else "it certifies another key"


def _names(found: CertificateFields, _: CertificateFields, expected: Expectation) -> str:
    if not expected.same_name(expected.subject_der, found.subject_der):
        return "its subject is not the one that was asked for"
    names, _critical = found.alternative_names
    if _set_of(names) != _set_of(expected.alternative_names_der):
        return "its subjectAltName is not the one that was asked for"
    return ""


def _profile(found: CertificateFields, _: CertificateFields, _expected: Expectation) -> str:
    usage, purposes = found.key_usage, found.extended_key_usage
    if found.version != 3:
        return "it is not X.509 version 3"
    if found.is_authority or (usage is not None and usage & {KEY_CERT_SIGN, CRL_SIGN}):
        return "it is that of a CA, and must not be"
    if usage is not None and DIGITAL_SIGNATURE not in usage:
        return "its keyUsage lacks digitalSignature, which TLS needs"
    if purposes is None or CLIENT_AUTH not in purposes:
        return "its extendedKeyUsage lacks clientAuth"
    if purposes - {CLIENT_AUTH, SERVER_AUTH}:
        return "its extendedKeyUsage allows more than TLS"
    return ""


def _dates(found: CertificateFields, _: CertificateFields, expected: Expectation) -> str:
    if expected.serial_number not in (None, found.serial_number):
        return "its serial number is not the one that was asked for"
    if expected.not_before not in (None, found.not_before) or expected.not_after not in (None, found.not_after):
        return "its dates are not those that were asked for"
    if found.not_before > expected.now + CLOCK_SKEW:
        return "it is not valid yet"
    if found.not_after <= expected.now:
        return "it has expired already"
    if expected.ends_after is not None and found.not_after <= expected.ends_after:
        return "it does not end later than the certificate that it renews"
    return ""


_RULES = (_signature, _key, _names, _profile, _dates)


def _set_of(general_names_der: bytes) -> list[bytes]:
    """The names in a fixed order: their order means nothing."""
    return sorted(each.encoded for each in read_element(general_names_der).children()) if general_names_der else []
