"""Keeps the rate limit of each channel: one message at a time, namespaces in turn, and none while it backs off.

The interval between two messages comes from the notifier (`Pace` in `notifiers/interface.py`).

A reconcile that may not send yet does not wait. Its item joins the queue of the channel, and the worker goes on. When
the slot is granted, the item is enqueued in the work queue and evaluated again. So a thousand messages for one slow
channel delay nothing else, and a message that has become obsolete is never sent.

All channels that share a limit, such as that of a Slack channel or of a mail server, have the same limit key.
`alerting/receiver_backoff.py` says what backs off after a failed message.
"""

import asyncio
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from clientcert.alerting.receiver_backoff import BACKOFF, SPREAD_BACKOFF, PartKey, Parts, Rest
from clientcert.backoff import Backoff
from clientcert.fair_queueing import FairQueue, Urgency
from clientcert.lifecycle.delivery_log import DeliveryFailure
from clientcert.lifecycle.spec import ObjectKey
from clientcert.notifiers.interface import Pace
from clientcert.workqueue.work_queue import Item, WorkQueue

SLOT_SECONDS = 10.0
"""An unused slot goes to the next item after this time: its object is gone, or its reconcile takes long."""
SLOT_AFTER_WASTE_SECONDS = 1.0
"""The same for a namespace that did not use its last slot, so that it delays no other for long."""
IN_FLIGHT = 16
"""Messages that one channel takes at the same time; one namespace alone has half of them."""
LATE_SECONDS = 600.0
"""A message that waits longer than this for its turn is reported in its object's status."""
_LOST_SECONDS = 60.0
"""A message in flight for this time was cancelled before it began."""
_LATE_EVERY_SECONDS = 10.0


class _Ticket(NamedTuple):
    """A message that waits or is in flight. An item may have several, to different destinations."""

    item: Item
    destination: str


@dataclass(slots=True)
class _Wait:
    urgency: Urgency
    since: float
    """On the loop's clock, as all times here."""
    is_late: bool = False


@dataclass(slots=True)
class _Channel:
    free_at: float = 0.0
    """The end of the interval after the last message."""
    whole: Rest = field(default_factory=Rest)
    parts: Parts = field(default_factory=Parts)
    waits: dict[_Ticket, _Wait] = field(default_factory=dict)
    """All messages that wait, the longest first: in the queue, parked, or with the slot."""
    queue: FairQueue[_Ticket] = field(default_factory=lambda: FairQueue(IN_FLIGHT))
    parked: dict[PartKey, list[_Ticket]] = field(default_factory=dict)
    """Messages whose part of the receiver rests."""
    wasters: set[str] = field(default_factory=set)
    """Namespaces that did not use their last slot."""
    granted: _Ticket | None = None
    grant_ends: float = 0.0
    in_flight: dict[_Ticket, float] = field(default_factory=dict)
    """With the time when each began."""
    timer: asyncio.TimerHandle | None = None


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
        self._late_timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """The number of messages that wait only for their turn."""
        return sum(len(each.queue) for each in self._channels.values() if not each.whole.failures) + len(self._slots)

    @property
    def waiting_for_recovery(self) -> int:
        """The number of messages that wait for channels, or for parts of them, whose last message failed."""
        return sum(
            len(each.queue) * bool(each.whole.failures) + sum(map(len, each.parked.values()))
            for each in self._channels.values()
        )

    def waiting_for(self, receiver: str) -> int:
        """The number of messages that wait for receivers of this type, the first element of their limit keys."""
        return sum(map(len, self._waits_for(receiver)))

    def oldest_wait(self, receiver: str) -> float:
        """The seconds for which the oldest of them has waited; 0 if none waits."""
        firsts = [next(iter(waits.values())).since for waits in self._waits_for(receiver)]
        return _now() - min(firsts) if firsts else 0.0

    def _waits_for(self, receiver: str) -> list[dict[_Ticket, _Wait]]:
        found = [(limit_key, channel.waits) for limit_key, channel in self._channels.items() if channel.waits]
        return [waits for limit_key, waits in found if isinstance(limit_key, tuple) and limit_key[0] == receiver]

    def acquire(self, pace: Pace, item: Item, urgency: tuple[int, datetime]) -> bool:
        """Take a slot if the item has one or the channel is free; otherwise queue for it.

        `urgency` is the rank after own failures (`dispatcher.rank`), then the time of expiry; the lowest of a namespace
        is sent first.
        """
        channel, now = self._channels.setdefault(pace.limit_key, _Channel()), asyncio.get_running_loop().time()
        ticket, namespace = _Ticket(item, pace.destination), item.key.namespace
        if channel.granted != ticket:
            if ticket not in channel.waits:
                wait = channel.waits[ticket] = _Wait((urgency[0], urgency[1].timestamp()), now)
                channel.queue.push(namespace, ticket, wait.urgency)
            asking = None if ticket in channel.in_flight else ticket
            self._serve(pace.limit_key, channel, asking)
            if asking is None or channel.granted != ticket:
                if self._late_timer is None:
                    self._late_timer = asyncio.get_running_loop().call_later(LATE_SECONDS, self._report_late)
                return False
        self._take_back(pace.limit_key, channel)
        channel.wasters.discard(namespace)
        channel.in_flight[ticket] = now
        channel.free_at = now + pace.seconds
        if channel.whole.failures:
            channel.whole.begin_probe()
        if channel.parts.rests:
            channel.parts.begin_probe(namespace, pace.destination)
        self._serve(pace.limit_key, channel)
        return True

    def finished(self, pace: Pace, item: Item, *, accepted: bool) -> None:
        """End the slot of a message. The interval begins now: the time of its arrival is unknown."""
        channel = self._channels.get(pace.limit_key)
        if channel is None:
            return
        if channel.in_flight.pop(_Ticket(item, pace.destination), None) is not None:
            channel.queue.release(item.key.namespace)
        if accepted:
            if channel.whole.failures:
                channel.whole.end()
            if channel.parts.last_failed or channel.parts.rests:
                channel.parts.succeed(item.key.namespace, pace.destination)
            channel.free_at = max(channel.free_at, asyncio.get_running_loop().time() + pace.seconds)
        self._serve(pace.limit_key, channel)

    def release_unused(self, item: Item) -> None:
        """Give the slots that the item did not take in its reconcile to the next items."""
        for limit_key in tuple(self._slots.get(item, ())):
            channel = self._channels[limit_key]
            self._take_back(limit_key, channel)
            channel.queue.release(item.key.namespace)
            self._serve(limit_key, channel)

    def failure(self, pace: Pace, namespace: str) -> DeliveryFailure | None:
        """The failure for which messages such as this one wait, if their statuses must report it."""
        channel = self._channels.get(pace.limit_key)
        if channel is None:
            return None
        parts = channel.parts.concerning(namespace, pace.destination)
        failures = [rest.failure for rest in (channel.whole, *(rest for _, rest in parts))]
        return next((failure for failure in failures if failure and failure.is_reported), None)

    def is_late(self, pace: Pace, item: Item) -> bool:
        """True if the message has waited for its turn for so long that its status must report it."""
        channel = self._channels.get(pace.limit_key)
        wait = channel.waits.get(_Ticket(item, pace.destination)) if channel else None
        return wait is not None and wait.since + LATE_SECONDS <= _now()

    def back_off(
        self,
        pace: Pace,
        item: Item,
        retry_after: float | None,
        failure: DeliveryFailure | None = None,
        *,
        of_part: bool = False,
    ) -> None:
        """Pause a channel after a failed message, for the time that it asked for or with an increasing backoff.

        `of_part`: only the destination has failed, as far as is known. Items that wait are enqueued when their statuses
        must report the failure.
        """
        channel, namespace = self._channels.setdefault(pace.limit_key, _Channel()), item.key.namespace
        started, rest = channel.in_flight.get(_Ticket(item, pace.destination), _now()), channel.whole
        if of_part:
            rest, has_spread = channel.parts.fail(namespace, pace.destination, started)
            if has_spread:
                channel.whole.fail(SPREAD_BACKOFF, started, None)
        else:
            rest.fail(self._backoff, started, retry_after)
        if failure is not None and rest.note(failure):
            part = (namespace, pace.destination)
            concerned = [each for each, to in channel.waits if not of_part or (each.key.namespace, to) == part]
            self._queue.enqueue_all(concerned)
        self._serve(pace.limit_key, channel)

    def retry_now(self, keys: Collection[ObjectKey]) -> None:
        """Try each failing channel at once that has an item of these in its queue: its configuration has changed.

        In a channel that others wait for as well, only the parts of these namespaces: the rest is not theirs.
        """
        for limit_key, channel in tuple(self._channels.items()):
            changed = {item.key.namespace for item, _ in channel.waits if item.key in keys}
            for namespace in changed:
                channel.parts.forget(namespace)
            if changed and all(item.key.namespace in changed for item, _ in channel.waits):
                channel.whole.end()
            if changed:
                self._serve(limit_key, channel)

    def _serve(self, limit_key: Hashable, channel: _Channel, asking: _Ticket | None = None) -> None:
        """Grant the slot to the next message if it is time, and wait for what comes next."""
        now = asyncio.get_running_loop().time()
        if channel.granted is not None and channel.grant_ends <= now:
            namespace = channel.granted.item.key.namespace
            channel.wasters.add(namespace)
            channel.queue.release(namespace)
            self._take_back(limit_key, channel)
        for lost in [each for each, began in channel.in_flight.items() if began + _LOST_SECONDS <= now]:
            del channel.in_flight[lost]
            channel.queue.release(lost.item.key.namespace)
        if channel.granted is None and max(channel.free_at, channel.whole.until) <= now:
            found = self._next_that_may_go(channel) if channel.parked or channel.parts.rests else channel.queue.pop()
            if found is not None:
                namespace, ticket = found
                seconds = min(SLOT_AFTER_WASTE_SECONDS, self._slot) if namespace in channel.wasters else self._slot
                channel.granted, channel.grant_ends = ticket, now + seconds
                self._slots.setdefault(ticket.item, set()).add(limit_key)
                if ticket != asking:
                    self._queue.enqueue(ticket.item, channel.waits[ticket].urgency[1])
        self._arm(limit_key, channel, now)

    def _next_that_may_go(self, channel: _Channel) -> tuple[str, _Ticket] | None:
        """Give a place to the next message whose part of the receiver does not rest. The others are parked."""
        for part in [part for part in channel.parked if channel.parts.until(part) <= _now()]:
            for ticket in channel.parked.pop(part):
                channel.queue.push(part[0], ticket, channel.waits[ticket].urgency)
        while (found := channel.queue.pop()) is not None:
            namespace, ticket = found
            resting = channel.parts.blocking(namespace, ticket.destination)
            if resting is None:
                return found
            channel.queue.release(namespace)
            channel.parked.setdefault(resting, []).append(ticket)
        return None

    def _take_back(self, limit_key: Hashable, channel: _Channel) -> None:
        if channel.granted is not None:
            item, slots = channel.granted.item, self._slots[channel.granted.item]
            del channel.waits[channel.granted]
            channel.granted = None
            slots.discard(limit_key)
            if not slots:
                del self._slots[item]

    def _arm(self, limit_key: Hashable, channel: _Channel, now: float) -> None:
        """Set the timer for the next change; forget a channel that has nothing to remember.

        `now` is the time at which `_serve` has looked for a message that may go: the clock goes on meanwhile.
        """
        if channel.timer is not None:
            channel.timer.cancel()
            channel.timer = None
        loop, ready = asyncio.get_running_loop(), max(channel.free_at, channel.whole.until)
        if channel.granted is not None:
            at = channel.grant_ends
        elif channel.waits:
            moments = [channel.parts.until(part) for part in channel.parked]
            if channel.queue:
                # If the channel was free already, all places are taken: they are given back.
                moments.append(ready if ready > now else now + _LOST_SECONDS)
            at = max(min(moments), ready)
        elif channel.in_flight:
            at = now + _LOST_SECONDS
        else:
            # A message in flight may still fail: the number of failures is kept for a while.
            at = ready + (self._backoff.longest_seconds if channel.whole.failures else 0)
            at = max(at, channel.parts.remembered_until()) if channel.parts.rests else at
            if at <= now:
                self._channels.pop(limit_key, None)
                return
        channel.timer = loop.call_at(max(at, now), self._serve, limit_key, channel)

    def _report_late(self) -> None:
        """Enqueue the items that have waited for too long, each once, so that their statuses report it."""
        due, upcoming = [], []
        for channel in self._channels.values():
            for (item, _), wait in channel.waits.items():
                if wait.is_late:
                    continue
                if wait.since + LATE_SECONDS > _now():
                    upcoming.append(wait.since + LATE_SECONDS)
                    break  # the others have come later
                wait.is_late = True
                due.append(item)
        self._queue.enqueue_all(due)
        at = max(min(upcoming, default=_now() + LATE_SECONDS), _now() + _LATE_EVERY_SECONDS)
        waits = any(channel.waits for channel in self._channels.values())
        self._late_timer = asyncio.get_running_loop().call_at(at, self._report_late) if waits else None


def _now() -> float:
    return asyncio.get_running_loop().time()
