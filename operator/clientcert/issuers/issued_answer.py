"""The answer of an outside issuer, which counts once it is verified. No I/O."""

from datetime import timedelta

from clientcert.errors import IssuerError, Reason
from clientcert.issuers.certificate_request import CORRECT_AND_ASK_ANEW
from clientcert.issuers.interface import CreateRequest
from clientcert.pki.certificate_fields import CertificateFields, read_fields
from clientcert.pki.der import MalformedError
from clientcert.pki.issuance import requested_key
from clientcert.pki.name_equality import same_name_der
from clientcert.pki.pem import TooManyBlocksError, read_blocks
from clientcert.pki.pem_writer import pem
from clientcert.pki.signatures import is_issued_by
from clientcert.pki.verification import Expectation, verify_issued

_LONGEST_CHAIN = 8
_MOST_CERTIFICATES = 16
_TOLERATED = timedelta(days=1)
"""Issuers backdate, or round to days: so much longer than asked for may a certificate be valid."""


def lifetime(request: CreateRequest) -> timedelta:
    """For how long the certificate shall be valid. Raises IssuerError if the write-ahead is not of such an issuer."""
    begins, ends = request.issuance.not_before, request.issuance.not_after
    if begins is None or ends is None:
        raise IssuerError(Reason.ISSUANCE_CHANGED, "The issuer of the policy was changed since this was planned.")
    return ends - begins


def verified(answer: bytes, request: CreateRequest, authority: tuple[CertificateFields, ...], title: str) -> str:
    """The new certificate and its chain as PEM, without the root; the CA's own certificate is the first of `authority`.

    Raises IssuerError if it is not what was asked for.
    """
    plan = request.plan
    certificates = _certificates(answer)
    key = requested_key(plan.request_pem)
    leaf = next((each for each in certificates if each.public_key_info == key), None)
    if leaf is None:
        raise _not_as_asked(title, "it certifies another key" if certificates else "it cannot be read")
    problem = verify_issued(
        leaf.der,
        Expectation(
            authority_der=authority[0].der,
            public_key_info=key,
            subject_der=plan.subject_der,
            alternative_names_der=plan.alternative_names_der,
            now=plan.now,
            ends_after=plan.ends_after,
            same_name=same_name_der,
        ),
    )
    if problem:
        raise _not_as_asked(title, problem)
    if leaf.not_after - leaf.not_before > lifetime(request) + _TOLERATED:
        raise _not_as_asked(title, "it is valid for longer than the policy allows")
    chain = _chain(leaf, authority[0], (*authority[1:], *certificates))
    return "".join(pem("CERTIFICATE", each.der) for each in (leaf, *chain))


def _certificates(content: bytes) -> list[CertificateFields]:
    """The certificates of a PEM; one that cannot be read is left out."""
    try:
        blocks = read_blocks(content)
    except TooManyBlocksError:
        return []
    found = []
    for block in blocks[:_MOST_CERTIFICATES]:
        try:
            found.append(read_fields(block.der or b""))
        except MalformedError:
            continue
    return found


def _chain(
    leaf: CertificateFields, authority: CertificateFields, others: tuple[CertificateFields, ...]
) -> list[CertificateFields]:
    """The CA and those above it, the nearest first, without a root."""
    chain, last = [leaf], authority
    while not last.is_self_issued and len(chain) < _LONGEST_CHAIN:
        chain.append(last)
        above = next((each for each in others if each not in chain and _is_above(each, last)), None)
        if above is None:
            break
        last = above
    return chain[1:]


def _is_above(issuer: CertificateFields, certificate: CertificateFields) -> bool:
    return issuer.subject_der == certificate.issuer_der and is_issued_by(certificate.der, issuer.der)


def _not_as_asked(title: str, problem: str) -> IssuerError:
    return IssuerError(
        Reason.CERTIFICATE_REFUSED,
        f"The certificate of {title} is not handed out, because {problem}. {CORRECT_AND_ASK_ANEW}.",
    )
