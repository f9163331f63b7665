"""Compares a CSR with the profile: a client certificate of one subject, and nothing more. No I/O.

An issuer that copies the extensions of a CSR would sign whatever it asks for.
"""

from clientcert.errors import CertificateError
from clientcert.issuers.certificate_request import refused
from clientcert.issuers.interface import PlanRequest
from clientcert.pki.der import CONTEXT_0, SEQUENCE, Element, MalformedError, read_element
from clientcert.pki.name_equality import same_name_der
from clientcert.pki.pem import TooManyBlocksError, read_blocks
from clientcert.pki.requested_extensions import SUBJECT_ALTERNATIVE_NAME, all_words, read_requested
from clientcert.pki.structure import Kind, kind_of

_ALLOWED = frozenset(
    {"basicConstraints CA:FALSE", "keyUsage digitalSignature", "extendedKeyUsage clientAuth", "subjectKeyIdentifier"}
)
_SHOWN = 3


def check_csr(plan: PlanRequest) -> None:
    """Raise IssuerError unless the request is a CSR that asks for exactly what the certificate shall say."""
    subject, extensions = _read_csr(plan.request_pem)
    names = extensions.pop(SUBJECT_ALTERNATIVE_NAME, None)
    too_much = [each for each in all_words(extensions) if each not in _ALLOWED]
    if too_much:
        words = f"The CSR asks for more than a client certificate ({', '.join(too_much[:_SHOWN])})"
        raise refused(f"{words}, and cert-manager would copy it: ask the consumer for a CSR without that.")
    if not same_name_der(subject, plan.subject_der):
        raise refused("The CSR has another subject than the certificate shall have: ask the consumer for one with it.")
    if _general_names(names.content if names is not None else b"") != _general_names(plan.alternative_names_der):
        what = "the subjectAltName of the current certificate" if plan.alternative_names_der else "no subjectAltName"
        raise refused(f"cert-manager takes subjectAltName from the CSR: ask the consumer for one with {what}.")


def asks_for(request_pem: str, subject_der: bytes, alternative_names_der: bytes) -> bool:
    """True if a CSR has exactly these names, octet for octet, as the operator writes them. Raises IssuerError."""
    subject, extensions = _read_csr(request_pem)
    names = extensions.get(SUBJECT_ALTERNATIVE_NAME)
    return (subject, names.content if names is not None else b"") == (subject_der, alternative_names_der)


def _general_names(value: bytes) -> list[bytes]:
    """The names of a GeneralNames in a fixed order, as their order means nothing."""
    if not value:
        return []
    try:
        names = read_element(value)
        if names.tag != SEQUENCE or names.end != len(value):
            raise MalformedError("not GeneralNames alone")
        return sorted(each.encoded for each in names.children())
    except MalformedError:
        raise refused("The subjectAltName of the CSR is malformed: ask the consumer for another CSR.") from None


def _read_csr(request_pem: str) -> tuple[bytes, dict[str, Element]]:
    """Subject and requested extensions."""
    try:
        (block,) = read_blocks(request_pem.encode())
        if block.der is None or kind_of(block.der) is not Kind.CERTIFICATE_REQUEST:
            raise MalformedError("not a CSR")
        _version, subject, _key, *rest = read_element(block.der).fields(1)[0].readable_children(4)
        extensions = read_requested(rest[0]) if rest and rest[0].tag == CONTEXT_0 else {}
    except (MalformedError, TooManyBlocksError, CertificateError, ValueError):
        words = "cert-manager signs certification requests (CSR), and this is none: ask the consumer for one."
        raise refused(words) from None
    return subject.encoded, extensions
