"""Third step: tell who is owed a message, each channel on its own, and remember who was told."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.alerting.consumer_letters import (
    check_contact,
    first_recipient,
    found_nobody,
    has_nobody,
    is_first_letter,
    reached,
    was_found_since,
)
from clientcert.alerting.digests import DigestError, Digests
from clientcert.alerting.messages import addressees, message_about
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.retries import note_failed, note_told, remembered
from clientcert.cache.objects import CertificateRecord, Failure
from clientcert.errors import DeliveryError, Reason, where
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.due import DueNotification, MessageKind, due_notifications
from clientcert.lifecycle.policy import AlertPolicy, Channel
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.notifiers.interface import Notifier, Pace, RecipientAware

SEND_SECONDS = 17.0
"""No notifier takes longer, with all that belongs to one message."""
SETTLE_SECONDS = 0.5
"""So long the first channel that was told waits for the others, so that one write records them all."""
_STRIKES = 2
"""So often a message may fail and be the first again; then it goes behind the others, which it may hold up alone."""
_NOT_OF_THE_PLACE = frozenset(
    {Reason.INTERNAL_ERROR, Reason.API_UNAVAILABLE, Reason.CONTACT_NOT_FOUND, Reason.RECIPIENT_UNAVAILABLE}
)
EVENT = "Event"
"""The type of the channel that every certificate has."""
FALLBACK_AFTER = timedelta(hours=1)
"""After so long the operator's own channel stands in for one that fails and never says that it is for good."""

logger = logging.getLogger(__name__)


class NotificationDispatcher:
    """Sends what is due. It never raises for one channel: a failure is kept on the record, and stays due."""

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        default_channel: Channel | None,
        pacer: ChannelRateLimiter,
        digests: Digests,
        may_start: Callable[[float], bool],
        clock: Callable[[], datetime],
        metrics: Metrics,
        loop_budget: LoopBudget,
    ) -> None:
        """`may_start` says whether something that takes up to so many seconds may begin: whether this replica leads."""
        self._notifiers = notifiers
        self._default_channel = default_channel
        self._pacer = pacer
        self._digests = digests
        self._may_start = may_start
        self._clock = clock
        self._metrics = metrics
        self._loop_budget = loop_budget

    def due(
        self, record: CertificateRecord, declaration: CertificateSpec, assessment: Assessment, policy: AlertPolicy
    ) -> tuple[DueNotification, ...]:
        """What is sent now: due, not waiting for its next try, and at its turn in the place it goes to."""
        if not self.may_send:
            return ()
        effective = self.effective(policy, record, assessment)
        self._digests.recall(record, assessment, effective)
        owed = due_notifications(
            assessment, effective, remembered(record), declaration.silence, first_recipient(record)
        )
        unsaid = self._unsaid(record, assessment, owed)
        due_in = {notification.channel.name for notification in unsaid}
        failing = {
            name: failure
            for name, failure in (record.failing or {}).items()
            if name in due_in and not failure.of_the_place and not was_found_since(record, failure)
        }
        record.failing = failing or None
        wanted = [each for each in unsaid if not _waits(failing.get(each.channel.name), assessment.now)]
        self._digests.judged(record, effective, wanted)
        going = []
        for notification in wanted:  # each takes its place where it may have to wait
            if not self._digests.may_go(record, effective, notification, assessment.alert_from):
                continue
            if self._has_its_turn(record, assessment, notification):
                going.append(notification)
            elif trouble := self._trouble(record, notification):
                record.failing = {notification.channel.name: trouble, **(record.failing or {})}
        self._pacer.pass_on(record.key)
        return tuple(going)

    def _unsaid(
        self, record: CertificateRecord, assessment: Assessment, owed: tuple[DueNotification, ...]
    ) -> list[DueNotification]:
        """Those that a message is needed for; of the others it is remembered that they were told."""
        unsaid = []
        for notification in owed:
            said = self._digests.told_at(record, assessment, notification)
            nobody = has_nobody(record, notification) or found_nobody(record, notification, assessment.now)
            if said is None and not nobody:
                unsaid.append(notification)
            elif said is not None or notification.kind is MessageKind.CLOSING:
                note_told(record, assessment, notification, said or assessment.now)
        return unsaid

    @property
    def may_send(self) -> bool:
        """Whether a message would be sent before another replica can lead."""
        return self._may_start(SEND_SECONDS)

    def owes_nothing(self, key: ObjectKey) -> None:
        """The object is gone: whatever turns it has are others' now."""
        self._digests.forget(key)
        self._pacer.pass_on(key)

    def _has_its_turn(self, record: CertificateRecord, assessment: Assessment, notification: DueNotification) -> bool:
        pace = self._pace(record, notification)
        if pace is None:
            return True
        failure = (record.failing or {}).get(notification.channel.name)
        rank = max(0, failure.strikes - _STRIKES) if failure else 0
        return self._pacer.may_send(pace.place, record.key, (rank, assessment.alert_from), pace.seconds)

    def _trouble(self, record: CertificateRecord, notification: DueNotification) -> Failure | None:
        """What keeps the place that it waits for from taking messages."""
        pace = self._pace(record, notification)
        return self._pacer.trouble(pace.place) if pace else None

    def _pace(self, record: CertificateRecord, notification: DueNotification) -> Pace | None:
        channel, kind, namespace = notification.channel, notification.kind, record.key.namespace
        notifier, recipients = self._notifiers.get(channel.type), addressees(record, channel)
        if recipients and isinstance(notifier, RecipientAware):
            return notifier.pace_to(namespace, channel, kind, recipients[0])
        return notifier.pace(namespace, channel, kind) if notifier else None

    def effective(self, policy: AlertPolicy, record: CertificateRecord, assessment: Assessment) -> AlertPolicy:
        """The policy; with the operator's own channel while one of the policy's refuses, and until that is closed."""
        fallback = self._default_channel
        if fallback is None or any(_same_place(fallback, channel) for channel in policy.channels):
            return policy
        # Who writes to consumers tells no team: where there is another that does, it needs nobody to stand in.
        tells_team = any(
            channel.type != EVENT and not channel.to_consumer and not channel.escalation for channel in policy.channels
        )
        heard = [channel for channel in policy.channels if not (tells_team and channel.to_consumer)]
        failing, now = record.failing or {}, assessment.now
        refused = next((channel for channel in heard if _refuses(failing.get(channel.name), now)), None)
        told = remembered(record).channel(fallback.name)
        owes = told is not None and told.stage is not None and told.fingerprint_sha256 != assessment.fingerprint
        if refused is None and not owes:
            return policy
        schedule = (refused or fallback).schedule
        return replace(policy, channels=(*policy.channels, replace(fallback, schedule=schedule)))

    async def tell(
        self,
        record: CertificateRecord,
        declaration: CertificateSpec,
        assessment: Assessment,
        policy: AlertPolicy,
        due: tuple[DueNotification, ...],
    ) -> AsyncGenerator[frozenset[str], None]:
        """Send each; yields whenever something new is worth writing down.

        Yields the reasons that Events have named or are about to: an Event may be slower than all else.
        """
        said = frozenset(
            message_about(record, declaration, assessment, policy, notification).reason
            for notification in due
            if notification.channel.type == EVENT
        )
        tasks = {
            asyncio.create_task(self._send(record, declaration, assessment, policy, notification))
            for notification in due
        }
        try:
            while tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                done, tasks = await asyncio.wait(tasks, timeout=SETTLE_SECONDS)
                for task in done:
                    task.result()
                yield said
        finally:
            for task in tasks:
                task.cancel()

    async def _send(
        self,
        record: CertificateRecord,
        declaration: CertificateSpec,
        assessment: Assessment,
        policy: AlertPolicy,
        notification: DueNotification,
    ) -> None:
        """Send one, and remember it; or why it could not be sent."""
        channel = notification.channel
        await self._loop_budget.yield_if_spent()
        try:
            message = message_about(record, declaration, assessment, policy, notification)
            notifier = self._notifiers.get(channel.type)
            if notifier is None:
                raise DeliveryError(
                    Reason.CHANNEL_NOT_SUPPORTED, f"this version cannot send to channels of type {channel.type}"
                )
            if not self.may_send:
                return  # it stays due, for this replica or for the one that leads next
            check_contact(record, notification)
            in_a_digest = await self._digests.send(record, policy, notification)
            if not in_a_digest:
                receipt = await notifier.notify(channel, message)
                role = reached(message, receipt)
                note_told(record, assessment, notification, self._clock(), receipt.thread_ref, role)
                if is_first_letter(channel) and record.contact is not None:
                    record.stood_in = receipt.stood_in
                    record.contact = replace(record.contact, stood_in=receipt.stood_in)
        except DeliveryError as error:
            self._failed(record, notification, error)
            return
        except Exception as error:  # noqa: BLE001 - one channel's failure must never hold another back
            logger.error("%s: channel %s: unexpected %s", record.key, channel.name, where(error))  # noqa: TRY400
            self._failed(
                record, notification, DeliveryError(Reason.INTERNAL_ERROR, "see the operator's log", retryable=True)
            )
            return
        if pace := self._pace(record, notification):
            self._pacer.well(pace.place, pace.seconds)
        self._metrics.notifications.labels(channel.type, "sent").inc()

    def _failed(self, record: CertificateRecord, notification: DueNotification, error: DeliveryError) -> None:
        channel, pace = notification.channel, self._pace(record, notification)
        self._metrics.notifications.labels(channel.type, "retried" if error.retryable else "refused").inc()
        place_rests = pace is not None and _is_of_the_place(error)
        before = (record.failing or {}).get(channel.name)
        together = isinstance(error, DigestError)
        failure = note_failed(record, channel.name, error, self._clock(), place_rests=place_rests and not together)
        if pace is not None and place_rests:
            self._pacer.rest(pace.place, error.retry_after, failure)
        level = logging.DEBUG if before is not None and before.reason is error.reason else logging.WARNING
        logger.log(level, "%s: channel %s: %s: %s", record.key, channel.name, error.reason, error.message)


def _is_of_the_place(error: DeliveryError) -> bool:
    """Whether others could not be told there either."""
    # A login that is wrong is wrong for everybody, and each try with it brings the account nearer to its lock.
    lasting = error.retryable or error.reason is Reason.MAIL_LOGIN_REJECTED
    return lasting and not error.elsewhere and error.reason not in _NOT_OF_THE_PLACE


def _waits(failure: Failure | None, now: datetime) -> bool:
    return failure is not None and failure.next_try is not None and now < failure.next_try


def _refuses(failure: Failure | None, now: datetime) -> bool:
    """Whether somebody must stand in: it was refused for good, or has failed for so long that it may be."""
    return failure is not None and (failure.permanent or now - failure.since >= FALLBACK_AFTER)


def _same_place(one: Channel, other: Channel) -> bool:
    return one.type == other.type and one.address == other.address
