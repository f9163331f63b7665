"""Decides about a request whose certificate is recorded: it goes to the consumer first, and then to the source."""

from dataclasses import replace
from datetime import timedelta

from clientcert.errors import Reason
from clientcert.lifecycle.delivery_log import whole_second
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.naming import sha256
from clientcert.lifecycle.renewal.progress import (
    ADDRESS_PROBLEMS,
    CONSUMER,
    CONTACT,
    MAIL_SERVER,
    SOURCE,
    Decision,
    Progress,
    SourceHolds,
    Step,
)
from clientcert.lifecycle.renewal.status import (
    DELIVERED,
    HANDED_OVER,
    ISSUED,
    STORED,
    DeliveryRecord,
    RenewalStatus,
    State,
)
from clientcert.lifecycle.renewal.status_changes import ended, with_condition
from clientcert.pki.der import shifted

LEFT_FOR_RETRIEVAL = "LeftForRetrieval"
"""The reason of Delivered where policy or settings allow no mail."""
LOOKUP_UNAVAILABLE = "LookupUnavailable"
CIPHERTEXT_KEPT = timedelta(days=30)
"""After delivery."""
_RETRIEVE = "get it with clientcert retrieve, hand it over, and say so with clientcert handed-over"


def after_issuance(progress: Progress) -> Decision:
    """The next step: deliver, store, finish, or wait."""
    issued = Condition(ISSUED, "True", "Issued", "the certificate is signed and recorded")
    status = with_delivery(progress, with_condition(progress.status, issued, progress.now))
    if status.delivery is None:
        return _deliver(progress, replace(status, state=State.ISSUED))
    return _store(progress, replace(status, state=State.DELIVERED))


def with_delivery(progress: Progress, status: RenewalStatus) -> RenewalStatus:
    """The status with the delivery, if there was one: by mail, which counts first, or as a user has said."""
    delivery, now = status.delivery, progress.now
    if delivery is None and status.certificate_pem and progress.spec.handed_over_by:
        delivery = DeliveryRecord(whole_second(now), HANDED_OVER, sha256(status.certificate_pem.encode()))
    if delivery is None:
        return status
    found = Condition(DELIVERED, "True", "Mailed", f"the {delivery.role} has it by mail")
    if delivery.role == HANDED_OVER:
        found = Condition(DELIVERED, "True", "HandedOver", "a user has said that the consumer has it")
    if now >= shifted(delivery.time, CIPHERTEXT_KEPT) and not progress.observe_only:
        status = replace(status, ciphertext="")  # also while the source cannot be written
    return with_condition(replace(status, delivery=delivery), found, now)


def _deliver(progress: Progress, status: RenewalStatus) -> Decision:
    """Send it to the contact of record, as at the approval; a contact who came since gets nothing."""
    problem = progress.delivery_problem
    if progress.contact_pending:
        return _waits(
            progress, status, CONTACT, Condition(DELIVERED, "False", LOOKUP_UNAVAILABLE, "the contact is looked up")
        )
    if progress.recipient_hash != status.recipient_hash:
        words = f"the contact is another one than at the approval, so nothing is mailed: {_RETRIEVE}"
        return _waits(progress, status, CONSUMER, Condition(DELIVERED, "False", Reason.CONTACT_CHANGED, words))
    if progress.undeliverable:
        found = Condition(DELIVERED, "False", LEFT_FOR_RETRIEVAL, progress.undeliverable)
        return _waits(progress, status, CONSUMER, found)
    if problem is not None and problem.reason in ADDRESS_PROBLEMS:
        words = f"{problem.message}; or {_RETRIEVE}"
        return _waits(progress, status, CONSUMER, Condition(DELIVERED, "False", problem.reason, words))
    if problem is not None:
        found = Condition(DELIVERED, "False", problem.reason, problem.message)
        return _waits(progress, status, MAIL_SERVER, found)
    return Decision(Step.DELIVER, status, MAIL_SERVER)


def _store(progress: Progress, status: RenewalStatus) -> Decision:
    problem = progress.store_problem
    match progress.source_holds:
        case SourceHolds.NEW:
            return _finish(progress, status, Condition(STORED, "True", "Stored", "the source holds the certificate"))
        case SourceHolds.OTHER:
            words = "somebody has replaced the old certificate in the source by another one, so nothing was written"
            return _finish(progress, status, Condition(STORED, "False", Reason.SOURCE_CHANGED, words))
        case SourceHolds.OLD if problem is None:
            return Decision(Step.STORE, status, SOURCE)
    reason = problem.reason if problem else Reason.SOURCE_UNAVAILABLE
    words = problem.message if problem else "the source cannot be read at the moment: it is retried"
    return _waits(progress, status, SOURCE, Condition(STORED, "False", reason, words))


def _finish(progress: Progress, status: RenewalStatus, condition: Condition) -> Decision:
    status = with_condition(status, condition, progress.now)
    return Decision(Step.FINISH, ended(status, State.DONE, progress.now), reason=condition.reason)


def _waits(progress: Progress, status: RenewalStatus, waits_for: str, condition: Condition) -> Decision:
    status = with_condition(status, condition, progress.now)
    return Decision(Step.WAIT, status, waits_for, condition.reason)
