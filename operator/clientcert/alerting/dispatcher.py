"""Decides which messages are sent now, reserves their slots, and sends each in its channel."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from clientcert.alerting.consumer_letters import (
    has_no_recipient,
    is_given_up,
    is_outdated,
    recipients_for,
    require_recipient,
    was_delivered,
)
from clientcert.alerting.failure_counter import FailureCounter
from clientcert.alerting.grouping import AlertGroups, letter_group
from clientcert.alerting.outbox import Outbox
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.retries import HEAD_OF_LINE_TRIES, blocked_by
from clientcert.cache.object_cache import CERTIFICATE
from clientcert.cache.objects import CertificateRecord
from clientcert.errors import DeliveryError, Reason, where
from clientcert.lifecycle.delivery_log import (
    CLOCK_TOLERANCE,
    Delivery,
    DeliveryFailure,
    DueNotification,
    MessageKind,
)
from clientcert.lifecycle.due import delivered, due_notifications
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import Channel
from clientcert.messages.message import Message, compose
from clientcert.metrics import Metrics
from clientcert.notifiers.interface import Notifier, Pace, RecipientAware
from clientcert.workqueue.work_queue import Item

SEND_SECONDS = 17.0
"""The longest time that a notifier takes for one message, with all its requests."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decision:
    """The messages to send about one certificate."""

    due: tuple[DueNotification, ...]
    """Messages that are due and do not wait for a retry."""
    settled: tuple[tuple[DueNotification, Delivery], ...]
    """Notifications that need no message: a digest contained them, or a closing letter has no reachable recipient."""
    failures: Mapping[str, DeliveryFailure]
    """Earlier failures of the messages that are still due."""


def decide(evaluation: Evaluation) -> Decision:
    """Decide which messages are due, from the evaluation alone.

    While the operator only observes none is, and what an earlier digest has told is settled all the same: the policy
    keeps the record of that for a day.
    """
    now, fingerprint = evaluation.assessment.now, evaluation.assessment.fingerprint
    log, owed = evaluation.log, []
    settled = _letters_of_batches(evaluation) if log.digests and evaluation.assessment.host else []
    recalled = {notification.channel.name for notification, _ in settled}
    for notification in due_notifications(evaluation):
        if notification.channel.name in recalled:
            continue
        told = log.told_by_digest(notification, fingerprint, now) if log.digests else None
        if told is not None:
            settled.append((told[0], Delivery(told[1])))
        elif evaluation.observe_only:
            continue
        elif not notification.channel.to_consumer or not _needs_no_letter(evaluation, notification):
            owed.append(notification)
        elif notification.kind is MessageKind.CLOSING:
            settled.append((notification, Delivery(now)))
    names = {notification.channel.name for notification in owed}
    failures = {
        name: failure
        for name, failure in evaluation.failures.items()
        if name in names and not failure.channel_wide and not is_outdated(evaluation, failure)
    }
    due = []
    for notification in owed:
        failure = failures.get(notification.channel.name)
        if failure is None or not failure.waits(now):
            due.append(notification)
    return Decision(tuple(due), tuple(settled), failures)


def _needs_no_letter(evaluation: Evaluation, notification: DueNotification) -> bool:
    no_recipient = has_no_recipient(evaluation, notification.channel)
    return no_recipient or is_given_up(evaluation, notification) or was_delivered(evaluation, notification)


def _letters_of_batches(evaluation: Evaluation) -> list[tuple[DueNotification, Delivery]]:
    """Letters about a batch that contained this certificate before a message about it was due."""
    settled: list[tuple[DueNotification, Delivery]] = []
    for channel in evaluation.policy.channels:
        if letter_group(evaluation.spec, evaluation.key, channel) and not has_letter(evaluation, channel):
            letter = letter_due(channel)
            told = evaluation.log.told_by_digest(letter, evaluation.assessment.fingerprint, evaluation.now)
            if told is not None:
                settled.append((letter, Delivery(told[1])))
    return settled


def letter_due(channel: Channel) -> DueNotification:
    """The one letter about a batch, as each of its certificates records it."""
    return DueNotification(channel, MessageKind.ALERT, channel.schedule.start_days_before)


def has_letter(evaluation: Evaluation, channel: Channel) -> bool:
    """True if the certificate's own status records a letter about its batch."""
    told = evaluation.log.channel(channel.name)
    if told is None or told.stage is None or told.fingerprint_sha256 != evaluation.assessment.fingerprint:
        return False
    return told.last_sent is None or told.last_sent <= evaluation.now + CLOCK_TOLERANCE


class NotificationDispatcher:
    """Sends due messages. A failed channel never delays another: its failure is kept, and the message stays due."""

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        limiter: ChannelRateLimiter,
        groups: AlertGroups,
        outbox: Outbox,
        may_start: Callable[[float], bool],
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        """`may_start` takes seconds; it is True if work of that duration ends before another replica can lead."""
        self._notifiers = notifiers
        self._limiter = limiter
        self._groups = groups
        self._outbox = outbox
        self._may_start = may_start
        self._clock = clock
        self._metrics = metrics
        self._failure_counter = FailureCounter(limiter, clock, metrics)

    @property
    def may_send(self) -> bool:
        """True if a message could be sent and recorded before another replica can become the leader."""
        return self._may_start(SEND_SECONDS) and not self._outbox.is_blocked()

    def reserve_due(self, record: CertificateRecord, evaluation: Evaluation) -> tuple[DueNotification, ...] | None:
        """Return the messages to send now, each with its slot; the others have joined a group or wait for a slot.

        None if this replica must not send for the moment: nothing was decided.
        """
        if not self.may_send:
            return None
        decision = decide(evaluation)
        for notification, delivery in decision.settled:
            self._outbox.record_delivery(record, delivered(evaluation, notification, delivery), evaluation.log)
        failures, reserved = dict(decision.failures), []
        if evaluation.assessment.host:
            self._groups.notice(evaluation)
        for notification in decision.due:
            name, limit = notification.channel.name, self.limit(evaluation, notification)
            urgency = (rank(failures[name]) if name in failures else 0, evaluation.assessment.expires.time)
            if not self._groups.admit(evaluation, notification):
                blocked = self._groups.failure(evaluation, notification)
            elif limit is None or self._limiter.acquire(limit, Item(CERTIFICATE, record.key), urgency):
                reserved.append(notification)
                continue
            else:
                blocked = self._failure_counter.blocked(limit, Item(CERTIFICATE, record.key))
            if blocked is not None:
                failures[name] = blocked_by(blocked, failures.get(name))
        self._outbox.set_failures(record, failures)
        self._limiter.release_unused(Item(CERTIFICATE, record.key))
        return tuple(reserved)

    def release(self, record_key: Item) -> None:
        """Free the slots of an object that is gone or sends no alerts, and remove it from its groups."""
        self._groups.leave(record_key.key)
        self._limiter.release_unused(record_key)

    def compose(
        self, record: CertificateRecord, evaluation: Evaluation, reserved: Iterable[DueNotification]
    ) -> list[tuple[DueNotification, Message]]:
        """Compose each message for the recipients that are known now. A message that cannot be composed is retried."""
        messages = []
        for due in reserved:
            recipients = recipients_for(evaluation, due) if due.channel.to_consumer else ()
            try:
                messages.append((due, compose(evaluation, due, recipients)))
            except Exception as error:  # noqa: BLE001 - one channel's failure must never hold another back
                self._failed_unexpectedly(record, evaluation, due, error)
        return messages

    async def deliver(
        self, record: CertificateRecord, evaluation: Evaluation, notification: DueNotification, message: Message
    ) -> None:
        """Send one message and record the result in the outbox. A failure of the channel is recorded, not raised."""
        channel, limit, accepted = notification.channel, self.limit(evaluation, notification), False
        try:
            notifier = self.notifier(channel)
            if not self.may_send:
                return  # it stays due, for this replica or for the next leader
            if channel.to_consumer:
                require_recipient(evaluation, channel)
            receipt = await notifier.notify(channel, message)
        except DeliveryError as error:
            self._failed(record, evaluation, notification, error)
        except Exception as error:  # noqa: BLE001 - one channel's failure must never hold another back
            self._failed_unexpectedly(record, evaluation, notification, error)
        else:
            role = message.letters[0].recipient.role if message.letters else None
            fallback = receipt.fallback_recipient
            delivery = Delivery(self._clock(), receipt.thread_ref, fallback.role if fallback else role, fallback)
            self._outbox.record_delivery(record, delivered(evaluation, notification, delivery), evaluation.log)
            self._metrics.notifications.labels(channel.type, "sent").inc()
            accepted = True
        finally:
            if limit is not None:
                self._limiter.finished(limit, Item(CERTIFICATE, record.key), accepted=accepted)

    def notifier(self, channel: Channel) -> Notifier:
        """The notifier of the channel's type; raises DeliveryError for a type that this version does not know."""
        notifier = self._notifiers.get(channel.type)
        if notifier is None:
            words = f"this version cannot send to channels of type {channel.type}"
            raise DeliveryError(Reason.CHANNEL_NOT_SUPPORTED, words)
        return notifier

    def limit(self, evaluation: Evaluation, notification: DueNotification) -> Pace | None:
        """The rate limit that applies to this message; None if there is none."""
        channel, namespace = notification.channel, evaluation.key.namespace
        notifier = self._notifiers.get(channel.type)
        if channel.to_consumer and isinstance(notifier, RecipientAware):
            recipients = evaluation.recipients_for(channel)
            if recipients:
                return notifier.pace_to(namespace, channel, notification.kind, recipients[0])
        return notifier.pace(namespace, channel, notification.kind) if notifier else None

    def _failed(
        self, record: CertificateRecord, evaluation: Evaluation, notification: DueNotification, error: DeliveryError
    ) -> None:
        name, limit = notification.channel.name, self.limit(evaluation, notification)
        before, item = self._outbox.failures(record).get(name), Item(CERTIFICATE, record.key)
        failure = self._failure_counter.count(item, notification.channel, limit, error, before)
        self._outbox.set_failures(record, {**self._outbox.failures(record), name: failure})

    def _failed_unexpectedly(
        self, record: CertificateRecord, evaluation: Evaluation, notification: DueNotification, error: Exception
    ) -> None:
        """Log an error of the operator's own, and have the message retried."""
        logger.error("%s: channel %s: unexpected %s", record.key, notification.channel.name, where(error))
        internal = DeliveryError(Reason.INTERNAL_ERROR, "see the operator's log", retryable=True)
        self._failed(record, evaluation, notification, internal)


def rank(failure: DeliveryFailure) -> int:
    """The rank of a message in its channel's queue: 0 at the head, higher for repeated failures of its own."""
    return max(0, failure.own_failures - HEAD_OF_LINE_TRIES)
