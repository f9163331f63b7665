"""Decides which channels have a message due now, and when the next change happens without an event."""

from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.delivery_log import CLOCK_TOLERANCE, Delivery, DueNotification, MessageKind, whole_second
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.policy import Channel, Role, Schedule
from clientcert.lifecycle.recorded_status import ChannelStatus, ToldProblem
from clientcert.lifecycle.renewal.situation import RenewalSituation
from clientcert.lifecycle.renewal.status import State
from clientcert.lifecycle.schedule import DAY, Stage, every_day, latest_due, next_after
from clientcert.lifecycle.spec import UNUSABLE_SPEC, Silence
from clientcert.pki.der import shifted

_TOLD_AGAIN_AFTER = timedelta(hours=1)
"""A problem that was over and begins again is told again at the earliest this long after the last message."""
_NEAREST_FIRST = (Role.SLACK, Role.TECHNICAL, Role.BUSINESS)
"""The roles that can renew the certificate, before the role that can only name another contact."""
MOST_PROBLEMS = 16
"""The number of reasons that the record of a channel has room for."""


def due_notifications(evaluation: Evaluation) -> tuple[DueNotification, ...]:
    """The messages that are due at the evaluation's `now`: at most one for each channel, a closing message first.

    An alert is due if its stage was not told yet, or if the team was not told of the problem yet: a problem that
    begins, or has another reason, is not held back until the next stage.

    If the last letter went to a recipient in a later role because no other was known, and a recipient in an earlier
    role is known now, the same stage is due once more.
    """
    assessment = evaluation.assessment
    if (
        evaluation.spec is UNUSABLE_SPEC
        or silenced(evaluation.spec.silence, assessment.now)
        or assessment.phase is Phase.PENDING
    ):
        return ()
    owed = []
    for channel in evaluation.policy.channels:
        if channel.escalation and _is_too_early(channel, evaluation):
            continue
        notification = _owed(channel, evaluation)
        if notification is None:
            continue
        if evaluation.renewal is None or not _rests(notification, evaluation.renewal):
            owed.append(notification)
    return tuple(owed)


def next_due(evaluation: Evaluation) -> datetime | None:
    """The time at which a message may be due next if nothing else happens; None: never again."""
    now, silence = evaluation.assessment.now, evaluation.spec.silence
    moments = [evaluation.assessment.grace_ends] if evaluation.assessment.grace_ends else []
    for channel in evaluation.policy.channels:
        stage, told = next_stage(evaluation.assessment, channel), evaluation.log.channel(channel.name)
        if stage is not None:
            moments.append(stage.slot)
        if evaluation.assessment.alarm is not None and told is not None:
            again = _problem_due(told, evaluation.assessment.alarm.reason, now)
            moments += [again] if again is not None and again > now else []
        if channel.escalation and not _is_not_for(channel, evaluation.assessment):
            begins = _escalates_from(channel, evaluation)
            if begins is not None and begins > now:
                moments.append(begins)
    if silence is not None and silenced(silence, now):
        moments.append(silence.until)
    return min(moments, default=None)


def next_change(evaluation: Evaluation, starts: datetime | None = None) -> datetime:
    """The first moment at which the same facts have another result.

    `starts` is the notBefore of a certificate that waits in the source, if there is one.
    """
    now, due, accepted = evaluation.assessment.now, next_due(evaluation), evaluation.assessment.accepted
    moments = [moment for moment in (starts, due) if moment and moment > now]
    if accepted is not None:
        expires = evaluation.assessment.expires.time
        whole_days = expires - ((expires - now) // DAY) * DAY
        # The window opens at the instant itself; daysRemaining, rounded down, changes just after it.
        moments.append(whole_days if whole_days > now else shifted(whole_days, timedelta.resolution))
    return min(moments, default=now + DAY)


def next_stage(assessment: Assessment, channel: Channel) -> Stage | None:
    """The next stage of this channel, or None if its schedule has ended."""
    if _is_not_for(channel, assessment):
        return None
    return next_after(_schedule(assessment, channel), assessment.expires.time, assessment.now)


def silenced(silence: Silence | None, now: datetime) -> bool:
    """True if alerts for the object are silenced now."""
    return silence is not None and now < silence.until


def delivered(evaluation: Evaluation, notification: DueNotification, delivery: Delivery) -> ChannelStatus:
    """The status of the channel after this notification was sent."""
    assessment, channel = evaluation.assessment, notification.channel
    before, upcoming = evaluation.log.channel(channel.name), next_stage(assessment, channel)
    sent = whole_second(delivery.time)
    told = ChannelStatus(
        name=channel.name,
        fingerprint_sha256=assessment.fingerprint,
        stage=notification.stage,
        last_sent=sent,
        next_time=upcoming.slot if upcoming else None,
    )
    if assessment.accepted is not None and assessment.accepted.ends_first is not None:
        told = replace(told, leaf_fingerprint_sha256=assessment.accepted.fingerprint_sha256)
    if notification.kind is MessageKind.CLOSING:
        return told
    first: datetime | None = sent
    if before is not None and before.stage is not None and before.fingerprint_sha256 == assessment.fingerprint:
        # A first time in the future was recorded while a clock ran ahead.
        first = min(before.first_sent, sent) if before.first_sent else None
    problems = (ToldProblem(notification.problem, sent),) if notification.problem else ()
    recovered = None
    if before is not None and notification.begins:
        others = tuple(each for each in before.problems if each.reason != notification.problem)
        problems = (*others, *problems)[-MOST_PROBLEMS:]
        recovered = min(before.recovered, shifted(sent, -timedelta(seconds=1))) if before.recovered else None
    return replace(
        told,
        first_sent=first,
        problems=problems,
        recovered=recovered,
        thread_ref=delivery.thread_ref,
        recipient_role=delivery.recipient_role,
        fallback_recipient=delivery.fallback_recipient,
    )


def _owed(channel: Channel, evaluation: Evaluation) -> DueNotification | None:
    assessment, told = evaluation.assessment, evaluation.log.channel(channel.name)
    replaced = told is not None and told.stage is not None and told.fingerprint_sha256 not in assessment.fingerprints
    if replaced and not (channel.to_consumer and assessment.host):
        return DueNotification(channel, MessageKind.CLOSING, None)
    if _is_not_for(channel, assessment):
        return None
    stage = latest_due(_schedule(assessment, channel), assessment.expires.time, assessment.now)
    if stage is None:
        return None
    # The consumer cannot fix our sources, and an escalation counts days.
    alarm = None if channel.to_consumer or channel.escalation else assessment.alarm
    problem = alarm.reason if alarm else None
    once = assessment.host and channel.to_consumer and not replaced
    if told is not None and _was_told(told, stage, assessment, once=once):
        begins = _problem_due(told, problem, assessment.now) if problem is not None else None
        if begins is not None and begins <= assessment.now:
            return DueNotification(channel, MessageKind.ALERT, told.stage, problem, begins=True)
        is_letter = channel.to_consumer and not channel.escalation
        if not is_letter or not _is_for_somebody_nearer(evaluation, told):
            return None
    return DueNotification(channel, MessageKind.ALERT, stage.days, problem)


def _problem_due(told: ChannelStatus, problem: str, now: datetime) -> datetime | None:
    """The time from which a problem is due whose stage was told; None if the channel knows of it already."""
    for each in told.problems:
        if each.reason == problem:
            if told.recovered is None or told.recovered < each.time:
                return None
            return shifted(each.time, _TOLD_AGAIN_AFTER) if each.time <= now else now
    return now


def _was_told(told: ChannelStatus, stage: Stage, assessment: Assessment, *, once: bool) -> bool:
    """`once`: the channel has a single stage, so any recorded stage counts, even if the policy has changed since."""
    if told.stage is None or told.fingerprint_sha256 != assessment.fingerprint:
        return False
    from_the_future = told.last_sent is not None and told.last_sent > assessment.now + CLOCK_TOLERANCE
    if once:
        return not from_the_future
    return told.stage <= stage.days and not (from_the_future and told.stage < stage.days)


def _is_for_somebody_nearer(evaluation: Evaluation, told: ChannelStatus) -> bool:
    """True if a known recipient precedes the recipient of the last letter."""
    contact = evaluation.contact
    if contact is None or not contact.resolved or contact.fallback_recipient is not None:
        return False  # the first recipient is unknown, or could not be reached
    first, last = contact.recipients[0].role, told.recipient_role
    if first not in _NEAREST_FIRST or last not in _NEAREST_FIRST:
        return False
    return _NEAREST_FIRST.index(first) < _NEAREST_FIRST.index(last)


def _rests(notification: DueNotification, renewal: RenewalSituation) -> bool:
    """True for an escalation while a request for a renewal is open, and for a letter once it was delivered."""
    request = renewal.open_request
    if request is None or notification.kind is not MessageKind.ALERT:
        return False
    has_it = request.state is State.DELIVERED and notification.channel.to_consumer
    return notification.channel.escalation or has_it


def _is_too_early(channel: Channel, evaluation: Evaluation) -> bool:
    begins = _escalates_from(channel, evaluation)
    return begins is not None and evaluation.now < begins


def _escalates_from(channel: Channel, evaluation: Evaluation) -> datetime | None:
    """The earliest time of an escalation, after the wait that the policy sets for earlier recipients; None: no wait."""
    log, current, every = evaluation.log, evaluation.assessment.fingerprints, evaluation.policy.channels
    before = log.channel(channel.name)
    if channel.escalate_after is None or (before is not None and before.stage is not None):
        return None  # the escalation was sent already, about this certificate or about the replaced one
    earlier = (other for other in every if not other.escalation and other.type != "Event")
    # A letter that reports no progress since the last letter follows that letter, not the team's alerts.
    others = {other.name for other in earlier if other.to_consumer or not channel.to_consumer}
    uncounted = {other.name for other in every} - others
    told = [
        each.first_sent
        for each in log.channels
        if each.name not in uncounted  # a channel that is no longer in the policy got alerts as well
        if each.stage is not None and each.fingerprint_sha256 in current
    ]
    if not others or None in told:  # an older version did not record the first time: only the schedule decides
        return None
    failures = [each.last_failure for each in log.channels if each.name in others]
    failed = [failure for failure in failures if _is_about_this_certificate(failure, evaluation)]
    since = [moment for moment in (*told, *failed) if moment]
    return shifted(min(since, default=evaluation.now), channel.escalate_after * DAY)


def _is_about_this_certificate(failure: datetime | None, evaluation: Evaluation) -> bool:
    """False for a failure to alert about the previous certificate."""
    if failure is None or evaluation.assessment.replaced is not None:
        return False
    history = evaluation.status.history
    return not (history and failure < whole_second(history[0].replaced_time))


def _is_not_for(channel: Channel, assessment: Assessment) -> bool:
    """True if there is no date to report or escalate, or somebody has acknowledged the escalation.

    A consumer is not alerted about somebody else's certificate: the team has to fix that.
    """
    if channel.to_consumer and assessment.foreign:
        return True
    team_knows_nothing = assessment.alarm is None or channel.to_consumer or channel.escalation
    dateless = assessment.accepted is None and team_knows_nothing
    return dateless or (channel.escalation and assessment.acknowledged)


def _schedule(assessment: Assessment, channel: Channel) -> Schedule:
    if assessment.host and channel.to_consumer:
        # The requester is notified once, when the last month begins: a host certificate is not renewed here.
        return replace(channel.schedule, on_days=(channel.schedule.start_days_before,), after_expiry_for_days=0)
    if assessment.alarm is None or channel.to_consumer or channel.escalation:
        return channel.schedule
    daily = every_day(channel.schedule)
    # A team's end of alerts counts from notAfter; if no notAfter is known, alerts go on.
    return daily if assessment.accepted else replace(daily, after_expiry_for_days=None)
