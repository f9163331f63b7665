"""Host certificates of one batch: their requester gets one letter, about all of them, whenever each of them ends."""

from collections.abc import AsyncIterator, Hashable, Sequence
from dataclasses import replace

from clientcert.alerting.retries import remembered
from clientcert.alerting.together import Told, told_of
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.assessment import Assessment, Phase
from clientcert.lifecycle.contacts import batch_of
from clientcert.lifecycle.due import CLOCK_TOLERANCE, DueNotification, MessageKind, silenced
from clientcert.lifecycle.policy import AlertPolicy, Channel
from clientcert.loop_budget import LoopBudget
from clientcert.messages.digest import batch_letter
from clientcert.messages.message import Message


def is_of_a_batch(record: CertificateRecord, channel: Channel) -> bool:
    """Whether this channel tells of the certificate in a letter about its batch."""
    return channel.to_consumer and _batch(record) is not None


def batch_place(record: CertificateRecord, channel: Channel) -> Hashable:
    """Where those gather that the letter is about."""
    return _batch(record), channel.name


def letter_due(channel: Channel) -> DueNotification:
    """What each of a batch is told as: the one letter."""
    return DueNotification(channel, MessageKind.ALERT, channel.schedule.start_days_before)


def has_letter(record: CertificateRecord, assessment: Assessment, channel: Channel) -> bool:
    """Whether the certificate, as far as it says itself, was in a letter about its batch."""
    before = remembered(record).channel(channel.name)
    if before is None or before.stage is None or before.fingerprint_sha256 != assessment.fingerprint:
        return False
    return before.last_sent is None or before.last_sent <= assessment.now + CLOCK_TOLERANCE


async def members(
    store: ObjectCache, loop_budget: LoopBudget, record: CertificateRecord, policy: AlertPolicy, channel: Channel
) -> AsyncIterator[Told]:
    """All of the record's batch that the requester was not told of: due now, or in months.

    One that was replaced since they were issued together is for another letter, when its own time comes. The record
    itself is due, and is among them if there is a letter about it. Raises DeliveryError while not all have been read.
    """
    batch, key = _batch(record), record.policy_key
    keys = store.referring("policy", key) if key.name else tuple(store.certificates)
    for other in [store.certificates[each] for each in keys]:
        await loop_budget.yield_if_spent()
        if _batch(other) != batch:
            continue
        assessment = other.assessment
        if assessment is None or other.declaration is None or assessment.phase is Phase.PENDING:
            raise DeliveryError(
                Reason.API_UNAVAILABLE, "not all certificates of the batch have been read yet", retryable=True
            )
        renewed = other is not record and bool(remembered(other).history) and not assessment.expires_soon
        quiet = silenced(other.declaration.silence, assessment.now)
        if renewed or quiet or has_letter(other, assessment, channel):
            continue
        found = told_of(other, other.declaration, assessment, policy, letter_due(channel))
        if found is not None and found.message.letters:
            yield found


def letter(told: Sequence[Told]) -> Message:
    """The most urgent one's message, with a letter about all of them."""
    # By name where they end in the same second, so that a repeat is the same letter.
    messages = sorted((each.message for each in told), key=lambda each: (str(each.about.not_after), each.object_key))
    batch = told[0].record.declaration.batch if told[0].record.declaration else ""
    return replace(messages[0], letters=(batch_letter(batch, messages),))


def _batch(record: CertificateRecord) -> Hashable:
    return batch_of(record.key.namespace, record.declaration) if record.declaration else None
