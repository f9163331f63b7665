"""The conditions about revocation lists. Pure.

| condition       | of                    | True        | False                                                        |
|-----------------|-----------------------|-------------|--------------------------------------------------------------|
| Listed          | CertificateRevocation | Listed      | IssuerNotFound, Ended, or why the list could not be written  |
| InCRL           | CertificateRevocation | Signed      | why there is no CRL, or no new one                           |
| RevocationLists | CertificatePolicy     | UpToDate    | why the list or the CRL could not be written, or a CA read   |

Each is Unknown, ObserveOnly, if the operator would write it and only observes: another one may keep the lists.
"""

from collections.abc import Sequence
from datetime import datetime

from clientcert.api.kinds import LONGEST_WORD, cut
from clientcert.cache.revocations import FormerCrl, ListProblem, ListState
from clientcert.errors import Reason
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.spec import RevocationSpec

_MOST_FORMER = 4
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
        return (_failed(LISTED, problem), *_in_crl(spec, found))
    listed = Condition(LISTED, "True", "Listed", "the list of its CA has it until the certificate ends")
    return (listed, *_in_crl(spec, found))


def of_policy(state: ListState | None) -> Condition | None:
    """The condition of a policy about the lists of its CA; none if there are no lists."""
    if state is None:
        return None
    problem = state.list_problem or state.crl_problem or state.input_problem
    if problem is None and not state.exists:
        return None
    if problem is not None:
        return _failed(REVOCATION_LISTS, problem)
    words = "the list of revoked certificates and the CRL are up to date"
    if state.without_object:
        words += (
            f"; {state.without_object} entries have no CertificateRevocation: of deleted ones, or written by somebody"
            " who may edit the ConfigMaps"
        )
    words += "".join(map(_of_former, state.former_crls[:_MOST_FORMER]))
    return Condition(REVOCATION_LISTS, "True", "UpToDate", words)


def _of_former(crl: FormerCrl) -> str:
    """A gateway refuses the certificates of a former CA once its last CRL has ended: nobody signs another one."""
    name = f"the former CA {cut(crl.issuer_dn, LONGEST_WORD)}"
    if crl.ends is None:
        return (
            f"; Secret {crl.secret.name} has no CRL of {name}, so gateways that check CRLs refuse its certificates:"
            f" renew them, or add a CRL of it to key {crl.secret.key}"
        )
    return (
        f"; Secret {crl.secret.name} keeps the CRL of {name} until {crl.ends:%Y-%m-%d %H:%M} UTC, and then gateways"
        " that check CRLs refuse its certificates: renew them before"
    )


def _in_crl(spec: RevocationSpec, states: Sequence[ListState]) -> tuple[Condition, ...]:
    found = next((each for each in states if each.is_crl_about(spec.issuer_dn)), None)
    if found is None:
        return ()
    if found.crl_problem is not None:
        return (_failed(IN_CRL, found.crl_problem),)
    return (Condition(IN_CRL, "True", "Signed", "the CRL of its CA has it"),)


def _unlisted(states: Sequence[ListState]) -> Condition:
    """Of a revocation whose CA is not known, perhaps only because a CA cannot be read."""
    problems = (each.input_problem or (None if each.issuer_dns else each.list_problem) for each in states)
    unread = next(filter(None, problems), None)
    if unread is not None:
        return _failed(LISTED, unread)
    return Condition(LISTED, "False", Reason.ISSUER_NOT_FOUND, _NO_ISSUER)


def _failed(kind: str, problem: ListProblem) -> Condition:
    status = "Unknown" if problem.reason is Reason.OBSERVE_ONLY else "False"
    return Condition(kind, status, problem.reason, problem.message)
