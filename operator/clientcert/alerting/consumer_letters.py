"""What holds of messages to a consumer's contact, and of no others."""

from datetime import datetime

from clientcert.alerting.messages import addressees
from clientcert.alerting.retries import OF_THE_RECIPIENT
from clientcert.cache.objects import CertificateRecord, Failure
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.due import DueNotification, MessageKind
from clientcert.lifecycle.policy import Channel, EmailAddress, Role
from clientcert.lifecycle.schedule import DAY
from clientcert.messages.message import Message
from clientcert.notifiers.interface import Receipt

_GONE = OF_THE_RECIPIENT | {Reason.CONTACT_NOT_FOUND}


def has_nobody(record: CertificateRecord, notification: DueNotification) -> bool:
    """Whether it is an escalation, and there is nobody whom it could be escalated to."""
    channel = notification.channel
    passing = record.contact is not None and record.contact.passing
    return channel.escalation and channel.to_consumer and not passing and not addressees(record, channel)


def found_nobody(record: CertificateRecord, notification: DueNotification, now: datetime) -> bool:
    """Whether it is a closing letter to somebody who could not be reached all day: it is good news, and others know."""
    failure = (record.failing or {}).get(notification.channel.name)
    if failure is None or notification.kind is not MessageKind.CLOSING:
        return False
    return failure.permanent and failure.reason in _GONE and now - failure.since >= DAY


def first_recipient(record: CertificateRecord) -> Role | None:
    """Whom a letter would reach first; None where nobody knows, or where that one was tried in vain."""
    contact = record.contact
    return contact.recipients[0].role if contact and contact.resolved and not contact.stood_in else None


def reached(message: Message, receipt: Receipt) -> Role | None:
    """Who got the letter, if it was one."""
    if receipt.stood_in is not None:
        return receipt.stood_in.role
    return message.letters[0].recipient.role if message.letters else None


def is_first_letter(channel: Channel) -> bool:
    """Whether it goes to whoever is first; what becomes of an escalation says nothing of them."""
    return isinstance(channel.address, EmailAddress) and channel.address.role is None


def check_contact(record: CertificateRecord, notification: DueNotification) -> None:
    """Raises DeliveryError for a letter to nobody."""
    contact = record.contact
    if notification.channel.to_consumer and contact is not None and not contact.resolved:
        raise DeliveryError(Reason.CONTACT_NOT_FOUND, contact.message, retryable=contact.passing)


def was_found_since(record: CertificateRecord, failure: Failure) -> bool:
    """Whether it could not be told only because nobody knew who its contact is."""
    contact = record.contact
    if contact is None or contact.passing or failure.reason is not Reason.CONTACT_NOT_FOUND:
        return False
    return contact.resolved or not failure.permanent
