"""Several CRLs in one PEM file, as OpenSSL and nginx read it: the CRL of one CA, then those of others.

nginx wants a CRL of each CA in the chain of a certificate. Without that of a former CA it refuses all its certificates.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from clientcert.pki.pem import read_blocks
from clientcert.pki.pem_writer import pem
from clientcert.pki.strict import PROCESS_EXITS

LABEL = "X509 CRL"


@dataclass(frozen=True, slots=True)
class OtherCrl:
    """The CRL of another CA."""

    issuer_dn: str
    next_update: datetime | None
    """None: it has no end."""


@dataclass(frozen=True, slots=True)
class CrlBundle:
    """The file."""

    content: bytes = field(repr=False)
    others: tuple[OtherCrl, ...]


@dataclass(frozen=True, slots=True)
class _Crl:
    der: bytes = field(repr=False)
    issuer_der: bytes
    key_id: bytes
    about: OtherCrl

    def is_replaced_by(self, other: "_Crl") -> bool:
        """True if the other one is of the same CA: a CA of the same name with another key is not."""
        same_key = not self.key_id or not other.key_id or self.key_id == other.key_id
        return self.issuer_der == other.issuer_der and same_key


def with_others(crl_der: bytes, before: bytes, now: datetime) -> CrlBundle:
    """The file with `crl_der` in place of that CA's last CRL, and without CRLs of other CAs that have ended.

    Blocking. Raises TooManyBlocksError, and ValueError if `crl_der` is no CRL.
    """
    own, made = _read(crl_der), list[_Crl]()
    for each in _crls(before):
        found = own if each.is_replaced_by(own) else each
        is_needed = found is own or not _has_ended(found.about, now)
        made += [found] if is_needed and all(found.der != other.der for other in made) else []
    made = made if own in made else [own, *made]  # each keeps its place: two CAs may take turns at one Secret
    text = "".join(pem(LABEL, each.der) for each in made)
    return CrlBundle(text.encode(), tuple(each.about for each in made if each is not own))


def _has_ended(crl: OtherCrl, now: datetime) -> bool:
    return crl.next_update is not None and crl.next_update <= now


def _crls(content: bytes) -> Iterator[_Crl]:
    """The CRLs of a file; what cannot be read is left out, since nginx would refuse the whole file."""
    for block in read_blocks(content):
        if block.label == LABEL and block.der is not None:
            try:
                yield _read(block.der)
            except ValueError:
                continue


def _read(der: bytes) -> _Crl:
    try:
        found = x509.load_der_x509_crl(der)
        about = OtherCrl(found.issuer.rfc4514_string(), found.next_update_utc)
        keys = [each.value for each in found.extensions if isinstance(each.value, x509.AuthorityKeyIdentifier)]
        key_id = next((each.key_identifier or b"" for each in keys), b"")
        return _Crl(der, found.issuer.public_bytes(), key_id, about)
    except PROCESS_EXITS:
        raise
    except BaseException:  # noqa: BLE001 - panics of the library are one
        raise ValueError("this is no CRL") from None
