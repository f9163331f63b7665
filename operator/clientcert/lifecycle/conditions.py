"""Derives the conditions of a ClientCertificate from an assessment.

The operator writes status when a condition's message changes. So a message contains only facts that stay true while
nothing changes: no counters, no times that move. Every type is listed here, with its reasons:

| type            | True                  | False                                                | Unknown     |
|-----------------|-----------------------|------------------------------------------------------|-------------|
| Ready           | Valid, ExpiringSoon   | the reason of the worst other condition              | Pending     |
| SourceReadable  | Read                  | the reason why it could not be read                  | Pending     |
| IdentityMatches | Matches               | IdentityMismatch, TemporaryCertificate               | Unread      |
| Expiring        | ExpiringSoon, Expired | Valid                                                | Unread      |
| Silenced        | Silenced              | SilenceEnded (absent when spec.silence is)           |             |
| Acknowledged    | Acknowledged          | OtherCertificate (absent when it is not declared)    | Unread      |
| ContactResolved | the kind of contact   | the reason why there is none, or not the right one   | Lookup…     |
| AlertsDelivered | Delivered             | PolicyNotFound, PolicyInvalid, or that of a channel  | ObserveOnly |

With a policy that renews there are Renewable (`renewal/standing.py`) and Vetted (`renewal/vetting.py`).
"""

from dataclasses import dataclass, replace
from datetime import datetime

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import OF_SOMEBODY_ELSE, Assessment
from clientcert.lifecycle.contacts import Resolution
from clientcert.lifecycle.delivery_log import whole_second
from clientcert.lifecycle.due import silenced
from clientcert.lifecycle.ends_first import name_first
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.observing import withheld
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.recorded_status import CertificateStatus, Condition, shared_condition
from clientcert.lifecycle.spec import CertificateSpec, Silence

READY = "Ready"
SOURCE_READABLE = "SourceReadable"
IDENTITY_MATCHES = "IdentityMatches"
EXPIRING = "Expiring"
SILENCED = "Silenced"
ACKNOWLEDGED = "Acknowledged"
CONTACT_RESOLVED = "ContactResolved"
ALERTS_DELIVERED = "AlertsDelivered"


@dataclass(frozen=True, slots=True)
class DeliveryProblem:
    """The reason why alerts do not reach their recipients."""

    reason: Reason
    message: str


def conditions(
    evaluation: Evaluation, undelivered: DeliveryProblem | None, unreached: DeliveryProblem | None = None
) -> tuple[Condition, ...]:
    """All conditions, each with the time of its last transition carried over from the status.

    `undelivered` is the reason why alerts do not arrive. `unreached` is the reason why a letter reaches none of the
    recipients that were found, if only another contact would fix that.
    """
    assessment, spec, status = evaluation.assessment, evaluation.spec, evaluation.status
    found = [
        _source_readable(assessment),
        _identity_matches(assessment),
    ]
    if assessment.unread:
        found = [status.condition(each.type) or each for each in found]
    found.append(_expiring(assessment))
    if spec.silence:
        found.append(_silenced(assessment, spec.silence))
    if spec.acknowledged:
        found.append(_acknowledged(assessment, spec))
    if evaluation.contact:
        found.append(_contact_resolved(evaluation.contact, unreached, status))
    alerts_delivered = _alerts_delivered(undelivered, observe_only=evaluation.observe_only)
    every, now = (_ready(evaluation, undelivered), *found, alerts_delivered), whole_second(assessment.now)
    return tuple([carried_over(each, status.conditions, now) for each in every])


def _ready(evaluation: Evaluation, undelivered: DeliveryProblem | None) -> Condition:
    assessment = evaluation.assessment
    if assessment.phase is Phase.PENDING:
        return Condition(READY, "Unknown", "Pending", "the source has not been read yet")
    if assessment.phase is Phase.EXPIRED:
        words = "the certificate has expired: put a renewed one into the source"
        accepted = assessment.accepted
        if accepted is not None and accepted.ends_first is not None:
            first = name_first(accepted.ends_first, accepted.subject_dn)
            words = f"{first}, in the same file, has expired: put the new one there, and send it to the consumer"
        return Condition(READY, "False", Reason.EXPIRED, words)
    if assessment.problem is not None:
        return Condition(READY, "False", assessment.problem.reason, assessment.problem.message)
    if undelivered is not None:
        return Condition(READY, "False", undelivered.reason, undelivered.message)
    alerts = _no_alert() if evaluation.observe_only else "alerts go where they should"
    return Condition(READY, "True", assessment.phase.value, f"the certificate is valid, and {alerts}")


def _source_readable(assessment: Assessment) -> Condition:
    if assessment.phase is Phase.PENDING:
        return Condition(SOURCE_READABLE, "Unknown", "Pending", "the source has not been read yet")
    if assessment.problem is not None and assessment.source_problem:
        return Condition(SOURCE_READABLE, "False", assessment.problem.reason, assessment.problem.message)
    return Condition(SOURCE_READABLE, "True", "Read", "the source holds a certificate that can be read")


def _identity_matches(assessment: Assessment) -> Condition:
    if assessment.source_problem:
        return Condition(IDENTITY_MATCHES, "Unknown", "Unread", "the source holds no certificate to compare")
    if assessment.problem is not None and assessment.problem.reason in OF_SOMEBODY_ELSE:
        return Condition(IDENTITY_MATCHES, "False", assessment.problem.reason, assessment.problem.message)
    return Condition(IDENTITY_MATCHES, "True", "Matches", "the certificate is the consumer's own")


def _expiring(assessment: Assessment) -> Condition:
    if assessment.accepted is None:
        return Condition(EXPIRING, "Unknown", "Unread", "no certificate was ever read, so nobody knows when it ends")
    ends, first = "notAfter", assessment.accepted.ends_first
    if first is not None:
        ends = f"the end of {name_first(first, assessment.accepted.subject_dn)}, in the same file,"
    if assessment.expired:
        words = f"{ends} has passed" if first else "the certificate has expired"
        return Condition(EXPIRING, "True", Reason.EXPIRED, words)
    if assessment.expires_soon:
        return Condition(EXPIRING, "True", "ExpiringSoon", f"{ends} is near enough for the policy to alert")
    return Condition(EXPIRING, "False", "Valid", f"{ends} is further away than the policy alerts")


def _silenced(assessment: Assessment, silence: Silence) -> Condition:
    if silenced(silence, assessment.now):
        return Condition(SILENCED, "True", "Silenced", f"no alerts until spec.silence.until: {silence.reason}")
    return Condition(SILENCED, "False", "SilenceEnded", "spec.silence.until has passed; alerts are sent again")


def _acknowledged(assessment: Assessment, spec: CertificateSpec) -> Condition:
    if assessment.accepted is None:
        return Condition(ACKNOWLEDGED, "Unknown", "Unread", "no certificate was ever read, so nobody knows which it is")
    if assessment.acknowledged:
        why = spec.acknowledged_because or "somebody sees to this certificate"
        return Condition(ACKNOWLEDGED, "True", "Acknowledged", f"nothing is escalated: {why}")
    words = (
        "spec.acknowledgement.serialNumber is not that of the current certificate, which is"
        f" {assessment.accepted.serial_number}, so the escalation goes on: correct it, or remove spec.acknowledgement"
    )
    return Condition(ACKNOWLEDGED, "False", "OtherCertificate", words)


def _contact_resolved(contact: Resolution, unreached: DeliveryProblem | None, status: CertificateStatus) -> Condition:
    if contact.resolved and unreached:
        return Condition(CONTACT_RESOLVED, "False", unreached.reason, unreached.message)
    if contact.resolved and contact.fallback_recipient:
        return Condition(CONTACT_RESOLVED, "False", Reason.RECIPIENT_REFUSED, str(contact.fallback_recipient))
    if contact.resolved and contact.complete:
        return Condition(CONTACT_RESOLVED, "True", contact.reason, contact.message)
    if contact.retried:
        before = status.condition(CONTACT_RESOLVED)
        if before and before.reason:
            return before
    if contact.transient:
        return Condition(CONTACT_RESOLVED, "Unknown", contact.reason, contact.message)
    return Condition(CONTACT_RESOLVED, "False", contact.reason, contact.message)


def without_contact(status: CertificateStatus) -> CertificateStatus:
    """The status after a change of the spec, without the details of the contact: they may be about another contact.

    The time of the last transition of ContactResolved stays.
    """
    found = tuple(
        replace(each, reason="", message="") if each.type == CONTACT_RESOLVED else each for each in status.conditions
    )
    channels = tuple(replace(each, fallback_recipient=None) for each in status.channels)
    return replace(status, conditions=found, channels=channels)


def _no_alert() -> str:
    return withheld("no alert is sent")


def _alerts_delivered(shortfall: DeliveryProblem | None, *, observe_only: bool) -> Condition:
    if observe_only:
        return Condition(ALERTS_DELIVERED, "Unknown", Reason.OBSERVE_ONLY, _no_alert())
    if shortfall is None:
        return Condition(ALERTS_DELIVERED, "True", "Delivered", "every alert that was due was sent")
    return Condition(ALERTS_DELIVERED, "False", shortfall.reason, shortfall.message)


def carried_over(condition: Condition, before: tuple[Condition, ...], now: datetime) -> Condition:
    """The condition with the time of its last transition: an earlier time if its status is unchanged."""
    since = None
    for old in before:
        if old.type == condition.type and old.status == condition.status:
            since = old.last_transition or since
    since = since or whole_second(now)
    return shared_condition(condition.type, condition.status, condition.reason, condition.message, since)
