"""Fair queueing between namespaces: round robin over them, and urgency only within one.

    queue = FairQueue[Item]()                          # what waits
    queue.push("team-a", item, (urgency,))
    namespace, item = queue.pop() or …

    semaphore = FairSemaphore(16)                      # who may go on
    async with semaphore.slot("team-a"):
        …

A tenant decides how much it wants and how urgent it says that is. So neither may cost another tenant more than a turn.
"""

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

_Entry = TypeVar("_Entry", bound=Hashable)

Urgency: TypeAlias = tuple[float, ...]
"""The lowest is first; of equal ones, the first that arrived."""


@dataclass(slots=True)
class _Line(Generic[_Entry]):
    """The entries of one namespace. Those that have left the queue in the meantime stay until they are first."""

    urgent: list[tuple[Urgency, int, _Entry]] = field(default_factory=list)
    """A heap; the number is that of the arrival."""
    arrived: deque[tuple[float, int, _Entry]] = field(default_factory=deque)
    """With the time of the arrival, on the loop's clock."""


class FairQueue(Generic[_Entry]):
    """Entries that wait, each at most once. Use it from the event loop only."""

    def __init__(self, longest_wait: float = math.inf) -> None:
        """An entry that has waited for `longest_wait` seconds precedes the more urgent ones of its namespace."""
        self._longest_wait = longest_wait
        self._waiting: dict[_Entry, tuple[int, Urgency, str]] = {}
        self._lines: dict[str, _Line[_Entry]] = {}
        """In the order of turns. None is empty."""
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, entry: _Entry) -> bool:
        return entry in self._waiting

    def __iter__(self) -> Iterator[_Entry]:
        """All entries, in the order of their arrival."""
        return iter(self._waiting)

    def push(self, namespace: str, entry: _Entry, urgency: Urgency = ()) -> None:
        """Add an entry; one that waits already becomes more urgent, never less."""
        known = self._waiting.get(entry)
        if known is not None and urgency >= known[1]:
            return
        number = known[0] if known else next(self._numbers)
        line = self._lines.setdefault(namespace, _Line())
        if known is None:
            line.arrived.append((asyncio.get_running_loop().time(), number, entry))
        self._waiting[entry] = (number, urgency, namespace)
        heapq.heappush(line.urgent, (urgency, number, entry))

    def pop(self, may_go: Callable[[str], bool] = lambda _: True) -> tuple[str, _Entry] | None:
        """Remove and return the first entry of the next namespace that `may_go`; None if there is none."""
        namespace = next(filter(may_go, self._lines), None)
        if namespace is None:
            return None
        line = self._lines[namespace]
        late = asyncio.get_running_loop().time() - self._longest_wait
        entry = (line.arrived if line.arrived[0][0] <= late else line.urgent)[0][2]
        self.discard(entry)
        if namespace in self._lines:
            self._lines[namespace] = self._lines.pop(namespace)  # its next turn comes after those of all others
        return namespace, entry

    def discard(self, entry: _Entry) -> None:
        """Remove an entry, if it waits."""
        known = self._waiting.pop(entry, None)
        if known is None:
            return
        line = self._lines[known[2]]
        while line.urgent and self._has_left(line.urgent[0]):
            heapq.heappop(line.urgent)
        while line.arrived and self._has_left(line.arrived[0]):
            line.arrived.popleft()
        if not line.arrived:
            del self._lines[known[2]]

    def clear(self) -> None:
        """Remove all entries."""
        self._waiting.clear()
        self._lines.clear()

    def _has_left(self, place: tuple[object, int, _Entry]) -> bool:
        known = self._waiting.get(place[2])
        return known is None or known[0] != place[1]


class FairShares:
    """A number of equal places, such as workers, and how many of them each namespace has.

    A namespace may take one more while it has fewer than are free: the dynamic threshold of shared buffers. One alone
    gets half of them, two get a third each, and there is always a free one for a namespace that has none.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._taken: dict[str, int] = {}

    def may_take(self, namespace: str) -> bool:
        """True if the namespace may take one more."""
        return self._taken.get(namespace, 0) < self._free

    def take(self, namespace: str) -> None:
        """Take a place; `give_back` must follow."""
        self._free -= 1
        self._taken[namespace] = self._taken.get(namespace, 0) + 1

    def give_back(self, namespace: str) -> None:
        """Free a place of the namespace."""
        self._free += 1
        self._taken[namespace] -= 1
        if not self._taken[namespace]:
            del self._taken[namespace]


class FairSemaphore:
    """Limits how much goes on at once, in all and for one namespace (`FairShares`); namespaces take turns.

    Use it from the event loop only.
    """

    def __init__(self, places: int) -> None:
        self._shares = FairShares(places)
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()

    @property
    def waiting(self) -> int:
        """The number of callers that wait."""
        return len(self._queue)

    @asynccontextmanager
    async def slot(self, namespace: str, urgency: Urgency = ()) -> AsyncGenerator[None, None]:
        """Wait for a slot, and hold it for the block."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.push(namespace, granted, urgency)
        self._grant()
        try:
            await granted
            yield
        finally:
            if granted in self._queue:
                self._queue.discard(granted)
            else:
                self._shares.give_back(namespace)
                self._grant()

    def _grant(self) -> None:
        while (found := self._queue.pop(self._shares.may_take)) is not None:
            namespace, granted = found
            self._shares.take(namespace)
            if not granted.done():  # else its caller was cancelled, and gives it back
                granted.set_result(None)
