"""The time of the next reconcile of a certificate, if nothing happens before. Pure."""

from datetime import datetime, timedelta

from clientcert.alerting.fallback_channel import FALLBACK_AFTER
from clientcert.alerting.retries import LEADERSHIP_RETRY
from clientcert.lifecycle.due import next_change
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.renewal.standing import standing
from clientcert.pki.der import shifted

ROUNDING = timedelta(seconds=1)
"""Added to each due time, so that the reconcile comes just after the change that is expected then."""
_EVENT_RETRY = timedelta(seconds=30)
_LOOKUP_RETRY, _LOOKUP_AGAIN = timedelta(minutes=5), timedelta(minutes=15)
"""After a failed lookup, and for an unknown contact; long, because thousands of lookups may come at once."""


def next_requeue(
    evaluation: Evaluation, starts: datetime | None, read_at: datetime | None, *, owes_events: bool, held_back: bool
) -> datetime:
    """The earliest time at which anything may change.

    `starts` is the notBefore of the certificate in the source; `read_at` is the time of the next read of the source.
    With `held_back`, this replica must not send for the moment.
    """
    now, contact = evaluation.assessment.now, evaluation.contact
    moments = [next_change(evaluation, starts)]
    for failure in evaluation.failures.values():
        # A message whose retry time has passed waits for a slot or a group, which enqueues the certificate.
        moments += [moment for moment in (failure.since + FALLBACK_AFTER, failure.next_try) if moment and moment > now]
        if failure.next_try is None and not failure.channel_wide:
            moments.append(now + _EVENT_RETRY)
    if evaluation.renewal is not None and (changes := standing(evaluation).next_change(now)) is not None:
        moments.append(changes)
    if read_at is not None:
        moments.append(max(read_at, now))
    if owes_events:
        moments.append(now + _EVENT_RETRY)
    if held_back:
        moments.append(now + LEADERSHIP_RETRY)
    if contact is not None and not contact.resolved:
        moments.append(now + (_LOOKUP_RETRY if contact.retried else _LOOKUP_AGAIN))
    return shifted(min(moments), ROUNDING)
