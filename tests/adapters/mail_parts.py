"""Shared by the tests of mail: a notifier for the loopback server, and messages with letters."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from clientcert.errors import DeliveryError
from clientcert.lifecycle.assessment import Observation
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.delivery_log import DueNotification, MessageKind
from clientcert.lifecycle.due import due_notifications
from clientcert.lifecycle.policy import Channel, EmailAddress, Schedule
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.messages.message import Message, compose
from clientcert.notifiers.email.notifier import EmailNotifier
from clientcert.notifiers.email.smtp import MailServer
from clientcert.own_secrets import OwnSecret
from clientcert.pki.certificate import Certificate
from tests.adapters.sample_messages import failure as error_of
from tests.builders import DAY, NOW, assessment, certificate, declaration, evaluation, notified, policy
from tests.unit.messages.composing import knowing
from tools.mail_server import LoopbackMailServer

LOGIN = ("operator", "canary-7f3a-password")
SENDER = "Integration team <certificates@integration.example>"
JO = Recipient(Role.TECHNICAL, "jo@nhs.example", "Jo Bloggs")
SAM = Recipient(Role.BUSINESS, "sam@nhs.example", "Sam Patel")
ADDRESS = EmailAddress(sender="Integration team", system="Integration API", reply_to="team@integration.example")


def to_contact(address: EmailAddress = ADDRESS) -> Channel:
    return Channel("consumer", "Email", Schedule(), address)


def message_to(
    *recipients: Recipient,
    seen: Certificate | Observation | None = None,
    now: datetime = NOW,
    address: EmailAddress = ADDRESS,
    recorded: CertificateStatus = CertificateStatus(),  # noqa: B008 - it is frozen
    written_to: Role | None = None,
    **declared: Any,
) -> Message:
    """The engine's message to the contact; by default to Jo, about a certificate with 14 days left."""
    channel, facts = to_contact(address), declaration(**declared)
    plan = policy(channel)
    found = assessment(seen or certificate(NOW + 14 * DAY), now, recorded=recorded, declared=facts)
    owed = due_notifications(evaluation(found, plan, recorded))
    notification = owed[0] if owed else DueNotification(channel, MessageKind.ALERT, None)
    recipients = recipients or (JO,)
    contact = Resolution("", "", (Recipient(written_to, "before@nhs.example"),)) if written_to else None
    return compose(evaluation(found, plan, recorded, spec=facts, contact=contact), notification, recipients)


def closing_to(
    *recipients: Recipient, days: int = 400, now: datetime = NOW, address: EmailAddress = ADDRESS
) -> Message:
    """The closing message for a renewed certificate, serial number bb, with so many days left."""
    old = certificate(NOW + 5 * DAY, serial_number=0xAA)
    recorded = knowing(old, notified(6, old.fingerprint_sha256, name="consumer"))
    new = certificate(NOW + days * DAY, serial_number=0xBB)
    return message_to(*recipients, seen=new, now=now, address=address, recorded=recorded)


def settings(server: LoopbackMailServer, **changes: Any) -> MailServer:
    """The settings of an operator that uses TLS and a login."""
    plain = MailServer(server.host, server.port, *map(OwnSecret, LOGIN), sender=SENDER)
    for name in {"username", "password"} & changes.keys():
        changes[name] = OwnSecret(changes[name])
    return replace(plain, **changes)


def notifier(server: LoopbackMailServer, domains: Iterable[str] = (), **changes: Any) -> EmailNotifier:
    return EmailNotifier(settings(server, domains=frozenset(domains), **changes), server.tls_context())


async def failure(sending: EmailNotifier, message: Message | None = None) -> DeliveryError:
    """The error of a message that could not be sent."""
    return await error_of(sending, to_contact(), message or message_to())
