"""Simulate the messages about one certificate, by the decisions that the engine itself uses.

Assumptions: nobody renews the certificate, nothing changes in the source, and every message is delivered. The status is
taken as the last observation of the operator.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from clientcert.errors import Reason
from clientcert.lifecycle.assessment import Assessment, Observation, Phase, Problem, assess, unread
from clientcert.lifecycle.conditions import READY, SOURCE_READABLE
from clientcert.lifecycle.contacts import StoodIn
from clientcert.lifecycle.due import DueNotification, MessageKind, due_notifications, next_due, record_of
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import CertificateStatus
from clientcert.lifecycle.spec import CertificateSpec

_ROUNDS = 3
"""As in the engine: the first alert about the new certificate may follow a closing message."""
_UNUSABLE = {
    Reason.IDENTITY_MISMATCH: Phase.INVALID,
    Reason.INVALID_VALIDITY: Phase.INVALID,
    Reason.NOT_YET_VALID: Phase.NOT_YET_VALID,
}


@dataclass(frozen=True, slots=True)
class KnownCertificate:
    """One certificate, as its object describes it."""

    spec: CertificateSpec
    status: CertificateStatus
    phase: str
    """From the status; empty if the operator has not reconciled it yet."""
    created: datetime
    stood_in: StoodIn | None = None
    """The fallback recipient of the last letter."""


@dataclass(frozen=True, slots=True)
class UpcomingMessage:
    """One message that will be sent."""

    notification: DueNotification
    assessment: Assessment
    status: CertificateStatus
    """The status before it is sent."""

    @property
    def when(self) -> datetime:
        """The time at which it is due, or the start of the simulation if it was due before."""
        return self.assessment.now


def simulate(known: KnownCertificate, policy: AlertPolicy, now: datetime, until: datetime) -> Iterator[UpcomingMessage]:
    """All messages from `now` to `until` (aware UTC), in order. Messages that are overdue have the time `now`."""
    status, observation, silence = known.status, _last_observation(known), known.spec.silence
    moment: datetime | None = now
    while moment is not None and moment <= until:
        for _ in range(_ROUNDS):
            found = assess(known.spec, observation, status, known.created, policy.start_days_before, moment)
            due = due_notifications(found, policy, status, silence)
            for notification in due:
                yield UpcomingMessage(notification, found, status)
                status = _after_delivery(status, found, notification)
            if all(notification.kind is MessageKind.ALERT for notification in due):
                break
        moment = next_due(found, policy, status, silence)


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
    if reason is Reason.EXPIRED and known.phase == Phase.INVALID:  # the source has another certificate, also expired
        return Observation(problem=Problem(Phase.INVALID, reason, ready.message))
    phase = _UNUSABLE.get(reason)
    return Observation(problem=Problem(phase, reason, ready.message)) if phase else Observation()


def _reason(text: str) -> Reason:
    """The reason in a status, which another version of the operator may have written."""
    try:
        return Reason(text)
    except ValueError:
        return Reason.SOURCE_UNAVAILABLE


def _after_delivery(status: CertificateStatus, found: Assessment, notification: DueNotification) -> CertificateStatus:
    delivered = record_of(status, found, notification, found.now)
    return replace(status, channels=(*(each for each in status.channels if each.name != delivered.name), delivered))
