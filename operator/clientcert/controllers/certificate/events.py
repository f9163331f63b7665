"""The Kubernetes Events about a change of a certificate's status: each new reason once, and each replacement."""

import logging
from collections.abc import Collection

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.errors import Reason
from clientcert.kube.events import EventSpec
from clientcert.lifecycle.conditions import ALERTS_DELIVERED, READY
from clientcert.lifecycle.ends_first import name_first
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.recorded_status import CertificateStatus, Condition

logger = logging.getLogger(__name__)


def events_for(
    evaluation: Evaluation, after: CertificateStatus, announced: Collection[str], pending: tuple[EventSpec, ...]
) -> tuple[EventSpec, ...]:
    """The Events that are due for the change to this status.

    `announced` are the reasons of Events that alerts create anyway; `pending` are Events that are still to be written.
    None of them is repeated. A letter to a fallback recipient is logged as well, because no failed channel reports it.
    """
    before = evaluation.status
    found = [
        _event(evaluation, condition.reason, condition.message)
        for condition in after.conditions
        if condition.type in {READY, ALERTS_DELIVERED} and condition.status == "False"
        if _is_new(condition, before)
    ]
    fallback = evaluation.contact.fallback_recipient if evaluation.contact else None
    if fallback is not None and not any(told.fallback_recipient == fallback for told in before.channels):
        event = _event(evaluation, Reason.RECIPIENT_REFUSED, str(fallback))
        found.append(event)
        if event not in pending:
            logger.warning("%s: %s: %s", evaluation.key, event.reason, event.message)
    old, accepted = evaluation.assessment.newly_replaced(before), evaluation.assessment.accepted
    if old is not None and accepted is not None:
        words = (
            f"the certificate with serial number {old.serial_number} was replaced by {accepted.serial_number},"
            f" valid until {evaluation.assessment.expires.time:%Y-%m-%d}"
        )
        if accepted.ends_first is not None:
            words += f", the end of {name_first(accepted.ends_first, accepted.subject_dn)} in the same file"
        found.append(_event(evaluation, "Renewed", words, warning=False))
    elif before.accepted is not None and before.accepted.ends_first is not None and _chain_is_renewed(evaluation):
        words = f"the chain was renewed: it is valid until {evaluation.assessment.expires.time:%Y-%m-%d}"
        found.append(_event(evaluation, "Renewed", words, warning=False))
    unique = {event.reason: event for event in found if event.reason not in announced and event not in pending}
    return tuple(unique.values())


def _chain_is_renewed(evaluation: Evaluation) -> bool:
    """True if the certificate is the same, and the one that ended before it was replaced by one that ends later."""
    before, assessment = evaluation.status.accepted, evaluation.assessment
    if before is None or before.ends_first is None or assessment.accepted is None:
        return False
    same = before.fingerprint_sha256 == assessment.accepted.fingerprint_sha256
    return same and assessment.expires.time > before.ends_first.time


def _is_new(condition: Condition, status: CertificateStatus) -> bool:
    before = status.condition(condition.type)
    return before is None or (before.status, before.reason) != (condition.status, condition.reason)


def _event(evaluation: Evaluation, reason: str, message: str, *, warning: bool = True) -> EventSpec:
    return EventSpec(CLIENT_CERTIFICATE.name, evaluation.key, evaluation.uid, str(reason), message, warning)
