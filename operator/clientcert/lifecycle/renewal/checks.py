"""The checks of a request, in order. Pure: gather everything first (`Facts`), then run them.

| check            | reason if it does not pass                                                  | then    |
|------------------|-----------------------------------------------------------------------------|---------|
| SourceReadable   | why it cannot be read, IdentityMismatch, TemporaryCertificate               | waits   |
| IssuerReady      | why it cannot sign, IssuerExpired, IssuerNotYetValid                        | waits   |
| SerialUnshared   | SerialShared                                                                | waits   |
| SerialCurrent    | NotCurrent                                                                  | refused |
| InDate           | Expired, NotYetValid                                                        | refused |
| NotRevoked       | Revoked                                                                     | refused |
| NotHost          | HostCertificate                                                             | refused |
| IssuedByUs       | NotIssuedByUs                                                               | refused |
| WindowOpen       | TooEarly                                                                    | refused |
| PossessionProved | why the request cannot be read, ProofInvalid, ProofRequired, RequesterNotAllowed | refused |
| SubjectUnchanged | SubjectChanged                                                              | refused |
| EmailsUnchanged  | EmailsChanged                                                               | refused |
| KeyAllowed       | KeyNotAllowed                                                               | refused |
| Vetted           | VettingRequired                                                             | refused |
| WouldReplace     | WouldNotReplace, SpecInvalid                                                | refused |

A Reissue has no InDate, NotRevoked and EmailsUnchanged, and other rules for WindowOpen, PossessionProved,
SubjectUnchanged, KeyAllowed, Vetted and WouldReplace: a person has vetted the consumer, and approves.
"""

from collections.abc import Mapping
from types import MappingProxyType

from clientcert.lifecycle.renewal import certificate_rules, outcome_rules, request_key_rules, request_rules
from clientcert.lifecycle.renewal.check_rules import AllOf, AnyOf, Check, Need, Verdict
from clientcert.lifecycle.renewal.facts import Current, Facts, Problem
from clientcert.lifecycle.renewal.spec import Mode
from clientcert.lifecycle.renewal.status import Outcome

__all__ = ["CHECKS", "Check", "Current", "Facts", "Problem", "Verdict", "decided_by", "run_checks"]

_CURRENT = frozenset({Need.SOURCE, Need.CURRENT})
_SIGNED = _CURRENT | {Need.AUTHORITY}
_REQUEST = frozenset({Need.REQUEST})

SOURCE_READABLE = Check("SourceReadable", certificate_rules.source_readable)
ISSUER_READY = Check("IssuerReady", certificate_rules.issuer_ready)
SERIAL_UNSHARED = Check("SerialUnshared", certificate_rules.serial_unshared)
SERIAL_CURRENT = Check("SerialCurrent", certificate_rules.serial_current, frozenset({Need.SOURCE}))
IN_DATE = Check("InDate", certificate_rules.in_date, _CURRENT)
NOT_REVOKED = Check("NotRevoked", certificate_rules.not_revoked)
NOT_HOST = Check("NotHost", certificate_rules.not_host)
ISSUED_BY_US = Check("IssuedByUs", certificate_rules.issued_by_us, _SIGNED)

RENEW = (
    SOURCE_READABLE,
    ISSUER_READY,
    SERIAL_UNSHARED,
    SERIAL_CURRENT,
    IN_DATE,
    NOT_REVOKED,
    NOT_HOST,
    ISSUED_BY_US,
    Check("WindowOpen", AnyOf(outcome_rules.of_former_ca, outcome_rules.window_open), _SIGNED),
    Check(
        "PossessionProved",
        AllOf(request_rules.readable, request_rules.signed_by_its_key, request_rules.requester_allowed),
        _CURRENT,
    ),
    Check("SubjectUnchanged", request_rules.subject_unchanged, _CURRENT | _REQUEST),
    Check("EmailsUnchanged", request_rules.emails_unchanged, _CURRENT | _REQUEST),
    Check(
        "KeyAllowed",
        AllOf(
            request_key_rules.strong,
            request_key_rules.encrypts,
            request_key_rules.changed_as_asked,
            request_key_rules.nobody_elses,
        ),
        _CURRENT | _REQUEST,
    ),
    Check("Vetted", outcome_rules.vetted),
    Check("WouldReplace", AllOf(outcome_rules.ends_later, outcome_rules.matches_identity), _SIGNED),
)
REISSUE = (
    SOURCE_READABLE,
    ISSUER_READY,
    SERIAL_UNSHARED,
    SERIAL_CURRENT,
    NOT_HOST,
    ISSUED_BY_US,
    Check("WindowOpen", outcome_rules.open_to_reissue, frozenset({Need.SOURCE})),
    Check("PossessionProved", AllOf(request_rules.readable, request_rules.signed_by_its_key)),
    Check(
        "SubjectUnchanged",
        request_rules.subject_as_planned,
        frozenset({Need.SOURCE, Need.REQUEST}),
    ),
    Check(
        "KeyAllowed",
        AllOf(
            request_key_rules.strong, request_key_rules.encrypts, request_key_rules.new, request_key_rules.nobody_elses
        ),
        frozenset({Need.SOURCE, Need.REQUEST}),
    ),
    Check("Vetted", outcome_rules.vetted_anew, frozenset({Need.SOURCE})),
    Check("WouldReplace", outcome_rules.matches_identity, frozenset({Need.SOURCE, Need.AUTHORITY})),
)
CHECKS: Mapping[Mode, tuple[Check, ...]] = MappingProxyType({Mode.RENEW: RENEW, Mode.REISSUE: REISSUE})


def run_checks(facts: Facts) -> tuple[Verdict, ...]:
    """All checks that apply to the request's mode, in the order of the documentation.

    Those that need what is missing are left out: the check of what is missing waits or refuses.
    """
    missing = _missing(facts)
    return tuple([check(facts) for check in CHECKS[facts.renewal.mode] if not check.needs & missing])


def decided_by(verdicts: tuple[Verdict, ...]) -> Verdict | None:
    """The verdict that decides: the first refusal, else the first that waits; None if all passed."""
    refused = [each for each in verdicts if each.result.outcome is Outcome.REFUSED]
    waiting = [each for each in verdicts if each.result.outcome is Outcome.WAITS]
    return next(iter((*refused, *waiting)), None)


def _missing(facts: Facts) -> frozenset[Need]:
    is_read = SOURCE_READABLE(facts).result.passed
    found = {
        Need.SOURCE: is_read,
        Need.CURRENT: facts.current is not None,
        Need.AUTHORITY: ISSUER_READY(facts).result.passed,
        Need.REQUEST: facts.request is not None,
    }
    return frozenset(need for need, is_there in found.items() if not is_there)
