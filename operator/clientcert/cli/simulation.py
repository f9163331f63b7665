"""What will be sent about one certificate if nothing happens to it: the engine's own decisions, one after the other.

Nobody renews, nothing in the source changes, and every message arrives. What stands in the status counts as what was
seen: that is what the operator last knew.
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
"""As the engine: a closing message may be followed by the first alert about the new certificate."""
_UNUSABLE = {
    Reason.IDENTITY_MISMATCH: Phase.INVALID,
    Reason.INVALID_VALIDITY: Phase.INVALID,
    Reason.NOT_YET_VALID: Phase.NOT_YET_VALID,
}


@dataclass(frozen=True, slots=True)
class Known:
    """One certificate, as its object tells."""

    declaration: CertificateSpec
    recorded: CertificateStatus
    phase: str
    """As the status has it; empty when it was never looked at."""
    created: datetime
    stood_in: StoodIn | None = None
    """Who got the last letter instead of somebody else."""


@dataclass(frozen=True, slots=True)
class Upcoming:
    """One message that will be sent."""

    notification: DueNotification
    assessment: Assessment
    recorded: CertificateStatus
    """What the status says before it is sent."""

    @property
    def when(self) -> datetime:
        """The moment at which it is due, or `now` if that has passed."""
        return self.assessment.now


def upcoming(known: Known, policy: AlertPolicy, now: datetime, until: datetime) -> Iterator[Upcoming]:
    """Every message from now to `until`, in order; what is due already comes first, with the time `now`."""
    recorded, observation, silence = known.recorded, _last_seen(known), known.declaration.silence
    moment: datetime | None = now
    while moment is not None and moment <= until:
        for _ in range(_ROUNDS):
            found = assess(known.declaration, observation, recorded, known.created, policy.start_days_before, moment)
            due = due_notifications(found, policy, recorded, silence)
            for notification in due:
                yield Upcoming(notification, found, recorded)
                recorded = _told(recorded, found, notification)
            if all(notification.kind is MessageKind.ALERT for notification in due):
                break
        moment = next_due(found, policy, recorded, silence)


def _last_seen(known: Known) -> Observation:
    """What the source held at the last look: nothing new, or what was wrong with it.

    Of a certificate that has expired the status does not say what else is wrong, unless its source cannot be read.
    """
    source = known.recorded.condition(SOURCE_READABLE)
    if source is not None and source.status == "False":
        return unread(_reason(source.reason), source.message)
    ready = known.recorded.condition(READY)
    if ready is None or ready.status != "False":
        return Observation()
    reason = _reason(ready.reason)
    if reason is Reason.EXPIRED and known.phase == Phase.INVALID:  # another than the one that is known, and expired
        return Observation(problem=Problem(Phase.INVALID, reason, ready.message))
    phase = _UNUSABLE.get(reason)
    return Observation(problem=Problem(phase, reason, ready.message)) if phase else Observation()


def _reason(text: str) -> Reason:
    """Of a status that another version may have written."""
    try:
        return Reason(text)
    except ValueError:
        return Reason.SOURCE_UNAVAILABLE


def _told(recorded: CertificateStatus, found: Assessment, notification: DueNotification) -> CertificateStatus:
    told = record_of(recorded, found, notification, found.now)
    return replace(recorded, channels=(*(each for each in recorded.channels if each.name != told.name), told))
