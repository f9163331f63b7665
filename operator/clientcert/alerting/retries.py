"""What became of a notification, as the record of its certificate remembers it until the status does."""

from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.cache.objects import CertificateRecord, Failure
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.due import DueNotification, record_of
from clientcert.lifecycle.policy import Role
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus

_FIRST_RETRY = timedelta(seconds=5)
_FIRST_RETRY_OF_REFUSED = timedelta(minutes=1)
_SLOWEST_RETRY = timedelta(minutes=10)
_SLOWEST_RETRY_OF_RECIPIENT = timedelta(hours=6)
"""A mail server that is asked for people who are not there, again and again, takes us for a spammer."""
OF_THE_RECIPIENT = frozenset({Reason.RECIPIENT_REFUSED, Reason.CONTACT_INVALID, Reason.RECIPIENT_NOT_ALLOWED})
"""What is about whom a letter is to, and hardly another thing at the next try."""


def note_told(
    record: CertificateRecord,
    assessment: Assessment,
    notification: DueNotification,
    when: datetime,
    thread_ref: str = "",
    recipient_role: Role | None = None,
) -> None:
    """It was sent, at `when`; the status shall say so."""
    name = notification.channel.name
    told = record_of(remembered(record), assessment, notification, when, thread_ref, recipient_role)
    record.sent = {**(record.sent or {}), name: told}
    record.failing = {other: failure for other, failure in (record.failing or {}).items() if other != name} or None


def note_failed(
    record: CertificateRecord, channel: str, error: DeliveryError, now: datetime, *, place_rests: bool
) -> Failure:
    """It could not be sent, and is tried again: when the place takes messages again, or after a time of its own.

    Returns what is remembered of it.
    """
    before = (record.failing or {}).get(channel)
    attempts = before.attempts + 1 if before else 1
    first = _FIRST_RETRY if error.retryable else _FIRST_RETRY_OF_REFUSED
    slowest = _SLOWEST_RETRY_OF_RECIPIENT if error.reason in OF_THE_RECIPIENT else _SLOWEST_RETRY
    asked = timedelta(seconds=error.retry_after) if error.retry_after else None
    failure = Failure(
        reason=error.reason,
        message=error.message,
        permanent=not error.retryable,
        since=before.since if before else second(now),
        attempts=attempts,
        # Whoever asks to wait says nothing about this one message; anything else may be its own fault.
        strikes=(before.strikes if before else 0) + (error.reason is not Reason.RATE_LIMITED),
        next_try=None if place_rests else now + (asked or min(first * 2 ** min(attempts - 1, 10), slowest)),
    )
    record.failing = {**(record.failing or {}), channel: failure}
    return failure


def forget_refusals(record: CertificateRecord) -> None:
    """Others are written to from now on: what became of letters to those before them says nothing of these."""
    failing = {name: each for name, each in (record.failing or {}).items() if each.reason not in OF_THE_RECIPIENT}
    record.failing = failing or None


def remembered(record: CertificateRecord) -> CertificateStatus:
    """What the status says, and over it what was sent and is not in the status yet."""
    failing = {name: failure for name, failure in (record.failing or {}).items() if failure.counts}
    told = {channel.name: channel for channel in record.recorded.channels}
    told.update(record.sent or {})
    for name, failure in failing.items():
        known = told.get(name) or ChannelStatus(name, "", None, None)
        told[name] = replace(known, last_failure=known.last_failure or failure.since)
    return replace(record.recorded, channels=tuple(told.values())) if told else record.recorded


def second(moment: datetime) -> datetime:
    """A moment as a status can say it: what was written is told from what another has written by comparing them."""
    return moment.replace(microsecond=0)
