"""Fair queueing between namespaces: round robin over them, and urgency only within one.

    queue = FairQueue[Item](64)                        # 64 places: workers, for example
    queue.push("team-a", item, (urgency,))
    namespace, item = queue.pop() or …                 # it has a place now
    queue.release(namespace)

    semaphore = FairSemaphore(16)
    async with semaphore.slot("team-a"):
        …

A tenant decides how much it wants and how urgent it says that is. So neither may cost another tenant more than a turn.
And a namespace may take one more place only while it has fewer than are free (the dynamic threshold of shared buffers):
one alone gets half of them, two get a third each, and there is always one for a namespace that has none.
"""

import asyncio
import heapq
import itertools
import math
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

_Entry = TypeVar("_Entry", bound=Hashable)

Urgency: TypeAlias = tuple[float, ...]
"""The lowest is first; of equal ones, the first that arrived."""
_Row: TypeAlias = tuple[Urgency, int, float, _Entry]
"""Urgency, number of the arrival, time of the arrival on the loop's clock, and the entry."""
served_namespace: ContextVar[str] = ContextVar("served_namespace", default="")
"""The namespace for whose object a task and the tasks that it creates work. The worker sets it.

For code below a library that passes no namespace on, such as a resolver; everywhere else it is an argument.
"""
_COMPACT_FROM = 100


@dataclass(slots=True)
class _Line(Generic[_Entry]):
    """The entries of one namespace."""

    arrived: OrderedDict[_Entry, _Row[_Entry]] = field(default_factory=OrderedDict)
    """The row of each entry that waits, in the order of arrival."""
    urgent: list[_Row[_Entry]] = field(default_factory=list)
    """A heap. It also has old rows, of entries that have left or become more urgent: a quarter of those that wait, and
    a hundred, at most. Its first row is never an old one."""
    was_late: bool = False
    """True if the last entry that was given a place had waited too long."""

    def drop_old_rows(self) -> None:
        """Call it after an entry has left or become more urgent, if any still waits."""
        if len(self.urgent) > len(self.arrived) * 5 // 4 + _COMPACT_FROM:
            self.urgent = list(self.arrived.values())
            heapq.heapify(self.urgent)
        while self.arrived.get(self.urgent[0][-1]) is not self.urgent[0]:
            heapq.heappop(self.urgent)


@dataclass(slots=True)
class FairQueue(Generic[_Entry]):
    """Entries that wait for places, each at most once. Use it from the event loop only."""

    free: float = math.inf
    """The places that are free; at first all."""
    longest_wait: float = math.inf
    """Entries that have waited for this number of seconds take turns with the more urgent ones of their namespace: in a
    backlog of hours none of either is held up by the others."""
    taken: dict[str, int] = field(default_factory=dict)
    """The places that each namespace has."""
    _waiting: dict[_Entry, str] = field(default_factory=dict)
    """The namespace of each entry."""
    _lines: OrderedDict[str, _Line[_Entry]] = field(default_factory=OrderedDict)
    """In the order of turns. None is empty."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, entry: _Entry) -> bool:
        return entry in self._waiting

    def waiting_of(self, namespace: str) -> int:
        """The number of entries of a namespace."""
        line = self._lines.get(namespace)
        return len(line.arrived) if line else 0

    @property
    def oldest_wait(self) -> float:
        """Seconds since the arrival of the entry that has waited longest; 0 if none waits."""
        first = min((next(iter(line.arrived.values()))[2] for line in self._lines.values()), default=None)
        return 0.0 if first is None else asyncio.get_running_loop().time() - first

    def push(self, namespace: str, entry: _Entry, urgency: Urgency = ()) -> None:
        """Add an entry; one that waits already becomes more urgent, never less."""
        if self._waiting.get(entry, namespace) != namespace:
            self.discard(entry)
        self._waiting[entry] = namespace
        line = self._lines.setdefault(namespace, _Line())
        known = line.arrived.get(entry)
        if known is None:
            row = (urgency, next(self._numbers), asyncio.get_running_loop().time(), entry)
        elif urgency < known[0]:
            row = (urgency, *known[1:])
        else:
            return
        line.arrived[entry] = row
        heapq.heappush(line.urgent, row)
        if known is not None:
            line.drop_old_rows()

    def pop(self) -> tuple[str, _Entry] | None:
        """Give a place to the first entry of the next namespace that may have one, and return both; else None.

        `release` must follow.
        """
        if self.free <= 0:
            return None
        # Only namespaces that have places are passed over, so that no more of them are looked at than there are places.
        namespace = next((each for each in self._lines if self.taken.get(each, 0) < self.free), None)
        if namespace is None:
            return None
        line = self._lines[namespace]
        late = asyncio.get_running_loop().time() - self.longest_wait
        oldest = next(iter(line.arrived.values()))
        line.was_late = oldest[2] <= late and not line.was_late
        entry = (oldest if line.was_late else line.urgent[0])[-1]
        self.discard(entry)
        if namespace in self._lines:
            self._lines.move_to_end(namespace)  # its next turn comes after those of all others
        self.free -= 1
        self.taken[namespace] = self.taken.get(namespace, 0) + 1
        return namespace, entry

    def take_free(self, namespace: str) -> bool:
        """Give a place to the namespace at once, if nobody waits and it may have one; `release` must follow then."""
        taken = self.taken.get(namespace, 0)
        if self._waiting or taken >= self.free:
            return False
        self.free -= 1
        self.taken[namespace] = taken + 1
        return True

    def release(self, namespace: str) -> None:
        """Free a place of the namespace."""
        self.free += 1
        self.taken[namespace] -= 1
        if not self.taken[namespace]:
            del self.taken[namespace]

    def discard(self, entry: _Entry) -> None:
        """Remove an entry, if it waits."""
        namespace = self._waiting.pop(entry, None)
        if namespace is None:
            return
        line = self._lines[namespace]
        del line.arrived[entry]
        if line.arrived:
            line.drop_old_rows()
            return
        del self._lines[namespace]
        if not self._waiting:
            self._waiting.clear()  # an empty dictionary keeps the memory of its largest size

    def clear(self) -> None:
        """Remove all entries; the places stay taken."""
        self._waiting.clear()
        self._lines.clear()


class FairSemaphore:
    """Limits how much goes on at once, in all and for one namespace; namespaces take turns.

    Use it from the event loop only.
    """

    def __init__(self, places: int) -> None:
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(places)

    @property
    def waiting(self) -> int:
        """The number of callers that wait."""
        return len(self._queue)

    def waiting_of(self, namespace: str) -> int:
        """The number of callers of a namespace that wait."""
        return self._queue.waiting_of(namespace)

    @property
    def oldest_wait(self) -> float:
        """Seconds for which the first of them has waited."""
        return self._queue.oldest_wait

    def slot(self, namespace: str, urgency: Urgency = ()) -> "Slot":
        """A slot: `async with` waits for it, and holds it for the block."""
        return Slot(self._queue, namespace, urgency)


@dataclass(slots=True, eq=False)
class Slot:
    """A slot of a semaphore. A class, because a generator for each of 200,000 calls costs more."""

    queue: FairQueue[asyncio.Future[None]]
    namespace: str
    urgency: Urgency

    async def __aenter__(self) -> None:
        if self.queue.take_free(self.namespace):
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.queue.push(self.namespace, granted, self.urgency)
        self._grant()
        try:
            await granted
        except BaseException:
            if granted in self.queue:
                self.queue.discard(granted)
            else:
                await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        self.queue.release(self.namespace)
        self._grant()

    def _grant(self) -> None:
        while (found := self.queue.pop()) is not None:
            if not found[1].done():  # else its caller was cancelled, and gives it back
                found[1].set_result(None)
