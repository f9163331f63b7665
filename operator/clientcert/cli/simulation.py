"""Simulate the messages about one certificate, by the decisions that the engine itself uses.

Assumptions: nobody renews the certificate, nothing changes in the source, and every message is delivered. The status is
taken as the last observation of the operator.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Observation, Problem, assess, unread
from clientcert.lifecycle.conditions import READY, SOURCE_READABLE
from clientcert.lifecycle.delivery_log import Delivery, DeliveryLog, DueNotification, MessageKind
from clientcert.lifecycle.due import delivered, due_notifications, next_due
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey

_ROUNDS = 3
"""As in the engine: the first alert about the new certificate may follow a closing message."""
_UNUSABLE = {
    Reason.IDENTITY_MISMATCH: Phase.INVALID,
    Reason.INVALID_VALIDITY: Phase.INVALID,
    Reason.NOT_YET_VALID: Phase.NOT_YET_VALID,
    Reason.TEMPORARY_CERTIFICATE: Phase.INVALID,
}


@dataclass(frozen=True, slots=True)
class KnownCertificate:
    """One certificate, as its object describes it."""

    key: ObjectKey
    spec: CertificateSpec
    status: CertificateStatus
    created: datetime


@dataclass(frozen=True, slots=True)
class UpcomingMessage:
    """One message that will be sent."""

    notification: DueNotification
    evaluation: Evaluation
    """The certificate before it is sent."""

    @property
    def when(self) -> datetime:
        """The time at which it is due, or the start of the simulation if it was due before."""
        return self.evaluation.now


def simulate(known: KnownCertificate, policy: AlertPolicy, now: datetime, until: datetime) -> Iterator[UpcomingMessage]:
    """All messages from `now` to `until` (aware UTC), in order. Messages that are overdue have the time `now`."""
    log = DeliveryLog(known.status.channels)
    observation = replace(_last_observation(known), gap=known.status.source_gap)
    moment: datetime | None = now
    while moment is not None and moment <= until:
        for _ in range(_ROUNDS):
            assessment = assess(known, observation, policy.start_days_before, moment, policy.source_grace)
            evaluation = Evaluation(known.key, "", known.spec, known.status, policy, assessment, log)
            due = due_notifications(evaluation)
            for notification in due:
                yield UpcomingMessage(notification, evaluation)
                log = log.with_channel(delivered(evaluation, notification, Delivery(moment)))
            if all(notification.kind is MessageKind.ALERT for notification in due):
                break
        moment = next_due(evaluation)


def _last_observation(known: KnownCertificate) -> Observation:
    """The source at the last reconcile: nothing new, or the problem that it had.

    The status of an expired certificate names no further problem, unless its source cannot be read.
    """
    source = known.status.condition(SOURCE_READABLE)
    if source is not None and source.status == "False":
        return unread(_reason(source.reason), source.message)
    ready = known.status.condition(READY)
    if ready is None or ready.status != "False":
        return Observation()
    reason = _reason(ready.reason)
    if reason is Reason.EXPIRED and known.status.phase == Phase.INVALID:  # the source has another one, also expired
        return Observation(problem=Problem(Phase.INVALID, reason, ready.message))
    phase = _UNUSABLE.get(reason)
    return Observation(problem=Problem(phase, reason, ready.message)) if phase else Observation()


def _reason(text: str) -> Reason:
    """The reason in a status, which another version of the operator may have written."""
    try:
        return Reason(text)
    except ValueError:
        return Reason.SOURCE_UNAVAILABLE
