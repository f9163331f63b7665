"""The conditions about revocation lists. Pure.

| condition       | of                    | True        | False                                                        |
|-----------------|-----------------------|-------------|--------------------------------------------------------------|
| Listed          | CertificateRevocation | Listed      | IssuerNotFound, Ended, or why the list could not be written  |
| InCRL           | CertificateRevocation | Signed      | why there is no CRL, or no new one                           |
| RevocationLists | CertificatePolicy     | UpToDate    | why the list or the CRL of its CA could not be written       |
"""

from collections.abc import Sequence
from datetime import datetime

from clientcert.cache.revocations import ListState
from clientcert.errors import Reason
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.spec import RevocationSpec

LISTED, IN_CRL = "Listed", "InCRL"
REVOCATION_LISTS = "RevocationLists"
_ENDED = "the certificate has ended, so no list needs it any more"
_NO_ISSUER = "no CertificatePolicy of this namespace has an issuer with this name: add it to one, under issuer or trust"


def conclusions(spec: RevocationSpec, states: Sequence[ListState], now: datetime) -> tuple[Condition, ...]:
    """The conditions of a revocation, without times; none if the lists do not have it yet."""
    if spec.not_after < now:
        return (Condition(LISTED, "False", "Ended", _ENDED),)
    found = [each for each in states if (spec.issuer_dn, spec.serial_number) in each.listed]
    if not found:
        return () if any(each.is_about(spec.issuer_dn) for each in states) else (_unlisted(states),)
    problem = next((each.list_problem for each in found if each.list_problem), None)
    if problem is not None:
        return (Condition(LISTED, "False", problem.reason, problem.message), *_in_crl(spec, found))
    listed = Condition(LISTED, "True", "Listed", "the list of its CA has it until the certificate ends")
    return (listed, *_in_crl(spec, found))


def of_policy(state: ListState | None) -> Condition | None:
    """The condition of a policy about the lists of its CA; none if there are no lists."""
    if state is None or not (state.exists or state.list_problem or state.crl_problem):
        return None
    problem = state.list_problem or state.crl_problem
    if problem is not None:
        return Condition(REVOCATION_LISTS, "False", problem.reason, problem.message)
    words = "the list of revoked certificates and the CRL are up to date"
    if state.without_object:
        words += (
            f"; {state.without_object} entries have no CertificateRevocation: of deleted ones, or written by somebody"
            " who may edit the ConfigMaps"
        )
    return Condition(REVOCATION_LISTS, "True", "UpToDate", words)


def _in_crl(spec: RevocationSpec, states: Sequence[ListState]) -> tuple[Condition, ...]:
    found = next((each for each in states if each.is_crl_about(spec.issuer_dn)), None)
    if found is None:
        return ()
    if found.crl_problem is not None:
        return (Condition(IN_CRL, "False", found.crl_problem.reason, found.crl_problem.message),)
    return (Condition(IN_CRL, "True", "Signed", "the CRL of its CA has it"),)


def _unlisted(states: Sequence[ListState]) -> Condition:
    """Of a revocation whose CA is not known, perhaps only because a CA cannot be read."""
    unread = next((each.list_problem for each in states if each.list_problem and not each.issuer_dns), None)
    if unread is not None:
        return Condition(LISTED, "False", unread.reason, unread.message)
    return Condition(LISTED, "False", Reason.ISSUER_NOT_FOUND, _NO_ISSUER)
