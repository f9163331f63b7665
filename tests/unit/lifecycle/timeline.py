"""The life of one certificate in virtual time: it is reconciled when due, sent to channels that may fail, and
recorded.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from clientcert.lifecycle.assessment import Assessment, Observation, assess
from clientcert.lifecycle.delivery_log import Delivery, DeliveryLog, MessageKind
from clientcert.lifecycle.due import delivered, due_notifications, next_change
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import AcceptedCertificate, CertificateStatus, PreviousCertificate
from clientcert.lifecycle.spec import Silence
from clientcert.pki.certificate import Certificate
from tests.builders import CREATED, Known, declaration, evaluation

_ROUNDS = 3


@dataclass(frozen=True)
class Sent:
    when: datetime
    channel: str
    kind: MessageKind
    stage: int | None
    about: str
    """The fingerprint of the certificate in the message."""
    problem: str | None = None
    begins: bool = False


@dataclass
class Timeline:
    """A small model of the engine: due messages are sent, and sent ones are recorded."""

    policy: AlertPolicy
    source: Observation
    created: datetime = CREATED
    silence: Silence | None = None
    recorded: CertificateStatus = field(default_factory=CertificateStatus)
    sent: list[Sent] = field(default_factory=list)
    is_down: Callable[[str, datetime], bool] = lambda _channel, _now: False

    def reconcile(self, now: datetime) -> Assessment:
        """Assess, send and record; then assess the record again."""
        for _ in range(_ROUNDS):
            found = self.assess(now)
            if found.alarm is None and found.grace_ends is None and not found.source_problem:
                fine = DeliveryLog(self.recorded.channels).recovered(now)
                self.recorded = replace(self.recorded, channels=fine.channels)
            due = due_notifications(evaluation(found, self.policy, self.recorded, self.silence))
            self._record(found)
            due = tuple(each for each in due if not self.is_down(each.channel.name, now))
            for each in due:
                self.sent.append(
                    Sent(
                        now,
                        each.channel.name,
                        each.kind,
                        each.stage,
                        found.fingerprint,
                        each.problem,
                        each.begins,
                    )
                )
                record = delivered(evaluation(found, self.policy, self.recorded), each, Delivery(now))
                others = tuple(old for old in self.recorded.channels if old.name != each.channel.name)
                self.recorded = replace(self.recorded, channels=(*others, record))
            if not due:
                break
        return self.assess(now)

    def assess(self, now: datetime) -> Assessment:
        start = self.policy.start_days_before
        known = Known(declaration(), self.recorded, self.created)
        return assess(known, self.source, start, now, self.policy.source_grace)

    def run(self, start: datetime, end: datetime) -> None:
        """Reconcile whenever the assessment changes by itself."""
        now = start
        while now <= end:
            found = self.reconcile(now)
            now = next_change(evaluation(found, self.policy, self.recorded, self.silence), starts=self._starts())

    def replace_source(self, seen: Certificate) -> None:
        self.source = Observation(certificate=seen)

    def stages(self, channel: str = "team") -> list[int | None]:
        """The stages sent to a channel, in order; None for a closing message."""
        return [each.stage for each in self.sent if each.channel == channel]

    def _record(self, found: Assessment) -> None:
        history = self.recorded.history
        if found.replaced is not None:
            history = (
                PreviousCertificate(found.replaced.serial_number, found.replaced.not_after, found.now),
                *history,
            )[:5]
        accepted: AcceptedCertificate | None = found.accepted
        self.recorded = replace(self.recorded, accepted=accepted, history=history)

    def _starts(self) -> datetime | None:
        return self.source.certificate.not_before if self.source.certificate else None
