"""The state of the renewal of a certificate, for `status.renewal` and the condition Renewable.

Messages hold dates that stay true, so that a status is written only when something happens. Reasons:

| reason          | when                                                                      | Renewable |
|-----------------|---------------------------------------------------------------------------|-----------|
| NotConfigured   | the policy has no renewal                                                 | False     |
| HostCertificate | it is a server's certificate                                              | False     |
| Requested       | a request is checked, or waits for an approval                            | as below  |
| InProgress      | a request is approved: it is signed, delivered and stored                 | as below  |
| NoCertificate   | no certificate was ever read                                              | False     |
| Revoked         | the certificate is revoked                                                | False     |
| Expired         | the certificate has expired                                               | False     |
| Refused, Denied | the last request about this certificate was, and there is none since      | as below  |
| Renewed         | the certificate, or its successor, was delivered by a request             | as below  |
| TooEarly        | the window has not opened                                                 | False     |
| VettingRequired | the window is open, and the vetting does not count                        | False     |
| Renewable       | the window is open                                                        | True      |

"As below": True while the window is open, the certificate not revoked, and the vetting counts where it is asked for.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.recorded_status import AcceptedCertificate, CertificateStatus, Condition, RecordedRenewal
from clientcert.lifecycle.renewal.certificate_rules import REISSUE
from clientcert.lifecycle.renewal.situation import RenewalSituation, RequestSummary
from clientcert.lifecycle.renewal.status import State
from clientcert.lifecycle.renewal.vetting import vetted_until, vetting_problem
from clientcert.lifecycle.renewal.window import Window, renewal_window
from clientcert.pki.der import shifted

RENEWABLE = "Renewable"
_ASKED = frozenset({State.CHECKING, State.WAITING, State.AWAITING_APPROVAL})
_SECOND = timedelta(seconds=1)


class StandingReason(StrEnum):
    """The reasons of the condition Renewable."""

    NOT_CONFIGURED = "NotConfigured"
    HOST_CERTIFICATE = "HostCertificate"
    REQUESTED = "Requested"
    IN_PROGRESS = "InProgress"
    NO_CERTIFICATE = "NoCertificate"
    REVOKED = "Revoked"
    EXPIRED = "Expired"
    REFUSED = "Refused"
    DENIED = "Denied"
    RENEWED = "Renewed"
    TOO_EARLY = "TooEarly"
    VETTING_REQUIRED = "VettingRequired"
    RENEWABLE = "Renewable"


_AS_BELOW = frozenset(
    {
        StandingReason.REQUESTED,
        StandingReason.IN_PROGRESS,
        StandingReason.REFUSED,
        StandingReason.DENIED,
        StandingReason.RENEWED,
    }
)


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of the renewal of one certificate."""

    reason: StandingReason
    message: str
    renewable: bool = False
    """True if a request with mode Renew may be made."""
    window: Window | None = None
    request: RequestSummary | None = None
    """The open request; of several, the oldest."""
    vetted_until: datetime | None = None
    """From then on the vetting does not count; None: the policy asks for none, or none is on record."""

    @property
    def condition(self) -> Condition:
        """The condition Renewable, without the time of its last transition."""
        return Condition(RENEWABLE, "True" if self.renewable else "False", self.reason, self.message)

    def recorded(self, declared_hash: str) -> RecordedRenewal:
        """As `status.renewal` has it."""
        return RecordedRenewal(
            opens=self.window.opens if self.window else None,
            closes=self.window.closes if self.window else None,
            reason=self.reason.value,
            message=self.message,
            request_name=self.request.name if self.request else "",
            request_uid=self.request.uid if self.request else "",
            declared_hash=declared_hash,
        )

    def next_change(self, now: datetime) -> datetime | None:
        """The time at which the clock alone changes it: the window opens or closes, or the vetting lapses."""
        if self.window is None:
            return None
        moments = (self.window.opens, self.vetted_until, shifted(self.window.closes, _SECOND))
        return min((each for each in moments if each and each > now), default=None)


def says_revoked(status: CertificateStatus, certificate: AcceptedCertificate) -> bool:
    """True if the status says that this certificate is revoked."""
    reason = status.renewal.reason if status.renewal else ""
    return reason == StandingReason.REVOKED and _is_about(status, certificate)


def changes_once_known(status: CertificateStatus, now: datetime) -> bool:
    """True if the status may say something else once the revocations of deleted objects are known."""
    return status.accepted is not None and (
        says_revoked(status, status.accepted) or _is_kept_from_renewing(status, now)
    )


def concerns_requests(before: CertificateStatus, after: CertificateStatus) -> bool:
    """True if a status says anything new to the requests about its certificate; they know what it says of them."""
    return _without_requests(before) != _without_requests(after)


def _without_requests(status: CertificateStatus) -> CertificateStatus:
    renewal, conditions = status.renewal, tuple(each for each in status.conditions if each.type != RENEWABLE)
    declared = RecordedRenewal(None, None, "", "", declared_hash=renewal.declared_hash) if renewal else None
    return replace(status, renewal=declared, conditions=conditions)


def standing(evaluation: Evaluation) -> Standing:
    """The state of the renewal."""
    situation, certificate = evaluation.renewal, evaluation.assessment.accepted
    if situation is None:
        words = "the policy has no spec.renewal, so the certificate is renewed by hand"
        return Standing(StandingReason.NOT_CONFIGURED, words)
    if evaluation.assessment.host:
        words = "a host certificate is not renewed here: a new one is requested each time"
        return Standing(StandingReason.HOST_CERTIFICATE, words)
    window, renewable = None, False
    if certificate is not None:
        days = evaluation.policy.start_days_before
        of_former_ca = _of_former_ca(evaluation, situation, certificate)
        window = renewal_window(certificate, situation.policy, days, of_former_ca=of_former_ca)
        vetted = not vetting_problem(evaluation.spec.vetting_date, situation.policy, evaluation.now)
        renewable = window.is_open(evaluation.now) and vetted and not situation.revoked
        if renewable and not situation.revocations_known:
            renewable = not _may_be_revoked(evaluation, certificate)
    reason, message = _state(evaluation, situation, window)
    return Standing(reason, message, renewable, window, situation.open_request, _vetted_until(evaluation, situation))


def _state(evaluation: Evaluation, situation: RenewalSituation, window: Window | None) -> tuple[StandingReason, str]:
    certificate, request = evaluation.assessment.accepted, situation.open_request
    if request is not None:
        return _open(request)
    if certificate is None or window is None:
        words = "no certificate was ever read: a consumer's first one is requested with mode Reissue, after a vetting"
        return StandingReason.NO_CERTIFICATE, words
    delivered = situation.last_delivered
    if delivered is not None and delivered.renews(certificate.serial_number):
        words = f"{delivered.name}: the consumer has the renewed certificate, but the source still holds the old one"
        return StandingReason.RENEWED, f"{words}: put the new one there (clientcert retrieve {delivered.name})"
    if situation.revoked:
        return StandingReason.REVOKED, f"the certificate is revoked: {REISSUE}, and with a new key"
    if window.closes < evaluation.now:
        return StandingReason.EXPIRED, f"the certificate has expired: {REISSUE}"
    ended = situation.last_ended
    if ended is not None and ended.renews(certificate.serial_number) and ended.state is State.REFUSED:
        failed = f" by the check {ended.reason}" if ended.reason else ""
        words = f"{ended.name} was refused{failed}: its status says what to do"
        return StandingReason.REFUSED, words
    if ended is not None and ended.renews(certificate.serial_number) and ended.state is State.DENIED:
        return StandingReason.DENIED, f"{ended.name} was denied: its status says why"
    opens = f"{window.opens:%Y-%m-%d %H:%M} UTC"
    if not window.is_open(evaluation.now):
        if delivered is not None and delivered.brought(certificate.serial_number):
            words = f"renewed by {delivered.name}; it may be renewed again from {opens} on"
            return StandingReason.RENEWED, words
        return StandingReason.TOO_EARLY, f"the certificate may be renewed from {opens} on"
    unvetted = vetting_problem(evaluation.spec.vetting_date, situation.policy, evaluation.now)
    if unvetted:
        words = f"{unvetted}: vet the consumer, and record it with clientcert vet; then it may be renewed"
        return StandingReason.VETTING_REQUIRED, words
    return StandingReason.RENEWABLE, f"the certificate may be renewed since {opens}: clientcert renew"


def _may_be_revoked(evaluation: Evaluation, certificate: AcceptedCertificate) -> bool:
    """As the status says it: a restart changes nothing before all revocations are known."""
    status = evaluation.status
    return _is_about(status, certificate) and _is_kept_from_renewing(status, evaluation.now)


def _is_kept_from_renewing(status: CertificateStatus, now: datetime) -> bool:
    """True if it was not renewable within its window, while a request or its end is told of."""
    renewal, condition = status.renewal, status.condition(RENEWABLE)
    if renewal is None or renewal.opens is None or renewal.closes is None or condition is None:
        return False
    return condition.status == "False" and condition.reason in _AS_BELOW and renewal.opens <= now <= renewal.closes


def _is_about(status: CertificateStatus, certificate: AcceptedCertificate) -> bool:
    return status.accepted is not None and status.accepted.fingerprint_sha256 == certificate.fingerprint_sha256


def _vetted_until(evaluation: Evaluation, situation: RenewalSituation) -> datetime | None:
    vetting, days = evaluation.spec.vetting_date, situation.policy.max_vetting_age_days
    return vetted_until(vetting, days) if vetting is not None and days is not None else None


def _of_former_ca(evaluation: Evaluation, situation: RenewalSituation, certificate: AcceptedCertificate) -> bool:
    """As the status says it until that was found out: a restart writes nothing."""
    before, recorded = evaluation.status.accepted, evaluation.status.renewal
    if situation.of_former_ca is not None or before is None or recorded is None:
        return bool(situation.of_former_ca)
    return before.fingerprint_sha256 == certificate.fingerprint_sha256 and recorded.opens == certificate.not_before


def _open(request: RequestSummary) -> tuple[StandingReason, str]:
    waits = f", and waits for: {request.waits_for}" if request.waits_for else ""
    if request.state in _ASKED:
        return StandingReason.REQUESTED, f"{request.name} asks for a new certificate{waits}"
    if request.state is State.DELIVERED:
        words = f"the consumer has the new certificate by {request.name}; the source holds the old one{waits}"
        return StandingReason.IN_PROGRESS, words
    return StandingReason.IN_PROGRESS, f"{request.name} is approved{waits}"
