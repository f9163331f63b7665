"""Rules about the time of a request, the vetting behind it, and the certificate that would come out."""

from dataclasses import replace
from datetime import date, datetime

from clientcert.errors import Reason
from clientcert.lifecycle.renewal.certificate_rules import REISSUE, is_of_former_ca
from clientcert.lifecycle.renewal.check_rules import Answer, passed, refused
from clientcert.lifecycle.renewal.facts import Facts
from clientcert.lifecycle.renewal.subject import copied_subject, names_of, planned_names
from clientcert.lifecycle.renewal.vetting import vetting_problem, vetting_record_problem
from clientcert.lifecycle.renewal.window import days_after, renewal_window
from clientcert.pki.alternative_names import Names
from clientcert.pki.certificate_fields import subject_der
from clientcert.pki.identity import Field, Identity
from clientcert.pki.lenient import read_outline


def of_former_ca(facts: Facts) -> Answer:
    """A former CA issued the certificate: it may always be renewed."""
    if facts.current is not None and is_of_former_ca(facts.current.der, facts.authority_ders):
        return passed("the certificate is of a former CA, so it may be renewed at any time")
    return refused(Reason.TOO_EARLY, "the certificate is of the CA that signs now")


def window_open(facts: Facts) -> Answer:
    """The window of the policy has opened."""
    window = renewal_window(facts.known_current.certificate, facts.policy, facts.start_days_before)
    opens = f"{window.opens:%Y-%m-%d %H:%M} UTC"
    if facts.now < window.opens:
        return refused(Reason.TOO_EARLY, f"the certificate may be renewed from {opens} on: ask again then")
    return passed(f"the certificate may be renewed since {opens}")


def open_to_reissue(facts: Facts) -> Answer:
    """The certificate is expired, revoked or refused, or the source holds none."""
    if facts.current is None and facts.last_known is None:
        return passed("it is the consumer's first certificate")
    if facts.expired:
        return passed("the certificate has expired")
    if facts.revoked is not None:
        return passed("the certificate is revoked")
    if facts.refused_time is not None:
        return passed("a request to renew the certificate was refused")
    if facts.current is None:
        return passed("the source has lost the certificate")
    words = "mode Reissue is for a certificate that is expired, revoked or refused: ask with mode Renew"
    return refused(Reason.TOO_EARLY, words)


def vetted(facts: Facts) -> Answer:
    """The last vetting is recent enough, if the policy asks for one."""
    problem = vetting_problem(facts.vetting_date, facts.policy, facts.now)
    if problem:
        words = f"{problem}: vet the consumer, and record it with clientcert vet"
        return refused(Reason.VETTING_REQUIRED, words)
    if facts.policy.max_vetting_age_days is None:
        return passed("the policy asks for no vetting")
    return passed(f"the consumer was vetted on {facts.vetting_date}")


def vetted_anew(facts: Facts) -> Answer:
    """There was a vetting since the certificate expired, was revoked or was refused, whatever the policy says."""
    problem = vetting_record_problem(facts.vetting_date, facts.policy, facts.now)
    since = _vetting_since(facts)
    if not problem and facts.vetting_date is not None and since is not None and facts.vetting_date < since:
        problem = f"the vetting of {facts.vetting_date} was before the certificate expired or was refused or revoked"
    if problem:
        words = f"{problem}: vet the consumer, and record it with clientcert vet"
        return refused(Reason.VETTING_REQUIRED, words)
    return passed(f"the consumer was vetted on {facts.vetting_date}")


def _vetting_since(facts: Facts) -> date | None:
    """The day from which a vetting counts for a Reissue; None: any."""
    moments = [facts.refused_time, facts.revocation_time if facts.revoked is not None else None]
    if facts.expired:
        moments.append(facts.ends)
    return max((each.date() for each in moments if each is not None), default=None)


def ends_later(facts: Facts) -> Answer:
    """The new certificate ends later than the current one, though never later than the CA."""
    current = facts.known_current.certificate.not_after
    if planned_end(facts) > current:
        return passed("the new certificate ends later")
    words = f"the new certificate would not end later than the current one, which ends on {current:%Y-%m-%d %H:%M} UTC"
    if facts.authority_not_after is not None and facts.authority_not_after <= current:
        return refused(Reason.WOULD_NOT_REPLACE, f"{words}: the CA ends before; renew the CA first")
    return refused(Reason.WOULD_NOT_REPLACE, f"{words}: raise spec.renewal.validityDays, or ask again later")


def planned_end(facts: Facts) -> datetime:
    """The notAfter of a certificate that is issued now: after the policy's validity, or with the CA."""
    end = days_after(facts.now, facts.policy.validity_days)
    return end if facts.authority_not_after is None else min(end, facts.authority_not_after)


def matches_identity(facts: Facts) -> Answer:
    """The new certificate has the declared identity, issuer included: else alerts for the old one would go on.

    A CSR whose subject is copied may differ from the current one in case and spaces, but the identity is exact.
    """
    planned = planned_names(facts.current_der, facts.policy, facts.certificate)
    copied = copied_subject(facts.request, facts.policy)
    planned = replace(planned, subject_der=copied or planned.subject_der)
    names = names_of(planned, subject_der(facts.authority_ders[0]), facts.now)
    differences = facts.certificate.identity.differences(names)
    if not differences:
        return passed("the new certificate has the declared identity")
    if facts.certificate.identity.names_issuer and len(differences) == 1 and differences[0][0] == "issuerDN":
        words = (
            f'the new certificate would not count: spec.identity.issuerDN is "{differences[0][1]}", and its issuer'
            f' would be "{names.certificate.issuer_dn}". Declare that one, or remove spec.identity.issuerDN'
        )
        return refused(Reason.WOULD_NOT_REPLACE, words)
    of_csr = "have the CSR made with these names, in the same upper and lower case; or " if copied else ""
    words = (
        f"the new certificate would not count, because spec.identity declares {_in_words(differences)}, and its subject"
        f' would be "{names.certificate.subject_dn}": {of_csr}correct spec.identity, or for a first certificate'
        f" spec.renewal.subject of the policy; if the names have to change, {REISSUE}"
    )
    return refused(Reason.WOULD_NOT_REPLACE, words)


def issued_problem(certificate_der: bytes, identity: Identity) -> str:
    """The difference between a certificate that was issued and the declared identity, and what to do; empty: none."""
    names = Names(read_outline(certificate_der))
    differences = identity.differences(names)
    if not differences:
        return ""
    return (
        f'spec.identity declares {_in_words(differences)}, and its subject is "{names.certificate.subject_dn}", its'
        f' issuer "{names.certificate.issuer_dn}": have the issuer keep the names of the request as they are'
    )


def _in_words(differences: tuple[tuple[Field, str], ...]) -> str:
    return ", ".join(f'{name} "{value}"' for name, value in differences)
