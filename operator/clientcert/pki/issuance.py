"""Issues a client certificate by a CA's own key: the to-be-signed octets (RFC 5280), and the signature.

The octets are written here, and not by a library, for two reasons. Subject and subjectAltName are those of the old
certificate byte for byte, in whatever encoding. And the same content always gives the same octets, with any version of
any library: after a crash exactly what the write-ahead names is made again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clientcert.errors import IssuerError, Reason
from clientcert.pki import x509_writer
from clientcert.pki.authority import CertificateAuthority
from clientcert.pki.certificate_fields import (
    BASIC_CONSTRAINTS,
    CLIENT_AUTH,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    SUBJECT_ALTERNATIVE_NAME,
    SUBJECT_KEY_IDENTIFIER,
)
from clientcert.pki.der import (
    CONTEXT_0,
    OBJECT_IDENTIFIER,
    SEQUENCE,
    SET,
    Element,
    MalformedError,
    read_element,
)
from clientcert.pki.der_writer import element, integer, object_identifier, octet_string, sequence
from clientcert.pki.names import LONGEST_NAME
from clientcert.pki.pem import TooManyBlocksError, read_blocks
from clientcert.pki.public_keys import read_public_key, write_public_key
from clientcert.pki.structure import Kind, kind_of

SERIAL_NUMBER_BITS = 159
"""As many random bits as 20 octets hold without a sign (RFC 5280 section 4.1.2.2)."""
BACKDATED = timedelta(minutes=5)
"""For clocks that are slow."""

_VERSION_3 = element(CONTEXT_0, integer(2))
_EMPTY = b"\x30\0"
_DIGITAL_SIGNATURE = b"\x03\x02\x07\x80"
"""A KeyUsage with its first bit alone (X.690 section 11.2.2)."""
_CA_FALSE = _EMPTY
"""BasicConstraints whose cA has its default."""


@dataclass(frozen=True, slots=True)
class CertificateContent:
    """Everything about a certificate that its CA does not determine."""

    serial_number: int
    not_before: datetime
    not_after: datetime
    subject_der: bytes = field(repr=False)
    """A Name, as it goes into the certificate."""
    public_key_info: bytes = field(repr=False)
    """SubjectPublicKeyInfo, DER."""
    alternative_names_der: bytes = field(default=b"", repr=False)
    """GeneralNames, as they go into the certificate; empty: none."""
    alternative_names_critical: bool = False


def new_serial_number(random_bits: Callable[[int], int]) -> int:
    """A positive serial number; `random_bits` returns that many bits of a cryptographic random source."""
    return random_bits(SERIAL_NUMBER_BITS) or 1


def validity(authority: CertificateAuthority, validity_days: int, now: datetime) -> tuple[datetime, datetime]:
    """NotBefore and notAfter in whole seconds, both inside of the CA's own. Raises IssuerError if that is over."""
    authority.require_valid_at(now)
    whole = now.replace(microsecond=0)
    not_before = max(whole - BACKDATED, authority.certificate.not_before)
    return not_before, min(whole + timedelta(days=validity_days), authority.certificate.not_after)


def requested_key(request_pem: str) -> bytes:
    """The SubjectPublicKeyInfo of a CSR or a public key, in its canonical encoding; all else in a CSR is ignored.

    The PEM is as `KeyRequest.pem` writes it, so no leniency is needed. Raises IssuerError.
    """
    try:
        (block,) = read_blocks(request_pem.encode())
        found = read_element(block.der or b"")
        if kind_of(found.encoded) is Kind.CERTIFICATE_REQUEST:
            found = found.fields(1)[0].fields(3)[2]
        return write_public_key(read_public_key(found.encoded))
    except (ValueError, TooManyBlocksError):
        raise IssuerError(
            Reason.ISSUANCE_REFUSED, "The requested public key cannot be read: ask for another CSR or public key."
        ) from None


def build_tbs(content: CertificateContent, authority: CertificateAuthority) -> bytes:
    """The TBSCertificate, version 3. The same content and CA give the same octets. Raises IssuerError."""
    _require_names(content)
    extensions = [
        x509_writer.extension(BASIC_CONSTRAINTS, _CA_FALSE, critical=True),
        x509_writer.extension(KEY_USAGE, _DIGITAL_SIGNATURE, critical=True),
        x509_writer.extension(EXTENDED_KEY_USAGE, sequence(object_identifier(CLIENT_AUTH))),
        x509_writer.extension(
            SUBJECT_KEY_IDENTIFIER, octet_string(x509_writer.key_identifier(content.public_key_info))
        ),
        x509_writer.authority_key_identifier(authority.key_identifier),
    ]
    if content.alternative_names_der:
        # Without a subject it must be critical (RFC 5280 section 4.2.1.6).
        critical = content.alternative_names_critical or content.subject_der == _EMPTY
        names = x509_writer.extension(SUBJECT_ALTERNATIVE_NAME, content.alternative_names_der, critical=critical)
        extensions.append(names)
    return sequence(
        _VERSION_3,
        x509_writer.serial_number(content.serial_number),
        authority.algorithm_der,
        authority.certificate.subject_der,
        sequence(x509_writer.time(content.not_before), x509_writer.time(content.not_after)),
        content.subject_der,
        content.public_key_info,
        element(CONTEXT_0 + 3, sequence(*extensions)),
    )


def sign_tbs(tbs_der: bytes, authority: CertificateAuthority) -> bytes:
    """The certificate (DER). Raises IssuerError."""
    return x509_writer.signed(tbs_der, authority.algorithm_der, authority.sign(tbs_der))


def _require_names(content: CertificateContent) -> None:
    """Raise IssuerError unless both names are DER: other octets could be read as other fields of the certificate."""
    if not _is_name(content.subject_der):
        raise IssuerError(
            Reason.ISSUANCE_REFUSED,
            "The subject of the old certificate is not DER (X.690), so no new one can repeat it: ask for a reissue.",
        )
    if content.alternative_names_der and not _is_general_names(content.alternative_names_der):
        raise IssuerError(
            Reason.ISSUANCE_REFUSED,
            "The subjectAltName of the old certificate is malformed, so no new one can repeat it: ask for a reissue.",
        )
    if content.subject_der == _EMPTY and not content.alternative_names_der:
        raise IssuerError(
            Reason.ISSUANCE_REFUSED,
            "The certificate would have neither a subject nor a subjectAltName: declare a name in spec.identity.",
        )


def _is_name(der: bytes) -> bool:
    """True for a Name of separate attributes (RFC 5280 section 4.1.2.4), whatever the octets of their values are."""
    try:
        name = read_element(der)
        if len(der) > LONGEST_NAME or name.end != len(der) or not _is_der(name, SEQUENCE):
            return False
        for rdn in name.children():
            for attribute in rdn.children():
                oid, value = attribute.children()
                oid.object_identifier()
                is_sound = _is_der(attribute, SEQUENCE) and _is_der(oid, OBJECT_IDENTIFIER) and _is_der(value)
                if not is_sound:
                    return False
            if not _is_der(rdn, SET):
                return False
    except (MalformedError, ValueError):
        return False
    return True


def _is_general_names(der: bytes) -> bool:
    """True for a sequence of context-specific elements (RFC 5280 section 4.2.1.6)."""
    try:
        names = read_element(der)
        children = list(names.children())
    except MalformedError:
        return False
    is_whole = names.end == len(der) and _is_der(names, SEQUENCE)
    return is_whole and bool(children) and all(each.tag & 0xC0 == 0x80 and _is_der(each) for each in children)


def _is_der(found: Element, tag: int | None = None) -> bool:
    """True if tag and length are as DER writes them (X.690 section 10.1): neither indefinite nor too long."""
    return found.tag == (tag or found.tag) and found.encoded == element(found.tag, found.content)
