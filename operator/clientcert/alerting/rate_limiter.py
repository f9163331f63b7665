"""Keeps the rate limit of each channel: one message at a time, the most urgent first, and none while it backs off.

The interval between two messages comes from the notifier (`Pace` in `notifiers/interface.py`).

A reconcile that may not send yet does not wait. Its item joins the queue of the channel, and the worker goes on. When
the slot is granted, the item is enqueued in the work queue and evaluated again. So a thousand messages for one slow
channel delay nothing else, and a message that has become obsolete is never sent.

All channels that share a limit, such as that of a Slack channel or of a mail server, have the same limit key.
"""

import asyncio
import heapq
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime

from clientcert.backoff import Backoff
from clientcert.lifecycle.delivery_log import DeliveryFailure
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item, WorkQueue

SLOT_SECONDS = 10.0
"""An unused slot goes to the next item after this time: its object is gone, or no message is due any more."""
BACKOFF = Backoff(2.0, 300.0)

Urgency = tuple[int, datetime]
"""The rank after own failures (`dispatcher.rank`), then the time of expiry; the lowest is sent first."""


@dataclass(slots=True)
class _Channel:
    free_at: float = 0.0
    """On the loop's clock, as all times here."""
    failures: int = 0
    asked_until: float = 0.0
    """The service has asked for no message before this time."""
    queue: list[tuple[Urgency, Item]] = field(default_factory=list)
    queued: set[Item] = field(default_factory=set)
    granted: Item | None = None
    grant_ends: float = 0.0
    timer: asyncio.TimerHandle | None = None
    failure: DeliveryFailure | None = None
    """The failure of the last message, for all waiting items; None if it was accepted."""


class ChannelRateLimiter:
    """Grants slots. Use it from the event loop only."""

    def __init__(self, queue: WorkQueue, *, slot: float = SLOT_SECONDS, backoff: Backoff = BACKOFF) -> None:
        """`slot` is the number of seconds that a slot is kept for its item; `backoff` is used after failures."""
        self._queue = queue
        self._slot = slot
        self._backoff = backoff
        self._channels: dict[Hashable, _Channel] = {}
        self._slots: dict[Item, set[Hashable]] = {}
        """The limit keys for which each item has a slot."""

    @property
    def waiting(self) -> int:
        """The number of messages that wait only for their slot."""
        return sum(len(each.queued) for each in self._channels.values() if not each.failures) + len(self._slots)

    @property
    def waiting_for_recovery(self) -> int:
        """The number of messages that wait for channels whose last message failed."""
        return sum(len(each.queued) for each in self._channels.values() if each.failures)

    def acquire(self, limit_key: Hashable, item: Item, urgency: Urgency, seconds: float) -> bool:
        """Take a slot if the item has one or the channel is free; otherwise queue for it.

        `seconds` is the time for which this message occupies the channel.
        """
        channel, now = self._channels.setdefault(limit_key, _Channel()), asyncio.get_running_loop().time()
        mine = channel.granted == item
        if mine or (channel.granted is None and not channel.queue and now >= channel.free_at):
            self._take_back(limit_key, channel)
            channel.free_at = now + seconds
            self._arm(limit_key, channel)
            return True
        if item not in channel.queued and not mine:
            channel.queued.add(item)
            heapq.heappush(channel.queue, (urgency, item))
            self._arm(limit_key, channel)
        return False

    def release_unused(self, item: Item) -> None:
        """Give the slots that the item did not take in its reconcile to the next items."""
        for limit_key in tuple(self._slots.get(item, ())):
            channel = self._channels[limit_key]
            self._take_back(limit_key, channel)
            self._arm(limit_key, channel)

    def failure(self, limit_key: Hashable) -> DeliveryFailure | None:
        """The failure of the channel, if it is to be reported in the status."""
        channel = self._channels.get(limit_key)
        return channel.failure if channel and channel.failure and channel.failure.is_reported else None

    def back_off(self, limit_key: Hashable, seconds: float | None, failure: DeliveryFailure | None = None) -> None:
        """Pause a channel after a failed message, for the time that it asked for or with an increasing backoff.

        Items that wait for it are enqueued when their status must report the failure.
        """
        channel = self._channels.setdefault(limit_key, _Channel())
        channel.failures += 1
        if seconds:
            channel.asked_until = max(channel.asked_until, asyncio.get_running_loop().time() + seconds)
        channel.free_at = max(
            channel.free_at, asyncio.get_running_loop().time() + (seconds or self._backoff.delay(channel.failures))
        )
        self._arm(limit_key, channel)
        if failure is not None:
            self._note(limit_key, channel, failure)

    def retry_now(self, keys: Collection[ObjectKey]) -> None:
        """Try each failing channel at once that has an item of these in its queue: its configuration has changed."""
        for limit_key, channel in tuple(self._channels.items()):
            if channel.failures and any(item.key in keys for item in channel.queued):
                channel.failures, channel.failure = 0, None
                channel.free_at = max(asyncio.get_running_loop().time(), channel.asked_until)
                self._arm(limit_key, channel)

    def succeeded(self, limit_key: Hashable, seconds: float) -> None:
        """Record an accepted message. It occupies the channel from now on: its time of arrival is unknown."""
        channel = self._channels.get(limit_key)
        if channel is not None:
            channel.failures, channel.failure = 0, None
            channel.free_at = max(channel.free_at, asyncio.get_running_loop().time() + seconds)
            self._arm(limit_key, channel)

    def _note(self, limit_key: Hashable, channel: _Channel, failure: DeliveryFailure) -> None:
        was_reported, before = self.failure(limit_key), channel.failure
        channel.failure = replace(
            failure,
            since=before.since if before else failure.since,
            attempts=max(channel.failures, failure.attempts),
            own_failures=0,
            next_try=None,
            channel_wide=True,
        )
        if not was_reported and channel.failure.is_reported:
            self._queue.enqueue_all([item for _, item in channel.queue])

    def _arm(self, limit_key: Hashable, channel: _Channel) -> None:
        if channel.timer is not None:
            channel.timer.cancel()
            channel.timer = None
        loop = asyncio.get_running_loop()
        if channel.queue:
            at = channel.free_at if channel.granted is None else channel.grant_ends
            channel.timer = loop.call_at(max(at, loop.time()), self._grant, limit_key)
        elif channel.granted is None:
            # A message in flight may still fail: the number of failures is kept for a while.
            at = channel.free_at + (self._backoff.longest_seconds if channel.failures else 0)
            channel.timer = loop.call_at(max(at, loop.time()), self._channels.pop, limit_key, None)

    def _grant(self, limit_key: Hashable) -> None:
        channel = self._channels[limit_key]
        channel.timer = None
        self._take_back(limit_key, channel)
        if channel.queue:
            (_, until), item = heapq.heappop(channel.queue)
            channel.queued.discard(item)
            channel.granted, channel.grant_ends = item, asyncio.get_running_loop().time() + self._slot
            self._slots.setdefault(item, set()).add(limit_key)
            self._queue.enqueue(item, until.timestamp())
        self._arm(limit_key, channel)

    def _take_back(self, limit_key: Hashable, channel: _Channel) -> None:
        if channel.granted is not None:
            slots = self._slots[channel.granted]
            slots.discard(limit_key)
            if not slots:
                del self._slots[channel.granted]
            channel.granted = None
