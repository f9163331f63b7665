"""Counts failed deliveries, and calculates the time of each retry."""

from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.backoff import Backoff
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.delivery_log import REPORTED_AFTER, DeliveryFailure, whole_second
from clientcert.notifiers.interface import Pace

LEADERSHIP_RETRY = timedelta(seconds=5)
"""The delay of the next try if this replica must not send for the moment."""
HEAD_OF_LINE_TRIES = 2
"""Failures after which a message loses its place at the head of its channel's queue."""
OF_THE_RECIPIENT = frozenset({Reason.RECIPIENT_REFUSED, Reason.CONTACT_INVALID, Reason.RECIPIENT_NOT_ALLOWED})
"""Reasons that no retry can fix: the recipient has to be corrected."""
_FIRST_SECONDS, _FIRST_SECONDS_AFTER_REFUSAL = 5.0, 60.0
_LONGEST_SECONDS, _LONGEST_SECONDS_OF_RECIPIENT = 600.0, 6 * 3600.0
"""A mail server may take the operator for a spammer if it often tries mailboxes that do not exist."""
_WAITS = (
    "a message waits for its turn, because the channel takes fewer messages than are due: have alerts grouped"
    " (spec.alerts.group), or use a channel that fewer certificates share"
)
_NOT_OF_THE_CHANNEL = frozenset(
    {Reason.INTERNAL_ERROR, Reason.API_UNAVAILABLE, Reason.CONTACT_NOT_FOUND, Reason.RECIPIENT_UNAVAILABLE}
)


def next_failure(
    before: DeliveryFailure | None, error: DeliveryError, now: datetime, *, waits_for_channel: bool
) -> DeliveryFailure:
    """The failure after one more failed attempt.

    With `waits_for_channel` the retry comes when the channel takes messages again, else after a backoff.
    """
    attempts = before.attempts + 1 if before else 1
    first = _FIRST_SECONDS if error.retryable else _FIRST_SECONDS_AFTER_REFUSAL
    longest = _LONGEST_SECONDS_OF_RECIPIENT if error.reason in OF_THE_RECIPIENT else _LONGEST_SECONDS
    delay = timedelta(seconds=error.retry_after or Backoff(first, longest).delay(attempts))
    return DeliveryFailure(
        reason=error.reason,
        message=error.message,
        permanent=not error.retryable,
        since=before.since if before else whole_second(now),
        attempts=attempts,
        # A rate limit says nothing about this message; any other failure may be its own fault.
        own_failures=(before.own_failures if before else 0) + (error.reason is not Reason.RATE_LIMITED),
        next_try=None if waits_for_channel else now + delay,
    )


def is_of_the_channel(error: DeliveryError, pace: Pace) -> bool:
    """True if the channel accepts no other message either."""
    if is_of_the_destination(error, pace):
        return False
    # A wrong login fails for every message, and each attempt brings the account closer to being locked.
    lasting = error.retryable or error.reason is Reason.MAIL_LOGIN_REJECTED
    return lasting and not error.elsewhere and error.reason not in _NOT_OF_THE_CHANNEL


def is_of_the_destination(error: DeliveryError, pace: Pace) -> bool:
    """True if the destination of the message accepts nothing for now, but the channel may accept other messages."""
    about_it = error.answered or error.reason is Reason.RECIPIENT_UNAVAILABLE
    return bool(pace.destination) and about_it and error.retryable and not error.elsewhere


def blocked_by(blocked: DeliveryFailure, own: DeliveryFailure | None) -> DeliveryFailure:
    """The failure of a message that waits: its own, reported as soon as that for which it waits is."""
    if own is None:
        return blocked
    return own if own.is_reported else replace(own, attempts=REPORTED_AFTER)


def waiting(now: datetime) -> DeliveryFailure:
    """The failure of a message that has waited too long for its turn. It is sent without a further attempt."""
    return DeliveryFailure(Reason.CHANNEL_BUSY, _WAITS, False, whole_second(now), 0, 0, None, channel_wide=True)
