"""Rules about what the consumer sent: who asks, and what must be as in the current certificate."""

from datetime import datetime
from functools import lru_cache

from clientcert.errors import Reason
from clientcert.lifecycle.renewal.certificate_rules import REISSUE
from clientcert.lifecycle.renewal.check_rules import Answer, passed, refused
from clientcert.lifecycle.renewal.facts import Facts
from clientcert.lifecycle.renewal.policy import Requester, Unchanged
from clientcert.lifecycle.renewal.subject import copied_subject, planned_names
from clientcert.pki.certificate_fields import subject_der
from clientcert.pki.name_equality import email_addresses, same_name_der
from clientcert.pki.proof import proof_problem


def readable(facts: Facts) -> Answer:
    """There is a CSR or a public key."""
    if facts.request is not None:
        return passed("")
    problem = facts.request_problem
    if problem is None:
        return refused(Reason.REQUEST_NOT_FOUND, "there is no CSR and no public key: send one")
    return refused(problem.reason, problem.message)


def signed_by_its_key(facts: Facts) -> Answer:
    """A CSR is signed by the key that it names (RFC 2986 section 3)."""
    request = facts.known_request
    if not request.csr_der:
        return passed("no CSR came, only a public key")
    if not request.signature_valid:
        words = "the CSR is not signed by its own key: make it again, with the private key that belongs to it"
        return refused(Reason.PROOF_INVALID, words)
    return passed("the CSR is signed by its own key")


def requester_allowed(facts: Facts) -> Answer:
    """The policy accepts requests of this requester. A proof that was sent must be valid, also where none is required.

    A proof makes no request worse: where the team may ask, the holder may, too.
    """
    policy = facts.policy
    if facts.renewal.proof_pem:
        problem = _proof_problem(facts)
        if problem:
            return refused(Reason.PROOF_INVALID, problem)
        return passed("the proof is by the current key, so the holder asks")
    if Requester.TEAM not in (policy.requesters or {Requester.TEAM}):
        return refused(
            Reason.REQUESTER_NOT_ALLOWED,
            "only the holder of the current certificate may ask, and there is no proof: have the consumer sign the CSR"
            " or public key with the current key (openssl cms -sign -nodetach), and add it with --proof",
        )
    if policy.proof_required:
        return refused(
            Reason.PROOF_REQUIRED,
            "the policy requires a proof by the current key: have the consumer sign the CSR or public key with it"
            " (openssl cms -sign -nodetach), and add it with --proof",
        )
    return passed("no proof is required, so the team may ask")


def requester_of(facts: Facts) -> Requester:
    """The holder, if the request has a valid proof by the current key; else the team.

    A Reissue is always the team's: the current key has expired with its certificate, or is not trusted any more.
    """
    if not facts.renewal.proves or facts.current is None or facts.request is None:
        return Requester.TEAM
    return Requester.TEAM if _proof_problem(facts) else Requester.HOLDER


def _proof_problem(facts: Facts) -> str:
    request = facts.known_request
    contents = tuple([each for each in (request.csr_der, request.public_key_info) if each])
    times = facts.current_requested, facts.created
    return _verified(facts.renewal.proof_pem, facts.known_current.der, contents, times)


@lru_cache(maxsize=32)
def _verified(
    proof_pem: str,
    certificate_der: bytes,
    contents: tuple[bytes, ...],
    times: tuple[datetime | None, datetime | None],
) -> str:
    """Several checks of one request ask it, and verify the signature once."""
    return proof_problem(proof_pem.encode(errors="replace"), certificate_der, contents, *times)


def subject_unchanged(facts: Facts) -> Answer:
    """The subject of a CSR is that of the current certificate, in any encoding (RFC 5280 section 7.1)."""
    if not facts.known_request.csr_der:
        return passed("the subject is that of the current certificate")
    is_asked_for = Unchanged.SUBJECT in facts.policy.require_unchanged
    if not is_asked_for and not copied_subject(facts.request, facts.policy):
        return passed("the subject of the CSR is not used: the certificate keeps the current one")
    return _same_subject(facts, subject_der(facts.known_current.der))


def subject_as_planned(facts: Facts) -> Answer:
    """For an issuer that copies the subject of the CSR, it is the one that the certificate is to have."""
    if not copied_subject(facts.request, facts.policy):
        return passed("the subject of a CSR is not used")
    return _same_subject(facts, planned_names(facts.current_der, facts.policy, facts.certificate).subject_der)


def _same_subject(facts: Facts, expected: bytes) -> Answer:
    request = facts.known_request
    if same_name_der(request.subject_der, expected):
        return passed("the subject is unchanged")
    asked = f'"{request.subject_dn}"' if request.subject_dn else "empty"
    current = facts.current.certificate.subject_dn if facts.current else ""
    wanted = f'that of the current certificate, "{current}"' if current else "the one that spec.identity declares"
    return refused(
        Reason.SUBJECT_CHANGED,
        f"the subject of the CSR is {asked}: have it made with {wanted}; if the subject has to change, {REISSUE}",
    )


def emails_unchanged(facts: Facts) -> Answer:
    """The technical contact's address is one of the certificate's, if that has any, and the CSR has no others.

    Addresses are compared without case: no two people share one that differs in case alone.
    """
    if Unchanged.EMAIL_ADDRESSES not in facts.policy.require_unchanged:
        return passed("the policy does not ask for unchanged e-mail addresses")
    certified = {each.casefold() for each in email_addresses(facts.known_current.der)}
    if any(each.casefold() not in certified for each in facts.known_request.emails):
        words = "the CSR has an e-mail address that the current certificate has not: have it made without"
        return refused(Reason.EMAILS_CHANGED, words)
    if not certified:
        return passed("the certificate has no e-mail address")
    if facts.contact_email.casefold() in certified:
        return passed("the technical contact's e-mail address is in the certificate")
    state = "is not among those of the certificate" if facts.contact_email else "is not known"
    return refused(
        Reason.EMAILS_CHANGED,
        f"the technical contact's e-mail address {state}: correct the contact; if it has changed, {REISSUE}",
    )
