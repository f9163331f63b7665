"""How fast each place is written to: one at a time, the most urgent first, and not at all while it asks for a rest.

A reconcile that may not send yet does not wait: its key joins the place's queue, its worker goes on, and when its turn
comes the key is woken and judged anew. So a thousand messages for one slow channel hold up nothing else, and what was
overtaken by events while it queued is never sent.
"""

import asyncio
import heapq
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime

from clientcert.cache.objects import Failure
from clientcert.lifecycle.spec import ObjectKey

TURN_SECONDS = 10.0
"""A turn that was not taken by then goes to the next one: its object is gone, or owes nothing any more."""
FIRST_REST_SECONDS = 2.0
LONGEST_REST_SECONDS = 300.0


Urgency = tuple[int, datetime]
"""How many times a message has held the others up, and until when it must be told; the lower, the sooner its turn."""


@dataclass(slots=True)
class _Place:
    free_at: float = 0.0
    """On the loop's clock."""
    failures: int = 0
    asked_until: float = 0.0
    """So long it has asked not to be written to."""
    queue: list[tuple[Urgency, ObjectKey]] = field(default_factory=list)
    queued: set[ObjectKey] = field(default_factory=set)
    granted: ObjectKey | None = None
    grant_ends: float = 0.0
    timer: asyncio.TimerHandle | None = None
    trouble: Failure | None = None
    """Why it could not take the last message; for whoever waits."""


class ChannelRateLimiter:
    """Gives loop_budget. From the event loop only; `wake` is called with the key whose turn has come."""

    def __init__(
        self,
        wake: Callable[[ObjectKey], None],
        *,
        turn: float = TURN_SECONDS,
        first_rest: float = FIRST_REST_SECONDS,
        longest_rest: float = LONGEST_REST_SECONDS,
    ) -> None:
        """All in seconds: how long a turn is kept for its key, and how long a place rests after a failure."""
        self._wake = wake
        self._turn = turn
        self._first_rest = first_rest
        self._longest_rest = longest_rest
        self._places: dict[Hashable, _Place] = {}
        self._slots: dict[ObjectKey, set[Hashable]] = {}
        """Whose turn it is, where."""

    @property
    def waiting(self) -> int:
        """How many messages wait for nothing but their turn."""
        return sum(len(place.queued) for place in self._places.values() if not place.failures) + len(self._slots)

    @property
    def waiting_for_recovery(self) -> int:
        """How many messages wait for places that could not take the last one."""
        return sum(len(place.queued) for place in self._places.values() if place.failures)

    def may_send(self, place: Hashable, key: ObjectKey, urgency: Urgency, seconds: float) -> bool:
        """Take the turn if it is this key's; else queue for it. `seconds` is how long this message fills the place."""
        state = self._places.setdefault(place, _Place())
        now = _now()
        mine = state.granted == key
        if mine or (state.granted is None and not state.queued and now >= state.free_at):
            self._take_back(place, state)
            state.free_at = now + seconds
            self._arm(place, state)
            return True
        if key not in state.queued and not mine:
            state.queued.add(key)
            heapq.heappush(state.queue, (urgency, key))
            self._arm(place, state)
        return False

    def pass_on(self, key: ObjectKey) -> None:
        """The key was judged, and has taken every turn that it wants: the others go to whoever is next."""
        for place in tuple(self._slots.get(key, ())):
            state = self._places[place]
            self._take_back(place, state)
            self._arm(place, state)

    def trouble(self, place: Hashable) -> Failure | None:
        """What whoever waits there should know: since when nothing is taken, and why."""
        state = self._places.get(place)
        return state.trouble if state is not None and state.trouble is not None and state.trouble.counts else None

    def rest(self, place: Hashable, seconds: float | None, failure: Failure | None = None) -> None:
        """The place could not take a message: leave it alone for as long as it asks, or for longer each time.

        Whoever waits there is woken when it is time to say so.
        """
        state = self._places.setdefault(place, _Place())
        state.failures += 1
        backoff = min(self._first_rest * 2 ** min(state.failures - 1, 10), self._longest_rest)
        if seconds:
            state.asked_until = max(state.asked_until, _now() + seconds)
        state.free_at = max(state.free_at, _now() + (seconds or backoff))
        self._arm(place, state)
        if failure is not None:
            self._note(place, state, failure)

    def _note(self, place: Hashable, state: _Place, failure: Failure) -> None:
        was_said, before = self.trouble(place), state.trouble
        since, attempts = before.since if before else failure.since, max(state.failures, failure.attempts)
        state.trouble = replace(failure, since=since, attempts=attempts, strikes=0, next_try=None, of_the_place=True)
        if not was_said and state.trouble.counts:
            for key in tuple(state.queued):
                self._wake(key)

    def mended(self, key: ObjectKey) -> None:
        """What a place is reached with has changed: whoever waits for one that failed has it tried at once."""
        for place, state in tuple(self._places.items()):
            if state.failures and key in state.queued:
                state.failures, state.trouble, state.free_at = 0, None, max(_now(), state.asked_until)
                self._arm(place, state)

    def well(self, place: Hashable, seconds: float) -> None:
        """The place has taken a message, which fills it from now on: nobody knows how long it was on its way."""
        if (state := self._places.get(place)) is not None:
            state.failures, state.trouble, state.free_at = 0, None, max(state.free_at, _now() + seconds)
            self._arm(place, state)

    def _arm(self, place: Hashable, state: _Place) -> None:
        if state.timer is not None:
            state.timer.cancel()
            state.timer = None
        loop = asyncio.get_running_loop()
        if state.queued:
            at = state.free_at if state.granted is None else state.grant_ends
            state.timer = loop.call_at(max(at, loop.time()), self._grant, place)
        elif state.granted is None:
            # Whoever is sending there may still say that it failed again: how often it has is kept for a while.
            at = state.free_at + (self._longest_rest if state.failures else 0)
            state.timer = loop.call_at(max(at, loop.time()), self._places.pop, place, None)

    def _grant(self, place: Hashable) -> None:
        state = self._places[place]
        state.timer = None
        self._take_back(place, state)
        if state.queue:
            _, key = heapq.heappop(state.queue)
            state.queued.discard(key)
            state.granted, state.grant_ends = key, _now() + self._turn
            self._slots.setdefault(key, set()).add(place)
            self._wake(key)
        self._arm(place, state)

    def _take_back(self, place: Hashable, state: _Place) -> None:
        if state.granted is not None:
            slots = self._slots[state.granted]
            slots.discard(place)
            if not slots:
                del self._slots[state.granted]
            state.granted = None


def _now() -> float:
    return asyncio.get_running_loop().time()
