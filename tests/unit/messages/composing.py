"""Composes a message as the engine does, from an observation and a status."""

from datetime import datetime
from typing import Any

from clientcert.lifecycle.assessment import Observation
from clientcert.lifecycle.due import DueNotification, MessageKind, due_notifications
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import (
    AcceptedCertificate,
    CertificateStatus,
    ChannelStatus,
    PreviousCertificate,
)
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey
from clientcert.messages.message import Message, compose
from clientcert.pki import Certificate
from tests.builders import KEY, NOW, UID, assessment, declaration, policy


def knowing(
    seen: Certificate | None, *records: ChannelStatus, history: tuple[PreviousCertificate, ...] = ()
) -> CertificateStatus:
    return CertificateStatus(accepted=AcceptedCertificate.of(seen) if seen else None, channels=records, history=history)


def composed(
    seen: Certificate | Observation,
    now: datetime = NOW,
    *,
    recorded: CertificateStatus = CertificateStatus(),  # noqa: B008 - it is frozen
    plan: AlertPolicy | None = None,
    declared: CertificateSpec | None = None,
    key: ObjectKey = KEY,
    **changes: Any,
) -> Message:
    """The message for the first channel that has a due one; keywords change fields of the spec."""
    plan = plan or policy()
    declared = declared or declaration(**changes)
    found = assessment(seen, now, recorded=recorded, declared=declared, start_days_before=plan.start_days_before)
    owed = due_notifications(found, plan, recorded, None)
    notification = owed[0] if owed else DueNotification(plan.channels[0], MessageKind.ALERT, None)
    return compose(key, UID, declared, found, plan, notification, recorded)
