"""One message about a certificate, with what is known of its contact, for whoever sends it."""

from clientcert.alerting.retries import remembered
from clientcert.cache.objects import CertificateRecord
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.contacts import Recipient, Role, addressed, with_contact
from clientcert.lifecycle.due import DueNotification, MessageKind
from clientcert.lifecycle.policy import AlertPolicy, Channel, EmailAddress
from clientcert.lifecycle.spec import CertificateSpec
from clientcert.messages.message import Message, compose


def addressees(record: CertificateRecord, channel: Channel) -> tuple[Recipient, ...]:
    """Who gets a letter through this channel, in order; nobody where none is sent or none is known."""
    if not isinstance(channel.address, EmailAddress) or record.contact is None:
        return ()
    return addressed(record.contact, channel.address.role)


def message_about(
    record: CertificateRecord,
    declaration: CertificateSpec,
    assessment: Assessment,
    policy: AlertPolicy,
    notification: DueNotification,
) -> Message:
    """In all forms that the notification's channel may need."""
    recipients, known = addressees(record, notification.channel), remembered(record)
    told = known.channel(notification.channel.name)
    if notification.kind is MessageKind.CLOSING and told is not None:
        # Whoever was alerted; others would hear of the end of what they never heard of.
        recipients = tuple(each for each in recipients if each.role is told.recipient_role) or recipients
    return compose(
        record.key,
        record.uid,
        with_contact(declaration, record.contact, record.recipients),
        assessment,
        policy,
        notification,
        known,
        recipients=recipients,
        written_to=_written_to(record),
    )


def _written_to(record: CertificateRecord) -> Role | None:
    """Who has the letters that are no escalation."""
    found = record.contact
    if found is None or not found.recipients:
        return None
    return found.stood_in.role if found.stood_in else found.recipients[0].role
