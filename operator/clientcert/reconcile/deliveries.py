"""What became of a notification, as the record of its certificate remembers it until the status does."""

from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.alerts import DueNotification, MessageKind, next_stage
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.recorded import ChannelRecord, Recorded
from clientcert.reconcile.records import CertificateRecord, Failure

_FIRST_RETRY = timedelta(seconds=5)
_FIRST_RETRY_OF_REFUSED = timedelta(minutes=1)
_SLOWEST_RETRY = timedelta(minutes=10)


def note_told(
    record: CertificateRecord,
    assessment: Assessment,
    notification: DueNotification,
    when: datetime,
    thread_ref: str = "",
) -> None:
    """It was sent, at `when`; the status shall say so."""
    channel, upcoming = notification.channel, next_stage(assessment, notification.channel)
    before = remembered(record).channel(channel.name)
    again = before is not None and before.stage is not None and before.fingerprint_sha256 == assessment.fingerprint
    first = before.first_sent if before is not None and again else second(when)
    told = ChannelRecord(
        name=channel.name,
        fingerprint_sha256=assessment.fingerprint,
        stage=notification.stage,
        last_sent=second(when),
        next_time=upcoming.slot if upcoming else None,
        thread_ref=thread_ref if notification.kind is MessageKind.ALERT else "",
        first_sent=first if notification.kind is MessageKind.ALERT else None,
    )
    record.sent = {**(record.sent or {}), channel.name: told}
    record.failing = {name: f for name, f in (record.failing or {}).items() if name != channel.name} or None


def note_failed(
    record: CertificateRecord, channel: str, error: DeliveryError, now: datetime, *, place_rests: bool
) -> None:
    """It could not be sent, and is tried again: when the place takes messages again, or after a time of its own."""
    before = (record.failing or {}).get(channel)
    attempts = before.attempts + 1 if before else 1
    first = _FIRST_RETRY if error.worth_retry else _FIRST_RETRY_OF_REFUSED
    asked = timedelta(seconds=error.retry_after) if error.retry_after else None
    failure = Failure(
        reason=error.reason,
        message=error.message,
        permanent=not error.worth_retry,
        since=before.since if before else second(now),
        attempts=attempts,
        # Whoever asks to wait says nothing about this one message; anything else may be its own fault.
        strikes=(before.strikes if before else 0) + (error.reason is not Reason.RATE_LIMITED),
        next_try=None if place_rests else now + (asked or min(first * 2 ** min(attempts - 1, 10), _SLOWEST_RETRY)),
    )
    record.failing = {**(record.failing or {}), channel: failure}


def remembered(record: CertificateRecord) -> Recorded:
    """What the status says, and over it what was sent and is not in the status yet."""
    failing = {name: failure for name, failure in (record.failing or {}).items() if failure.counts}
    told = {channel.name: channel for channel in record.recorded.channels}
    told.update(record.sent or {})
    for name, failure in failing.items():
        known = told.get(name) or ChannelRecord(name, "", None, None)
        told[name] = replace(known, last_failure=known.last_failure or failure.since)
    return replace(record.recorded, channels=tuple(told.values())) if told else record.recorded


def second(moment: datetime) -> datetime:
    """A moment as a status can say it: what was written is told from what another has written by comparing them."""
    return moment.replace(microsecond=0)
