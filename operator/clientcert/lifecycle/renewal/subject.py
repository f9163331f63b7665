"""The names of the new certificate: those of the current one, byte for byte, or what spec and policy declare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from clientcert.errors import CertificateError, Reason
from clientcert.lifecycle.renewal.policy import CertManagerIssuer, RenewalPolicy
from clientcert.lifecycle.spec import CertificateSpec
from clientcert.pki.alternative_names import Names
from clientcert.pki.certificate_fields import SUBJECT_ALTERNATIVE_NAME, alternative_names, subject_der
from clientcert.pki.der import CONTEXT_0
from clientcert.pki.der_writer import element, sequence
from clientcert.pki.identity import Field
from clientcert.pki.key_request import KeyRequest
from clientcert.pki.lenient import read_outline
from clientcert.pki.x509_writer import extension, serial_number, time

_ATTRIBUTES = {
    "country": NameOID.COUNTRY_NAME,
    "stateOrProvince": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
}
_ALTERNATIVES: Mapping[Field, Callable[[str], x509.GeneralName]] = {
    Field.DNS_NAME: x509.DNSName,
    Field.URI: x509.UniformResourceIdentifier,
    Field.EMAIL_ADDRESS: x509.RFC822Name,
}


@dataclass(frozen=True, slots=True)
class PlannedNames:
    """The names that the new certificate is to have."""

    subject_der: bytes = field(repr=False)
    """Name."""
    alternative_names_der: bytes = field(default=b"", repr=False)
    """The value of subjectAltName (GeneralNames); empty: none."""
    critical: bool = False
    """True if that extension is critical."""


def planned_names(current_der: bytes | None, policy: RenewalPolicy, certificate: CertificateSpec) -> PlannedNames:
    """The names of the current certificate; of a consumer's first, those that are declared.

    Raises CertificateError (SpecInvalid) if what is declared fits into no certificate, and MalformedError if the
    current certificate cannot be read.
    """
    if current_der is not None:
        return PlannedNames(subject_der(current_der), *alternative_names(current_der))
    return first_names(certificate, policy)


def copied_subject(request: KeyRequest | None, policy: RenewalPolicy) -> bytes:
    """The subject of the consumer's CSR, if the issuer copies it; empty: the certificate gets the planned one."""
    is_copied = request is not None and request.csr_der and isinstance(policy.issuer, CertManagerIssuer)
    return request.subject_der if request is not None and is_copied else b""


def first_names(certificate: CertificateSpec, policy: RenewalPolicy) -> PlannedNames:
    """The policy's subject with the CN `identity.commonName`, else the consumer; and the SAN that `identity` declares.

    Raises CertificateError (SpecInvalid).
    """
    declared = dict(certificate.identity.fields)
    attributes = [
        (_ATTRIBUTES[name], value.replace("{consumer}", certificate.consumer)) for name, value in policy.subject
    ]
    attributes.append((NameOID.COMMON_NAME, declared.get(Field.COMMON_NAME, certificate.consumer)))
    try:
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
        names = [make(declared[kind]) for kind, make in _ALTERNATIVES.items() if kind in declared]
        san = x509.SubjectAlternativeName(names).public_bytes() if names else b""
        return PlannedNames(subject.public_bytes(), san)
    except ValueError:
        raise CertificateError(
            Reason.SPEC_INVALID,
            "spec.renewal.subject of the policy and spec.identity make no subject of RFC 5280: a CN has at most 64"
            " characters, a country two letters, and DNS names, URIs and e-mail addresses are ASCII",
        ) from None


def names_of(planned: PlannedNames, issuer_der: bytes, now: datetime) -> Names:
    """The names as the parser will read them from the new certificate, whose issuer is this Name."""
    extensions = b""
    if planned.alternative_names_der:
        san = extension(SUBJECT_ALTERNATIVE_NAME, planned.alternative_names_der)
        extensions = element(CONTEXT_0 + 3, sequence(san))
    validity = sequence(time(now), time(now))
    nothing = sequence()
    version = element(CONTEXT_0, serial_number(2))
    fields = (version, serial_number(1), nothing, issuer_der, validity, planned.subject_der, nothing, extensions)
    return Names(read_outline(sequence(sequence(*fields))))
