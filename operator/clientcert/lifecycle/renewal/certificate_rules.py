"""Rules about the current certificate, its source and its CA."""

from collections.abc import Sequence
from functools import lru_cache

from clientcert.errors import IssuerError, Reason
from clientcert.lifecycle.renewal.check_rules import Answer, passed, refused, waits
from clientcert.lifecycle.renewal.facts import Current, Facts
from clientcert.lifecycle.renewal.source_problems import UNREADABLE
from clientcert.lifecycle.source_gap import NOTHING_THERE, TEMPORARY, is_temporary
from clientcert.lifecycle.spec import HOST
from clientcert.pki.alternative_names import Names
from clientcert.pki.authority import require_in_date
from clientcert.pki.certificate_fields import CertificateFields, read_fields
from clientcert.pki.der import MalformedError, read_element
from clientcert.pki.identity import Field, Identity
from clientcert.pki.lenient import read_outline
from clientcert.pki.name_equality import same_name_der
from clientcert.pki.signature_verification import UnsupportedSignatureError, is_signed, read_scheme

REISSUE = "have the consumer vetted (clientcert vet), and ask again with mode Reissue"
"""The way back after a refusal."""
_IF_LOST = "; or if it is lost, have the consumer vetted, and ask again with mode Reissue and without a serial number"


def source_readable(facts: Facts) -> Answer:
    """The source holds a certificate of the consumer; if the request names none, it may hold nothing."""
    problem, current = facts.source_problem, facts.current
    if problem is not None:
        if problem.reason not in NOTHING_THERE:
            return waits(problem.reason, problem.message)
        if facts.is_first:
            return passed("the source holds no certificate")
        return waits(problem.reason, f"{problem.message.rstrip('.')}{_IF_LOST}")
    beside = facts.request_problem
    if facts.renewal.reuse and beside is not None and beside.reason in UNREADABLE:
        return waits(beside.reason, f"the CSR beside the source: {beside.message}")
    if current is None:
        if facts.is_first:
            return passed("the source holds no certificate")
        return waits(Reason.SOURCE_NOT_FOUND, f"the source holds no certificate: put the current one there{_IF_LOST}")
    if is_temporary(current.certificate):
        return waits(Reason.TEMPORARY_CERTIFICATE, f"the source holds {TEMPORARY}")
    if _is_somebody_elses(current, facts.certificate.identity):
        words = current.certificate.identity_mismatch or "a certificate of another identity than spec.identity declares"
        return waits(Reason.IDENTITY_MISMATCH, f"the source holds {words}")
    return passed("the source holds the consumer's certificate")


def _is_somebody_elses(current: Current, identity: Identity) -> bool:
    """True if another name is declared; the issuer may be another, as `identity.issuerDN` may name the next CA."""
    differences = identity.differences(Names(read_outline(current.der)))
    return any(field is not Field.ISSUER_DN for field, _ in differences)


def issuer_ready(facts: Facts) -> Answer:
    """The issuer can sign, and its CA is in date."""
    if facts.issuer_problem is not None:
        return waits(facts.issuer_problem.reason, facts.issuer_problem.message)
    if not facts.authority_ders or facts.authority_not_before is None or facts.authority_not_after is None:
        return waits(Reason.ISSUER_NOT_FOUND, "the issuer has no CA certificate: correct spec.renewal.issuer")
    try:
        require_in_date(facts.authority_not_before, facts.authority_not_after, facts.now)
    except IssuerError as error:
        return waits(error.reason, error.message)
    return passed("the issuer is ready")


def serial_unshared(facts: Facts) -> Answer:
    """No other ClientCertificate of the namespace has the same certificate.

    It waits: a refusal would let anybody who may create one end a neighbour's renewal, since certificates are public.
    """
    if not facts.sharing_serial:
        return passed("no other ClientCertificate has this serial number")
    names = ", ".join(sorted(facts.sharing_serial)[:5])
    more = " and others" if len(facts.sharing_serial) > 5 else ""
    return waits(
        Reason.SERIAL_SHARED,
        f"ClientCertificate {names}{more} declares the same certificate: delete one of them, or give each its own",
    )


def serial_current(facts: Facts) -> Answer:
    """The certificate that the request names is the one in the source."""
    asked = facts.renewal.serial_number
    if facts.current is None and facts.last_known is not None:
        words = f"the source lost the certificate with serial number {facts.last_known.serial_number}"
        return passed(f"{words}, which is replaced")
    if facts.current is None:
        return passed("it is the consumer's first certificate")
    current = f"{facts.current.certificate.serial_number:x}"
    if not asked:
        return refused(
            Reason.NOT_CURRENT,
            f"the source holds a certificate already, with serial number {current}: name it in spec.serialNumber",
        )
    if _number(asked) != facts.current.certificate.serial_number:
        return refused(
            Reason.NOT_CURRENT,
            f"the source holds the certificate with serial number {current}, not the one that is asked for:"
            " ask for that one, if it is to be renewed",
        )
    return passed(f"the source holds the certificate with serial number {current}")


def in_date(facts: Facts) -> Answer:
    """The current certificate is valid now; its last second belongs to it (RFC 5280 section 4.1.2.5)."""
    certificate = facts.known_current.certificate
    if facts.expired:
        return refused(Reason.EXPIRED, f"the certificate has expired: {REISSUE}")
    if facts.now < certificate.not_before:
        words = f"the certificate is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC: ask again then"
        return refused(Reason.NOT_YET_VALID, words)
    return passed(f"the certificate is valid until {certificate.not_after:%Y-%m-%d %H:%M} UTC")


def not_revoked(facts: Facts) -> Answer:
    """The current certificate is not revoked."""
    if facts.revoked is not None:
        return refused(Reason.REVOKED, f"the certificate is revoked ({facts.revoked}): {REISSUE}, and with a new key")
    return passed("the certificate is not revoked")


def not_host(facts: Facts) -> Answer:
    """It is a client's certificate."""
    if facts.certificate.profile == HOST:
        words = "a host certificate is not renewed here: request a new one each time, from whoever issues them"
        return refused(Reason.HOST_CERTIFICATE, words)
    return passed("it is a client certificate")


def issued_by_us(facts: Facts) -> Answer:
    """The current certificate is signed by the CA, or directly by a former one."""
    der = facts.known_current.der
    if is_issued_by(der, facts.authority_ders[0]):
        return passed("the issuer's CA issued the certificate")
    if is_of_former_ca(der, facts.authority_ders):
        return passed("a CA in spec.renewal.trust issued the certificate")
    return refused(
        Reason.NOT_ISSUED_BY_US,
        "neither the issuer's CA nor one in spec.renewal.trust issued the certificate: add its CA to trust if it was"
        " ours, or put the consumer's own certificate into the source",
    )


def is_of_former_ca(certificate_der: bytes, authority_ders: Sequence[bytes]) -> bool:
    """True if one of the former CAs, but not the first, which signs now, issued the certificate.

    A CA whose certificate was renewed with the same key is the same CA.
    """
    if not authority_ders or is_issued_by(certificate_der, authority_ders[0]):
        return False
    return any(is_issued_by(certificate_der, each) for each in authority_ders[1:])


@lru_cache(maxsize=64)
def is_issued_by(certificate_der: bytes, authority_der: bytes) -> bool:
    """True if the certificate is directly signed by this CA, and names it, in any encoding of the name.

    A CA without basicConstraints counts as one, as those of X.509 version 1 have none. False if one cannot be read.
    Several checks of one request ask it, and verify the signature once.
    """
    try:
        certificate, authority = read_fields(certificate_der), read_fields(authority_der)
        if not _may_sign(authority) or not same_name_der(certificate.issuer_der, authority.subject_der):
            return False
        if certificate.algorithm_der != certificate.inner_algorithm_der:
            return False
        scheme = read_scheme(read_element(certificate.algorithm_der))
    except (MalformedError, UnsupportedSignatureError):
        return False
    return is_signed(authority.public_key_info, scheme, certificate.signature, certificate.tbs_der)


def _may_sign(authority: CertificateFields) -> bool:
    return authority.is_authority or authority.extension("2.5.29.19") is None


def _number(serial_number: str) -> int | None:
    try:
        return int(serial_number, 16)
    except ValueError:
        return None
