"""What a change of conditions is worth an Event: each new reason once, and each replacement."""

import logging

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cache.objects import CertificateRecord
from clientcert.errors import Reason
from clientcert.kube.events import EventSpec
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.conditions import ALERTS_DELIVERED, READY, stood_in
from clientcert.lifecycle.recorded_status import CertificateStatus, Condition

logger = logging.getLogger(__name__)


def facts(
    record: CertificateRecord, assessment: Assessment, conditions: tuple[Condition, ...], said: frozenset[str]
) -> tuple[EventSpec, ...]:
    """The Events owed for this change; `said` holds the reasons of those that alerts make anyway.

    Those that wait to be written already are not owed once more. A letter that somebody else got instead is logged as
    well: no failure of a channel tells of it.
    """
    before = record.recorded
    found = [
        _fact(record, condition.reason, condition.message)
        for condition in conditions
        if condition.type in {READY, ALERTS_DELIVERED} and condition.status == "False"
        if _is_new(condition, before)
    ]
    instead = stood_in(CertificateStatus(conditions=conditions))
    if instead is not None and instead != stood_in(before):
        fact = _fact(record, Reason.RECIPIENT_REFUSED, str(instead))
        found.append(fact)
        if fact not in record.unsaid:
            logger.warning("%s: %s: %s", record.key, fact.reason, fact.message)
    old = assessment.newly_replaced(before)
    if old is not None and assessment.accepted is not None:
        words = (
            f"the certificate with serial number {old.serial_number} was replaced by"
            f" {assessment.accepted.serial_number}, valid until {assessment.accepted.not_after:%Y-%m-%d}"
        )
        found.append(_fact(record, "Renewed", words, warning=False))
    unique = {fact.reason: fact for fact in found if fact.reason not in said and fact not in record.unsaid}
    return tuple(unique.values())


def _is_new(condition: Condition, recorded: CertificateStatus) -> bool:
    before = recorded.condition(condition.type)
    return before is None or (before.status, before.reason) != (condition.status, condition.reason)


def _fact(record: CertificateRecord, reason: str, message: str, *, warning: bool = True) -> EventSpec:
    return EventSpec(CLIENT_CERTIFICATE.name, record.key, record.uid, str(reason), message, warning)
