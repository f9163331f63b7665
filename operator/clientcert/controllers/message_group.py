"""Reconciles a group of messages: sends one for all members once the group has closed, or leaves it to them if few.

`alerting/groups.py` collects the members. One reconcile looks at all of them as they are now. The kinds of groups are
alerts (`alert_group.py`) and notices about requests (`certificate_renewal/notice_group.py`).
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from clientcert.alerting.dispatcher import rank
from clientcert.alerting.failure_counter import FailureCounter
from clientcert.alerting.groups import Groups, GroupSpec
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.retries import LEADERSHIP_RETRY
from clientcert.errors import DeliveryError, Reason, where
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics
from clientcert.notifiers.interface import Pace

logger = logging.getLogger(__name__)


class GroupMember(Protocol):
    """An object that the message contains."""

    @property
    def identity(self) -> tuple[ObjectKey, str]:
        """Key and uid of the object."""

    @property
    def channel(self) -> Channel:
        """The channel of its message."""

    @property
    def expires(self) -> datetime:
        """The time that makes it urgent."""


_Member = TypeVar("_Member", bound=GroupMember)


class GroupedMessages(Protocol[_Member]):
    """The messages of one kind of groups."""

    rank: int
    """Their rank in the queue of a channel, before any failure."""

    @property
    def may_send(self) -> bool:
        """True if a message can be sent and recorded before another replica can lead."""

    async def due_members(self, group: GroupSpec) -> list[_Member]:
        """The members for which this message is due now, the most urgent first."""

    def limit(self, first: _Member) -> Pace | None:
        """The rate limit of the message; None if there is none."""

    async def send(self, group: GroupSpec, due: Sequence[_Member]) -> Sequence[_Member] | None:
        """Send the message; returns the members that it settles, None if this replica must not send by now.

        Raises DeliveryError.
        """

    async def record(self, group: GroupSpec, told: Sequence[_Member]) -> None:
        """Record the message for all these, and end the group."""


class MessageGroupReconciler(Generic[_Member]):
    """Called by the workers for each group that may have closed."""

    def __init__(
        self,
        groups: Groups[Any],
        messages: GroupedMessages[_Member],
        limiter: ChannelRateLimiter,
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        self._groups = groups
        self._messages = messages
        self._limiter = limiter
        self._failure_counter = FailureCounter(limiter, clock, metrics)
        self._clock = clock
        self._metrics = metrics

    def begin_term(self) -> None:
        """Drop all groups: the members join them again when they are reconciled."""
        self._groups.reset()

    def urgency(self, key: ObjectKey) -> float:
        """The urgency of the most urgent member."""
        until = self._groups.urgency(key)
        return until.timestamp() if until else math.inf

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Send one message for all due members, if the group has closed; returns the time of the next try."""
        try:
            return await self._reconcile(key)
        finally:
            self._limiter.release_unused(self._groups.item(key))  # others wait for a slot that it did not take

    async def _reconcile(self, key: ObjectKey) -> datetime | None:
        group, now = self._groups.find(key), self._clock()
        if group is None:
            return None
        if (seconds := self._groups.seconds_until_closed(key)) > 0:
            return now + timedelta(seconds=seconds)
        last = self._groups.last_failure(key)
        if last is not None and last.next_try is not None and now < last.next_try:
            return last.next_try
        due = await self._messages.due_members(group)
        if len(due) <= group.single:
            self._groups.end(key, alone=bool(due))
            return None
        if not self._messages.may_send:
            return now + LEADERSHIP_RETRY
        return await self._send_in_slot(group, due)

    async def _send_in_slot(self, group: GroupSpec, due: list[_Member]) -> datetime | None:
        first, key = due[0], group.key
        limit, item, accepted = self._messages.limit(first), self._groups.item(key), False
        if limit is not None and not self._limiter.acquire(limit, item, self._urgency(group, first)):
            if (failure := self._failure_counter.blocked(limit, item)) is not None:
                self._groups.fail(key, failure)
            return None  # the rate limiter enqueues it
        self._groups.begin_sending(key, [each.identity for each in due])
        try:
            told = await self._messages.send(group, due)
            accepted = told is not None
        except DeliveryError as error:
            return self._failed(group, first, error)
        except Exception as error:  # noqa: BLE001 - one group's failure must never hold another back
            logger.error("%s: unexpected %s", key, where(error))  # noqa: TRY400
            words = "see the operator's log"
            return self._failed(group, first, DeliveryError(Reason.INTERNAL_ERROR, words, retryable=True))
        except BaseException:
            self._groups.hold_back(key)  # cancelled: its members must not wait for it
            raise
        finally:
            if limit is not None:
                self._limiter.finished(limit, item, accepted=accepted)
        if told is None:
            self._groups.hold_back(key)
            return self._clock() + LEADERSHIP_RETRY
        await self._messages.record(group, told)
        self._metrics.notifications.labels(first.channel.type, "sent").inc()
        return None

    def _failed(self, group: GroupSpec, first: _Member, error: DeliveryError) -> datetime | None:
        before, item, limit = (
            self._groups.last_failure(group.key),
            self._groups.item(group.key),
            self._messages.limit(first),
        )
        failure = self._failure_counter.count(item, first.channel, limit, error, before)
        self._groups.fail(group.key, replace(failure, channel_wide=True))
        if limit is not None and failure.next_try is None:
            self._limiter.acquire(limit, item, self._urgency(group, first))
        return failure.next_try

    def _urgency(self, group: GroupSpec, first: _Member) -> tuple[int, datetime]:
        last = self._groups.last_failure(group.key)
        return self._messages.rank + (rank(last) if last else 0), first.expires
