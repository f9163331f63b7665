"""Which channels are owed a message now, and when something will change by itself."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from clientcert.lifecycle.assessment import Assessment, Phase
from clientcert.lifecycle.policy import AlertPolicy, Channel, Role, Schedule
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus
from clientcert.lifecycle.schedule import DAY, Stage, every_day, latest_due, next_after
from clientcert.lifecycle.spec import Silence

CLOCK_TOLERANCE = timedelta(days=1)
"""A record from further in the future than this was written while the clock was wrong, and is not believed."""

_NEAREST_FIRST = (Role.SLACK, Role.TECHNICAL, Role.BUSINESS)
"""Who can do what a letter asks for, before who can name somebody."""


class MessageKind(StrEnum):
    """What a message is for."""

    ALERT = "Alert"
    CLOSING = "Closing"


@dataclass(frozen=True, slots=True)
class DueNotification:
    """One channel is owed one message."""

    channel: Channel
    kind: MessageKind
    stage: int | None
    """Days before notAfter; None for a closing message."""


def due_notifications(
    assessment: Assessment,
    policy: AlertPolicy,
    recorded: CertificateStatus,
    silence: Silence | None,
    first: Role | None = None,
) -> tuple[DueNotification, ...]:
    """What each channel is owed at the assessment's `now`; at most one message a channel, the closing one first.

    `first` is whom a letter would go to now, if that is known: should the last one have gone to somebody who was
    only asked because nobody nearer was known, the same is told once more, to whom it is for.
    """
    if silenced(silence, assessment.now) or assessment.phase is Phase.PENDING:
        return ()
    owed = (
        _owed(assessment, channel, recorded.channel(channel.name), first)
        for channel in policy.channels
        if not _is_too_early(channel, assessment, policy, recorded)
    )
    return tuple(notification for notification in owed if notification is not None)


def next_due(
    assessment: Assessment, policy: AlertPolicy, recorded: CertificateStatus, silence: Silence | None
) -> datetime | None:
    """When a message may be due next, if nothing else happens; None: never again."""
    now = assessment.now
    moments = [stage.slot for channel in policy.channels if (stage := next_stage(assessment, channel))]
    moments += [
        begins
        for channel in policy.channels
        if not _is_nothing_to(channel, assessment)
        if (begins := _escalates_from(channel, assessment, policy, recorded)) and begins > now
    ]
    if silence is not None and silenced(silence, now):
        moments.append(silence.until)
    return min(moments, default=None)


def next_change(
    assessment: Assessment,
    policy: AlertPolicy,
    recorded: CertificateStatus,
    silence: Silence | None,
    starts: datetime | None = None,
) -> datetime:
    """The first moment at which the same facts would be judged otherwise.

    `starts` is the notBefore of a certificate that waits in the source, if one does.
    """
    now, due = assessment.now, next_due(assessment, policy, recorded, silence)
    moments = [moment for moment in (starts, due) if moment and moment > now]
    if assessment.accepted is not None:
        whole_days = assessment.accepted.not_after - ((assessment.accepted.not_after - now) // DAY) * DAY
        # The window opens at the instant itself; daysRemaining, rounded down, changes just after it.
        moments.append(whole_days if whole_days > now else whole_days + timedelta.resolution)
    return min(moments, default=now + DAY)


def next_stage(assessment: Assessment, channel: Channel) -> Stage | None:
    """The stage that this channel comes to next, if its schedule goes on."""
    if _is_nothing_to(channel, assessment):
        return None
    return next_after(_schedule(assessment, channel), assessment.alert_from, assessment.now)


def silenced(silence: Silence | None, now: datetime) -> bool:
    """Whether alerts for the object are silenced now."""
    return silence is not None and now < silence.until


def _owed(
    assessment: Assessment, channel: Channel, record: ChannelStatus | None, first: Role | None
) -> DueNotification | None:
    replaced = record is not None and record.stage is not None and record.fingerprint_sha256 != assessment.fingerprint
    if replaced and not (channel.to_consumer and assessment.host):
        return DueNotification(channel, MessageKind.CLOSING, None)
    if _is_nothing_to(channel, assessment):
        return None
    stage = latest_due(_schedule(assessment, channel), assessment.alert_from, assessment.now)
    once = assessment.host and channel.to_consumer and not replaced
    if stage is None:
        return None
    is_letter = channel.to_consumer and not channel.escalation
    if _was_told(record, stage, assessment, once=once) and not (is_letter and _is_nearer(first, record)):
        return None
    return DueNotification(channel, MessageKind.ALERT, stage.days)


def _was_told(record: ChannelStatus | None, stage: Stage, assessment: Assessment, *, once: bool) -> bool:
    """`once`: of any stage, since that is the only one that there is, whatever the policy has made of it since."""
    if record is None or record.stage is None or record.fingerprint_sha256 != assessment.fingerprint:
        return False
    from_the_future = record.last_sent is not None and record.last_sent > assessment.now + CLOCK_TOLERANCE
    if once:
        return not from_the_future
    return record.stage <= stage.days and not (from_the_future and record.stage < stage.days)


def _is_nearer(first: Role | None, record: ChannelStatus | None) -> bool:
    """Whether somebody is known who stands before whoever got the last letter."""
    if first not in _NEAREST_FIRST or record is None or record.recipient_role not in _NEAREST_FIRST:
        return False
    return _NEAREST_FIRST.index(first) < _NEAREST_FIRST.index(record.recipient_role)


def record_of(
    recorded: CertificateStatus,
    assessment: Assessment,
    notification: DueNotification,
    when: datetime,
    thread_ref: str = "",
    recipient_role: Role | None = None,
) -> ChannelStatus:
    """What is remembered of a notification that was sent at `when`, which is rounded down to what a status can say."""
    channel, upcoming = notification.channel, next_stage(assessment, notification.channel)
    before, sent = recorded.channel(channel.name), when.replace(microsecond=0)
    again = before is not None and before.stage is not None and before.fingerprint_sha256 == assessment.fingerprint
    first: datetime | None = sent
    if before is not None and again:  # a clock that ran ahead has not told anybody first in the future
        first = min(before.first_sent, sent) if before.first_sent else None
    is_alert = notification.kind is MessageKind.ALERT
    return ChannelStatus(
        name=channel.name,
        fingerprint_sha256=assessment.fingerprint,
        stage=notification.stage,
        last_sent=sent,
        next_time=upcoming.slot if upcoming else None,
        thread_ref=thread_ref if is_alert else "",
        first_sent=first if is_alert else None,
        recipient_role=recipient_role if is_alert else None,
    )


def _is_too_early(channel: Channel, assessment: Assessment, policy: AlertPolicy, recorded: CertificateStatus) -> bool:
    begins = _escalates_from(channel, assessment, policy, recorded)
    return begins is not None and assessment.now < begins


def _escalates_from(
    channel: Channel, assessment: Assessment, policy: AlertPolicy, recorded: CertificateStatus
) -> datetime | None:
    """When those who are told before an escalation have had the time that the policy gives them; None: no wait."""
    before = recorded.channel(channel.name)
    if channel.escalate_after is None or (before is not None and before.stage is not None):
        return None  # it was told already, of this certificate or of the one that is to be closed
    before_it = (other for other in policy.channels if not other.escalation and other.type != "Event")
    # A letter that nothing has happened since the last one is for after that one, and not after the team's alerts.
    others = {other.name for other in before_it if other.to_consumer or not channel.to_consumer}
    uncounted = {other.name for other in policy.channels} - others
    told = [
        record.first_sent
        for record in recorded.channels
        if record.name not in uncounted  # one that is no longer in the policy was told as well
        if record.stage is not None and record.fingerprint_sha256 == assessment.fingerprint
    ]
    if not others or None in told:  # an older version has not said since when: the schedule alone decides
        return None
    failures = [record.last_failure for record in recorded.channels if record.name in others]
    failed = [failure for failure in failures if _is_about_this_one(failure, assessment, recorded)]
    since = [moment for moment in (*told, *failed) if moment]
    return min(since, default=assessment.now) + channel.escalate_after * DAY


def _is_about_this_one(failure: datetime | None, assessment: Assessment, recorded: CertificateStatus) -> bool:
    """Whether it is no failure to tell of the certificate that was there before."""
    if assessment.replaced is not None:
        return False
    return failure is not None and not (
        recorded.history and failure < recorded.history[0].replaced_time.replace(microsecond=0)
    )


def _is_nothing_to(channel: Channel, assessment: Assessment) -> bool:
    """Whether there is no date that could be told or escalated, or somebody has taken an escalation upon them.

    Nor is a consumer told of somebody else's certificate: that it is there is the team's to mend.
    """
    if channel.to_consumer and assessment.foreign:
        return True
    dateless = (channel.to_consumer or channel.escalation) and assessment.accepted is None
    return dateless or (channel.escalation and assessment.acknowledged)


def _schedule(assessment: Assessment, channel: Channel) -> Schedule:
    if assessment.host and channel.to_consumer:
        # Who asked for it is told once, when its last month begins: it is not renewed here.
        return replace(channel.schedule, on_days=(channel.schedule.start_days_before,), after_expiry_for_days=0)
    if not assessment.alerts_daily or channel.to_consumer or channel.escalation:
        return channel.schedule
    daily = every_day(channel.schedule)
    # A team's end of alerts counts from notAfter; where none is known there is nothing that it could count from.
    return daily if assessment.accepted else replace(daily, after_expiry_for_days=None)
