"""Groups of alerts: one message for all, a digest or the letter about a batch of host certificates.

`message_group.py` reconciles them, `alerting/grouping.py` says which alerts belong together. The status of the policy
records the message before the statuses of the certificates do, so a crash in between repeats nothing
(docs/decisions/digests.md).
"""

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from clientcert.alerting.consumer_letters import recipients_for
from clientcert.alerting.dispatcher import NotificationDispatcher, has_letter, letter_due
from clientcert.alerting.evaluator import Evaluator
from clientcert.alerting.grouping import AlertGroups, letter_group
from clientcert.alerting.groups import GroupSpec
from clientcert.alerting.outbox import Outbox
from clientcert.api.digests import DIGEST_KEYS
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.policies import POLICY
from clientcert.controllers.certificate_policy import PolicyReconciler
from clientcert.errors import ClientCertError, DeliveryError, Reason, where
from clientcert.lifecycle.delivery_log import Delivery, DueNotification, MessageKind, digest_key, whole_second
from clientcert.lifecycle.due import delivered, due_notifications, silenced
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.recorded_status import DigestRecord
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.messages.digest import batch_letter, compose_digest
from clientcert.messages.message import Message, compose
from clientcert.notifiers.interface import DigestCapable, Pace
from clientcert.workqueue.work_queue import Item, WorkQueue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A certificate that the message contains."""

    evaluation: Evaluation
    notification: DueNotification
    message: Message
    digest_key: bytes

    @property
    def identity(self) -> tuple[ObjectKey, str]:
        """Key and uid of the certificate."""
        return self.evaluation.key, self.evaluation.uid

    @property
    def channel(self) -> Channel:
        """The channel of its message."""
        return self.notification.channel

    @property
    def expires(self) -> datetime:
        """The end of the certificate."""
        return self.evaluation.assessment.expires.time


class AlertDigests:
    """The messages of groups of alerts."""

    rank = 0

    def __init__(
        self,
        cache: ObjectCache,
        queue: WorkQueue,
        evaluator: Evaluator,
        groups: AlertGroups,
        dispatcher: NotificationDispatcher,
        outbox: Outbox,
        policies: PolicyReconciler,
        clock: Callable[[], datetime],
        loop_budget: LoopBudget,
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._evaluator = evaluator
        self._groups = groups
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._policies = policies
        self._clock = clock
        self._loop_budget = loop_budget

    @property
    def may_send(self) -> bool:
        """True if a message could be sent and recorded before another replica can become the leader."""
        return self._dispatcher.may_send

    def limit(self, first: Member) -> Pace | None:
        """The rate limit of the message; None if there is none."""
        return self._dispatcher.limit(first.evaluation, first.notification)

    async def send(self, group: GroupSpec, due: Sequence[Member]) -> Sequence[Member] | None:
        """Send the message; returns the members that it settles."""
        channel = due[0].channel
        notifier = self._dispatcher.notifier(channel)
        if group.letter:
            told = await self._members_of_batch(group, due)
            if not self._dispatcher.may_send:
                return None  # the evaluation of all members has taken some time
            if told:
                self._groups.begin_sending(group.key, [each.identity for each in told])
                await notifier.notify(channel, _letter(told))
            return [*told, *(each for each in due if not each.message.letters)]  # no letter can include these
        if isinstance(notifier, DigestCapable):
            await notifier.notify_digest(channel, compose_digest([each.message for each in due]))
        return due

    async def record(self, group: GroupSpec, told: Sequence[Member]) -> None:
        """Record the message for all its members; the status of the policy records it before theirs."""
        sent = whole_second(self._clock())
        portions = (told[at : at + DIGEST_KEYS] for at in range(0, len(told), DIGEST_KEYS))
        keys = (frozenset(each.digest_key for each in portion) for portion in portions)
        self._outbox.add_digests(group.policy, tuple(DigestRecord(group.destination, sent, each) for each in keys))
        with suppress(ClientCertError):  # the policy's own reconcile retries it
            await self._policies.write_status(group.policy)
        self._queue.enqueue(Item(POLICY, group.policy), -math.inf)
        self._groups.end(group.key)
        for each in told:
            await self._loop_budget.yield_if_spent()
            record = self._cache.certificates.get(each.evaluation.key)
            if record is not None and record.uid == each.evaluation.uid:
                after = delivered(each.evaluation, each.notification, Delivery(sent))
                self._outbox.record_delivery(record, after, each.evaluation.log)
                self._cache.enqueue(record.key)

    async def due_members(self, group: GroupSpec) -> list[Member]:
        """The members for which this message is due now, the most urgent first."""
        due = []
        for key in self._groups.members(group.key):
            await self._loop_budget.yield_if_spent()
            evaluation = self._evaluate(key)
            if evaluation is None:
                continue
            for notification in due_notifications(evaluation):
                is_alert = notification.kind is MessageKind.ALERT and notification.channel.name == group.destination
                belongs = is_alert and self._groups.belongs(group.key, evaluation, notification)
                if not belongs or not _is_untold(evaluation, notification):
                    continue
                if (message := _composed(evaluation, notification)) is not None:
                    due.append(_member(evaluation, notification, message))
                else:
                    self._groups.dismiss(group.key, key)
        return due

    async def _members_of_batch(self, group: GroupSpec, due: Sequence[Member]) -> list[Member]:
        """All certificates of the batch that no letter to the requester has contained yet: due now, or in months.

        A certificate that was renewed since the batch was issued belongs in another letter, at its own time. Raises
        DeliveryError while not all of them have been read.
        """
        members, sending = [], {each.evaluation.key for each in due}
        for key in self._cache.certificates_of(group.policy):
            await self._loop_budget.yield_if_spent()
            evaluation = self._evaluate(key)
            channel = _channel_of(evaluation, group) if evaluation else None
            if evaluation is None or channel is None:
                continue
            assessment = evaluation.assessment
            if assessment.phase is Phase.PENDING:
                words = "not all certificates of the batch have been read yet"
                raise DeliveryError(Reason.API_UNAVAILABLE, words, retryable=True)
            renewed = key not in sending and bool(evaluation.status.history) and not assessment.expires_soon
            if renewed or silenced(evaluation.spec.silence, evaluation.now) or has_letter(evaluation, channel):
                continue
            message = _composed(evaluation, letter_due(channel))
            if message is not None and message.letters:
                members.append(_member(evaluation, letter_due(channel), message))
        return members

    def _evaluate(self, key: ObjectKey) -> Evaluation | None:
        record = self._cache.certificates.get(key)
        return self._evaluator.evaluate(record) if record is not None and record.spec_problem is None else None


def _member(evaluation: Evaluation, notification: DueNotification, message: Message) -> Member:
    key = digest_key(evaluation.uid, evaluation.assessment.fingerprint, notification)
    return Member(evaluation, notification, message, key)


def _composed(evaluation: Evaluation, notification: DueNotification) -> Message | None:
    """Compose the message; None after an unexpected error, so that no other certificate has to wait."""
    recipients = recipients_for(evaluation, notification) if notification.channel.to_consumer else ()
    try:
        return compose(evaluation, notification, recipients)
    except Exception as error:  # noqa: BLE001
        words = "%s: left out of a message about many: unexpected %s"
        logger.error(words, evaluation.key, where(error))  # noqa: TRY400
        return None


def _is_untold(evaluation: Evaluation, notification: DueNotification) -> bool:
    return evaluation.log.told_by_digest(notification, evaluation.assessment.fingerprint, evaluation.now) is None


def _channel_of(evaluation: Evaluation, group: GroupSpec) -> Channel | None:
    """The channel of the certificate's policy whose letters about its batch this group sends; None if there is none."""
    for channel in evaluation.policy.channels:
        found = letter_group(evaluation.spec, evaluation.key, channel)
        if found is not None and found.key == group.key:
            return channel
    return None


def _letter(told: Sequence[Member]) -> Message:
    """The message of the most urgent member, with a letter about all members."""
    # Sorted by name if they expire in the same second, so that a repeated letter is identical.
    in_order = sorted(told, key=lambda each: (each.evaluation.assessment.expires.time, each.message.object_key))
    messages = [each.message for each in in_order]
    return replace(messages[0], letters=(batch_letter(told[0].evaluation.spec.batch, messages),))
