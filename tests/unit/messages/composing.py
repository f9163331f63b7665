"""Composes a message as the engine does, from an observation and a status."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from clientcert.lifecycle.assessment import Observation, accepted_certificate
from clientcert.lifecycle.delivery_log import DueNotification, MessageKind
from clientcert.lifecycle.due import due_notifications
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import (
    CertificateStatus,
    ChannelStatus,
    PreviousCertificate,
)
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey
from clientcert.messages.message import Message, compose
from clientcert.pki.certificate import Certificate
from tests.builders import KEY, NOW, assessment, declaration, evaluation, policy


def knowing(
    seen: Certificate | None, *records: ChannelStatus, history: tuple[PreviousCertificate, ...] = ()
) -> CertificateStatus:
    return CertificateStatus(accepted=accepted_certificate(seen) if seen else None, channels=records, history=history)


def composed(
    seen: Certificate | Observation,
    now: datetime = NOW,
    *,
    recorded: CertificateStatus = CertificateStatus(),  # noqa: B008 - it is frozen
    plan: AlertPolicy | None = None,
    declared: CertificateSpec | None = None,
    key: ObjectKey = KEY,
    cluster: str = "",
    **changes: Any,
) -> Message:
    """The message for the first channel that has a due one; keywords change fields of the spec."""
    plan = plan or policy()
    declared = declared or declaration(**changes)
    found = assessment(seen, now, recorded=recorded, declared=declared, start_days_before=plan.start_days_before)
    owed = due_notifications(evaluation(found, plan, recorded))
    notification = owed[0] if owed else DueNotification(plan.channels[0], MessageKind.ALERT, None)
    judged = replace(evaluation(found, plan, recorded, spec=declared), key=key, cluster=cluster)
    return compose(judged, notification)
