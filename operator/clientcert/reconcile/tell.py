"""Third step: tell who is owed a message, each channel on its own, and remember who was told."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from clientcert.errors import DeliveryError, Reason, where
from clientcert.lifecycle.alerts import DueNotification, MessageKind, due_notifications, next_stage
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.declaration import Declaration, ObjectKey
from clientcert.lifecycle.policy import AlertPolicy, Channel
from clientcert.lifecycle.recorded import ChannelRecord, Recorded
from clientcert.metrics import Metrics
from clientcert.notifiers.interface import Notifier, Pace
from clientcert.notifiers.message import compose
from clientcert.reconcile.pacing import Pacer
from clientcert.reconcile.records import CertificateRecord, Failure
from clientcert.turns import Turns

SEND_SECONDS = 17.0
"""No notifier takes longer, with all that belongs to one message."""
SETTLE_SECONDS = 0.5
"""So long the first channel that was told waits for the others, so that one write records them all."""
_FIRST_RETRY = timedelta(seconds=5)
_FIRST_RETRY_OF_REFUSED = timedelta(minutes=1)
_SLOWEST_RETRY = timedelta(minutes=10)

_STRIKES = 2
"""So often a message may fail and be the first again; then it goes behind the others, which it may hold up alone."""
_NOT_OF_THE_PLACE = frozenset({Reason.INTERNAL_ERROR, Reason.API_UNAVAILABLE})

EVENT = "Event"
"""The type of the channel that every certificate has."""

logger = logging.getLogger(__name__)


class Teller:
    """Sends what is due. It never raises for one channel: a failure is kept on the record, and stays due."""

    def __init__(
        self,
        notifiers: Mapping[str, Notifier],
        default_channel: Channel | None,
        pacer: Pacer,
        may_start: Callable[[float], bool],
        clock: Callable[[], datetime],
        metrics: Metrics,
        turns: Turns,
    ) -> None:
        """`may_start` says whether something that takes up to so many seconds may begin: whether this replica leads."""
        self._notifiers = notifiers
        self._default_channel = default_channel
        self._pacer = pacer
        self._may_start = may_start
        self._clock = clock
        self._metrics = metrics
        self._turns = turns

    def due(
        self, record: CertificateRecord, declaration: Declaration, assessment: Assessment, policy: AlertPolicy
    ) -> tuple[DueNotification, ...]:
        """What is sent now: due, not waiting for its next try, and at its turn in the place it goes to."""
        if not self.may_send:
            return ()
        effective = self.effective(policy, record, assessment)
        owed = due_notifications(assessment, effective, remembered(record), declaration.silence)
        failing = record.failing or {}
        now = tuple(
            notification
            for notification in owed
            if not _waits(failing.get(notification.channel.name), assessment.now)
            if self._has_its_turn(record, assessment, notification)
        )
        self._pacer.pass_on(record.key)
        return now

    @property
    def may_send(self) -> bool:
        """Whether a message would be sent before another replica can lead."""
        return self._may_start(SEND_SECONDS)

    def owes_nothing(self, key: ObjectKey) -> None:
        """The object is gone: whatever turns it has are others' now."""
        self._pacer.pass_on(key)

    def _has_its_turn(self, record: CertificateRecord, assessment: Assessment, notification: DueNotification) -> bool:
        pace = self._pace(record, notification)
        if pace is None:
            return True
        failure = (record.failing or {}).get(notification.channel.name)
        rank = max(0, failure.strikes - _STRIKES) if failure else 0
        return self._pacer.may_send(pace.place, record.key, (rank, assessment.alert_from), pace.seconds)

    def _pace(self, record: CertificateRecord, notification: DueNotification) -> Pace | None:
        notifier = self._notifiers.get(notification.channel.type)
        return notifier.pace(record.key.namespace, notification.channel, notification.kind) if notifier else None

    def effective(self, policy: AlertPolicy, record: CertificateRecord, assessment: Assessment) -> AlertPolicy:
        """The policy; with the operator's own channel while one of the policy's refuses, and until that is closed."""
        fallback = self._default_channel
        if fallback is None or any(_same_place(fallback, channel) for channel in policy.channels):
            return policy
        refused = next((c for c in policy.channels if _refuses((record.failing or {}).get(c.name))), None)
        told = remembered(record).channel(fallback.name)
        owes = told is not None and told.stage is not None and told.fingerprint_sha256 != assessment.fingerprint
        if refused is None and not owes:
            return policy
        schedule = (refused or fallback).schedule
        return replace(policy, channels=(*policy.channels, replace(fallback, schedule=schedule)))

    async def tell(
        self,
        record: CertificateRecord,
        declaration: Declaration,
        assessment: Assessment,
        policy: AlertPolicy,
        due: tuple[DueNotification, ...],
    ) -> AsyncGenerator[frozenset[str], None]:
        """Send each; yields whenever something new is worth writing down.

        Yields the reasons that Events have named or are about to: an Event may be slower than all else.
        """
        said = frozenset(
            compose(record.key, record.uid, declaration, assessment, policy, notification, remembered(record)).reason
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
        declaration: Declaration,
        assessment: Assessment,
        policy: AlertPolicy,
        notification: DueNotification,
    ) -> None:
        """Send one, and remember it; or why it could not be sent."""
        channel = notification.channel
        await self._turns.next()
        try:
            message = compose(record.key, record.uid, declaration, assessment, policy, notification, remembered(record))
            notifier = self._notifiers.get(channel.type)
            if notifier is None:
                raise DeliveryError(
                    Reason.CHANNEL_NOT_SUPPORTED, f"this version cannot send to channels of type {channel.type}"
                )
            if not self.may_send:
                return  # it stays due, for this replica or for the one that leads next
            receipt = await notifier.notify(channel, message, notification.thread_ref)
        except DeliveryError as error:
            self._failed(record, notification, error)
            return
        except Exception as error:  # noqa: BLE001 - one channel's failure must never hold another back
            logger.error("%s: channel %s: unexpected %s", record.key, channel.name, where(error))  # noqa: TRY400
            self._failed(
                record, notification, DeliveryError(Reason.INTERNAL_ERROR, "see the operator's log", worth_retry=True)
            )
            return
        if pace := self._pace(record, notification):
            self._pacer.well(pace.place, pace.seconds)
        self._metrics.notifications.labels(channel.type, "sent").inc()
        told = ChannelRecord(
            name=channel.name,
            fingerprint_sha256=assessment.fingerprint,
            stage=notification.stage,
            last_sent=self._second(),
            next_time=upcoming.slot if (upcoming := next_stage(assessment, channel)) else None,
            thread_ref=receipt.thread_ref if notification.kind is MessageKind.ALERT else "",
        )
        record.sent = {**(record.sent or {}), channel.name: told}
        record.failing = {name: f for name, f in (record.failing or {}).items() if name != channel.name} or None

    def _second(self) -> datetime:
        """Now, as a status can say it: what was written is told from what another has written by comparing them."""
        return self._clock().replace(microsecond=0)

    def _failed(self, record: CertificateRecord, notification: DueNotification, error: DeliveryError) -> None:
        channel, pace = notification.channel, self._pace(record, notification)
        self._metrics.notifications.labels(channel.type, "retried" if error.worth_retry else "refused").inc()
        before = (record.failing or {}).get(channel.name)
        attempts = before.attempts + 1 if before else 1
        first = _FIRST_RETRY if error.worth_retry else _FIRST_RETRY_OF_REFUSED
        asked = timedelta(seconds=error.retry_after) if error.retry_after else None
        now = self._clock()
        place_rests = pace is not None and error.worth_retry and error.reason not in _NOT_OF_THE_PLACE
        # Whoever asks to wait says nothing about this one message; anything else may be its own fault.
        strikes = (before.strikes if before else 0) + (error.reason is not Reason.RATE_LIMITED)
        if pace is not None and place_rests:
            self._pacer.rest(pace.place, error.retry_after)
        failure = Failure(
            reason=error.reason,
            message=error.message,
            permanent=not error.worth_retry,
            since=before.since if before else self._second(),
            attempts=attempts,
            strikes=strikes,
            next_try=None if place_rests else now + (asked or min(first * 2 ** min(attempts - 1, 10), _SLOWEST_RETRY)),
        )
        record.failing = {**(record.failing or {}), channel.name: failure}
        logger.warning("%s: channel %s: %s: %s", record.key, channel.name, error.reason, error.message)


def remembered(record: CertificateRecord) -> Recorded:
    """What the status says, and over it what was sent and is not in the status yet."""
    failing = {name: failure for name, failure in (record.failing or {}).items() if failure.counts}
    told = {channel.name: channel for channel in record.recorded.channels}
    told.update(record.sent or {})
    for name, failure in failing.items():
        known = told.get(name) or ChannelRecord(name, "", None, None)
        told[name] = replace(known, last_failure=known.last_failure or failure.since)
    return replace(record.recorded, channels=tuple(told.values())) if told else record.recorded


def _waits(failure: Failure | None, now: datetime) -> bool:
    return failure is not None and failure.next_try is not None and now < failure.next_try


def _refuses(failure: Failure | None) -> bool:
    return failure is not None and failure.permanent


def _same_place(one: Channel, other: Channel) -> bool:
    return one.type == other.type and one.address == other.address
