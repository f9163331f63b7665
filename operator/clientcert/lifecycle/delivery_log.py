"""The messages that each channel got about one certificate: recorded in its status, by a digest, or not yet."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from clientcert.errors import Reason
from clientcert.lifecycle.policy import Channel, Role
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus, DigestRecord, FallbackRecipient

CLOCK_TOLERANCE = timedelta(days=1)
"""A record from further in the future was written while the clock was wrong. It is ignored."""
REPORTED_AFTER = 3
"""The number of failed attempts in a row after which a transient failure is written into a status."""


class MessageKind(StrEnum):
    """The purpose of a message."""

    ALERT = "Alert"
    CLOSING = "Closing"
    NOTICE = "Notice"
    """About a renewal: it neither begins nor ends the alerts about the certificate."""
    TEST = "Test"
    """A test of the channel, which somebody has asked for: nobody has to do anything."""


@dataclass(frozen=True, slots=True)
class DueNotification:
    """A message that is due for one channel."""

    channel: Channel
    kind: MessageKind
    stage: int | None
    """Days before notAfter; None for a closing message."""
    problem: str | None = None
    """The reason of the problem that an alert to the team reports; None if there is none."""
    begins: bool = False
    """True if the alert is due because the problem has begun; its stage was told before."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification that the receiver has accepted."""

    time: datetime
    thread_ref: str = ""
    recipient_role: Role | None = None
    fallback_recipient: FallbackRecipient | None = None


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """A notification that could not be sent, and stays due."""

    reason: Reason
    message: str
    permanent: bool
    """True if the same attempt would fail again, so somebody has to correct something."""
    since: datetime
    attempts: int
    own_failures: int
    """The number of attempts that failed for another reason than a rate limit."""
    next_try: datetime | None
    """None: as soon as the channel accepts a message again."""
    channel_wide: bool = False
    """True if another message of the same channel has failed, and this one waits for it."""

    @property
    def is_reported(self) -> bool:
        """True if people should know: it is permanent, has lasted for several attempts, or there was none for long."""
        return self.permanent or self.attempts >= REPORTED_AFTER or self.reason is Reason.CHANNEL_BUSY

    def waits(self, now: datetime) -> bool:
        """True if the next try is still to come."""
        return self.next_try is not None and now < self.next_try


@dataclass(frozen=True, slots=True)
class UnrecordedDelivery:
    """A notification that was sent, but is not in the status yet."""

    before: tuple[ChannelStatus | None, ...]
    """The content of the status when it was sent, and an earlier delivery that the status did not record then."""
    after: ChannelStatus
    """The new content of the status."""


@dataclass(frozen=True, slots=True)
class DeliveryLog:
    """The deliveries of one certificate."""

    channels: tuple[ChannelStatus, ...] = ()
    digests: tuple[DigestRecord, ...] = ()
    """The digests of the certificate's policy, newest first."""
    uid: str = ""

    @classmethod
    def of(
        cls,
        uid: str,
        status: CertificateStatus,
        digests: tuple[DigestRecord, ...] = (),
        unrecorded: Iterable[UnrecordedDelivery] = (),
    ) -> "DeliveryLog":
        """Combine the status with the deliveries that it does not record yet.

        If another replica has recorded another delivery of a channel meanwhile, that record is newer and is kept.
        """
        log = cls(status.channels, digests, uid)
        recorded = log
        for delivery in unrecorded:
            known = _message(recorded.channel(delivery.after.name))
            if known in map(_message, (*delivery.before, delivery.after)):
                log = log.with_channel(delivery.after)
        return log

    def channel(self, name: str) -> ChannelStatus | None:
        """The last delivery of this channel, or None."""
        for each in self.channels:
            if each.name == name:
                return each
        return None

    def with_channel(self, told: ChannelStatus) -> "DeliveryLog":
        """The log after this delivery."""
        if self.channel(told.name) is None:
            return replace(self, channels=(*self.channels, told))
        return replace(self, channels=tuple(told if each.name == told.name else each for each in self.channels))

    def recovered(self, now: datetime) -> "DeliveryLog":
        """The log once the source was seen without a problem: a problem that begins again is a new one."""
        channels = []
        for told in self.channels:
            last = told.problems[-1].time if told.problems else None
            if last is not None and (told.recovered is None or told.recovered < last):
                channels.append(replace(told, recovered=max(whole_second(now), last)))
            else:
                channels.append(told)
        return replace(self, channels=tuple(channels))

    def with_failures(self, failures: Mapping[str, DeliveryFailure]) -> "DeliveryLog":
        """The log with the first failure of each failing channel, as the status shows it."""
        log = self
        for name, failure in failures.items():
            if failure.is_reported and failure.reason is not Reason.CHANNEL_BUSY:
                told = self.channel(name) or ChannelStatus(name, "", None, None)
                log = log.with_channel(replace(told, last_failure=told.last_failure or failure.since))
        return log

    def told_by_digest(
        self, notification: DueNotification, fingerprint: str, now: datetime
    ) -> tuple[DueNotification, datetime] | None:
        """The notification as a digest has contained it, and the time of that, if the status does not record it yet.

        The digest may have reported the stage without the problem, which has begun since. None if no digest did.
        """
        if notification.kind is not MessageKind.ALERT:
            return None
        before = self.channel(notification.channel.name)
        for digest in self.digests:
            if before is not None and before.last_sent is not None and before.last_sent >= digest.sent_time:
                continue  # the status records it, or a later message: after a roll-back it is sent once more
            if digest.sent_time > now + CLOCK_TOLERANCE:
                continue
            contained = digest.channel == notification.channel.name and _contained(
                digest, self.uid, fingerprint, notification
            )
            if contained:
                return contained, digest.sent_time
        return None

    def fallback_recipient(
        self, channels: Iterable[Channel], earlier: Collection[ChannelStatus] = ()
    ) -> FallbackRecipient | None:
        """The fallback recipient of the last letter of these channels; None if the first recipient was reached.

        The `earlier` letters went to other recipients and do not count; nor do escalations.
        """
        last: ChannelStatus | None = None
        for channel in channels:
            told = self.channel(channel.name) if channel.to_consumer and not channel.escalation else None
            if told is None or told.last_sent is None or told in earlier:
                continue
            if last is None or last.last_sent is None or told.last_sent > last.last_sent:
                last = told
        return last.fallback_recipient if last else None


def _message(told: ChannelStatus | None) -> tuple[object, ...]:
    """The facts that identify the last message of a channel; a failure since then does not change them."""
    return (told.last_sent, told.stage, told.fingerprint_sha256) if told else (None, None, "")


def _contained(
    digest: DigestRecord, uid: str, fingerprint: str, notification: DueNotification
) -> DueNotification | None:
    """The notification with the problem that the digest reported; None if the digest did not contain it."""
    problems = (notification.problem,) if notification.begins else (notification.problem, None, *Reason)
    for problem in problems:
        candidate = replace(notification, problem=problem)
        if digest_key(uid, fingerprint, candidate) in digest.keys:
            return candidate
    # Version 0.1 has told the problem that there was, and did not record it.
    return None if notification.begins or _key_0_1(uid, fingerprint, notification) not in digest.keys else notification


def digest_key(uid: str, fingerprint: str, notification: DueNotification) -> bytes:
    """Eight bytes that identify a notification, short enough for a thousand of them in one status."""
    facts = f"{uid} {fingerprint} {notification.stage} {notification.channel.name} {notification.problem or ''}"
    return hashlib.blake2b(facts.encode(), digest_size=8).digest()


def _key_0_1(uid: str, fingerprint: str, notification: DueNotification) -> bytes:
    """The key as version 0.1 made it; the next version removes it."""
    facts = f"{uid} {fingerprint} {notification.stage} {notification.channel.name}"
    return hashlib.blake2b(facts.encode(), digest_size=8).digest()


def whole_second(moment: datetime) -> datetime:
    """A moment in the precision of a status; else a record could not be compared with the status that is read back.

    Equal results share one object while it is cached: many statuses are written within a second.
    """
    return _shared(moment.replace(microsecond=0))


@lru_cache(maxsize=1024)
def _shared(moment: datetime) -> datetime:
    return moment
