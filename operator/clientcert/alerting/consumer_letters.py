"""Rules that apply only to letters to a consumer's contact."""

from clientcert.alerting.retries import OF_THE_RECIPIENT
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient
from clientcert.lifecycle.delivery_log import DeliveryFailure, DueNotification, MessageKind
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.schedule import DAY

_UNREACHABLE = OF_THE_RECIPIENT | {Reason.CONTACT_NOT_FOUND}


def recipients_for(evaluation: Evaluation, notification: DueNotification) -> tuple[Recipient, ...]:
    """The recipients of this letter, in order. A closing letter goes to the role that was alerted, if it is known."""
    found = evaluation.recipients_for(notification.channel)
    told = evaluation.log.channel(notification.channel.name)
    if notification.kind is not MessageKind.CLOSING or told is None:
        return found
    return tuple(each for each in found if each.role is told.recipient_role) or found


def has_no_recipient(evaluation: Evaluation, channel: Channel) -> bool:
    """True if the channel is an escalation without a recipient, and not only because a lookup failed transiently."""
    transient = evaluation.contact is not None and evaluation.contact.transient
    return channel.escalation and not transient and not evaluation.recipients_for(channel)


def was_delivered(evaluation: Evaluation, notification: DueNotification) -> bool:
    """True for a closing letter about a certificate that the operator has mailed itself: that mail has closed."""
    accepted, renewal = evaluation.assessment.accepted, evaluation.renewal
    if accepted is None or renewal is None or renewal.last_delivered is None or notification.channel.escalation:
        return False
    request, is_closing = renewal.last_delivered, notification.kind is MessageKind.CLOSING
    return is_closing and request.mailed and request.brought(accepted.serial_number)


def is_given_up(evaluation: Evaluation, notification: DueNotification) -> bool:
    """True for a closing letter whose recipient could not be reached for a day; other channels send it anyway."""
    failure = evaluation.failures.get(notification.channel.name)
    if failure is None or notification.kind is not MessageKind.CLOSING:
        return False
    return failure.permanent and failure.reason in _UNREACHABLE and evaluation.now - failure.since >= DAY


def require_recipient(evaluation: Evaluation, channel: Channel) -> None:
    """Raise DeliveryError if no recipient of this letter is known."""
    contact = evaluation.contact
    if channel.to_consumer and contact is not None and not contact.resolved:
        raise DeliveryError(Reason.CONTACT_NOT_FOUND, contact.message, retryable=contact.transient)


def is_outdated(evaluation: Evaluation, failure: DeliveryFailure) -> bool:
    """True if the failure no longer applies: the recipient was replaced, or the lookup has another result now."""
    contact, since = evaluation.contact, evaluation.contact_since
    if since is not None and failure.reason in OF_THE_RECIPIENT and failure.since < since:
        return True
    if contact is None or contact.transient or failure.reason is not Reason.CONTACT_NOT_FOUND:
        return False
    return contact.resolved or not failure.permanent
