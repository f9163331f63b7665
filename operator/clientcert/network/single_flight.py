"""A cache with single flight, expiry and a bounded weight.

    cache = SingleFlightCache(max_weight, weigh)
    answer = await cache.get(key, load, timeout)

Callers that ask for the same key at the same time share one load.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Answer = TypeVar("_Answer")

Load: TypeAlias = Callable[[], Awaitable[tuple[_Answer, float]]]
"""Gives an answer, and the seconds after which it expires."""


@dataclass(slots=True)
class _Entry(Generic[_Answer]):
    answer: _Answer
    expires: float
    used: float
    """Both on the loop's clock."""


class SingleFlightCache(Generic[_Key, _Answer]):
    """Keeps answers in memory; an error of a load reaches its callers, and is not kept."""

    def __init__(self, max_weight: int, weigh: Callable[[_Answer], int], max_idle_seconds: float = math.inf) -> None:
        """Limit the weight of all answers together, and the time for which an unused answer is kept.

        The least recently used answer is dropped first; the most recently used one is kept, whatever its weight.
        """
        self._max_weight = max_weight
        self._weigh = weigh
        self._max_idle_seconds = max_idle_seconds
        self._entries: OrderedDict[_Key, _Entry[_Answer]] = OrderedDict()
        """The least recently used first."""
        self._weight = 0
        self._flights: dict[_Key, asyncio.Task[_Answer]] = {}
        self._awaited: set[_Key] = set()
        """Keys that `get` was called for while they are loaded."""

    def fresh(self, key: _Key) -> _Answer | None:
        """Return the answer unless it has expired. This is a use of it."""
        entry = self._use(key)
        return entry.answer if entry is not None and _now() < entry.expires else None

    def latest(self, key: _Key) -> _Answer | None:
        """Return the answer, even if it has expired. This is no use of it."""
        entry = self._entries.get(key)
        return None if entry is None else entry.answer

    def keys_in_use(self) -> tuple[_Key, ...]:
        """Drop the answers that were unused for too long; return the keys of the others."""
        self._drop_idle()
        return tuple(self._entries)

    async def get(self, key: _Key, load: Load[_Answer], timeout: float | None = None) -> _Answer:
        """Return the answer; load it if there is none, or if it has expired.

        Raises TimeoutError after `timeout` seconds: the load goes on, and its answer is kept for the next caller.
        """
        entry = self._use(key)
        if entry is not None and _now() < entry.expires:
            return entry.answer
        self._awaited.add(key)
        flight = self._flight(key, load)
        done, _ = await asyncio.wait({flight}, timeout=timeout)
        if not done:
            raise TimeoutError
        return flight.result()

    async def refresh(self, key: _Key, load: Load[_Answer]) -> None:
        """Load the answer again, even if it has not expired. This is no use of it: a dropped answer stays dropped."""
        flight = self._flight(key, load)
        await asyncio.wait({flight})
        flight.result()

    async def close(self) -> None:
        """Cancel all loads; their callers get CancelledError."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _flight(self, key: _Key, load: Load[_Answer]) -> asyncio.Task[_Answer]:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._load(key, load))
            flight.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def _landed(self, key: _Key, flight: asyncio.Task[_Answer]) -> None:
        self._flights.pop(key, None)
        self._awaited.discard(key)
        if not flight.cancelled():
            flight.exception()  # retrieved, even if all callers have gone

    async def _load(self, key: _Key, load: Load[_Answer]) -> _Answer:
        answer, seconds = await load()
        now, before = _now(), self._entries.get(key)
        if before is not None:
            self._weight -= self._weigh(before.answer)
        elif key not in self._awaited:
            return answer
        self._entries[key] = _Entry(answer, now + seconds, before.used if before else now)
        self._weight += self._weigh(answer)
        self._drop_idle()
        while self._weight > self._max_weight and len(self._entries) > 1:
            self._drop_first()
        return answer

    def _use(self, key: _Key) -> _Entry[_Answer] | None:
        entry = self._entries.get(key)
        if entry is not None:
            entry.used = _now()
            self._entries.move_to_end(key)
        return entry

    def _drop_idle(self) -> None:
        used_since = _now() - self._max_idle_seconds
        while self._entries and next(iter(self._entries.values())).used <= used_since:
            self._drop_first()

    def _drop_first(self) -> None:
        _, entry = self._entries.popitem(last=False)
        self._weight -= self._weigh(entry.answer)


def _now() -> float:
    return asyncio.get_running_loop().time()
