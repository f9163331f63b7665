"""Who is looked at next: the most urgent; but nobody for ever after others, and no namespace with all workers.

A look may take long through no fault of the operator's: a bucket that answers in fourteen seconds, a container that
takes twenty to open. Who has many of these, and urgent ones, would otherwise keep everybody else waiting without end.
"""

import asyncio
import heapq
import itertools
from collections import Counter, deque

from clientcert.lifecycle.spec import ObjectKey

MOST_OF_ONE_NAMESPACE = 32
"""As many as there are connections to the API server: one namespace alone is no slower for it."""
PATIENCE_SECONDS = 60.0

_Entry = tuple[float, int, ObjectKey]
"""Urgency (or, in the order of arrival, when that was), number of the arrival, and who."""


class WorkQueue:
    """Keys that wait for a worker, and those that have one. From the event loop only."""

    def __init__(self, most_of_one: int = MOST_OF_ONE_NAMESPACE, patience: float = PATIENCE_SECONDS) -> None:
        """`most_of_one` of a namespace are worked on at once; who waits longer than `patience` seconds is next."""
        self._most_of_one = most_of_one
        self._patience = patience
        self._waiting: dict[ObjectKey, int] = {}
        """The number of its arrival. What stands elsewhere under another number is out of date."""
        self._urgent: list[_Entry] = []
        self._held_back: dict[str, list[_Entry]] = {}
        """Those that are next in namespaces with as many workers as they may have."""
        self._arrived: deque[_Entry] = deque()
        self._working: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        self._closed = False

    def __contains__(self, key: ObjectKey) -> bool:
        return key in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, key: ObjectKey, urgency: float) -> None:
        """The lower `urgency`, the sooner its turn; a key that waits already goes on waiting where it is."""
        if key not in self._waiting:
            number = self._waiting[key] = next(self._numbers)
            heapq.heappush(self._urgent, (urgency, number, key))
            self._arrived.append((asyncio.get_running_loop().time(), number, key))
            self._changed.set()

    async def take(self) -> ObjectKey | None:
        """The next one, which is worked on until `done`; None once the queue was closed."""
        while not self._closed:
            if (key := self._oldest() or self._most_urgent()) is not None:
                del self._waiting[key]
                self._working[key.namespace] += 1
                return key
            self._changed.clear()
            await self._changed.wait()
        return None

    def done(self, key: ObjectKey) -> None:
        """It is not worked on any more: another of its namespace may be."""
        namespace = key.namespace
        self._working[namespace] -= 1
        if not self._working[namespace]:
            del self._working[namespace]
        held_back = self._held_back.get(namespace, [])
        while held_back:
            entry = heapq.heappop(held_back)
            if not self._is_out_of_date(entry):
                heapq.heappush(self._urgent, entry)
                self._changed.set()
                return
        self._held_back.pop(namespace, None)

    def close(self) -> None:
        """Give out nothing more; what waits goes on waiting."""
        self._closed = True
        self._changed.set()

    def open(self) -> None:
        """Give out again what waits."""
        self._closed = False

    def _most_urgent(self) -> ObjectKey | None:
        while self._urgent:
            entry = heapq.heappop(self._urgent)
            if self._is_out_of_date(entry):
                continue
            if not self._is_full(entry[2].namespace):
                return entry[2]
            heapq.heappush(self._held_back.setdefault(entry[2].namespace, []), entry)
        return None

    def _oldest(self) -> ObjectKey | None:
        now = asyncio.get_running_loop().time()
        while self._arrived:
            entry = self._arrived[0]
            if self._is_out_of_date(entry):
                self._arrived.popleft()
            elif now - entry[0] <= self._patience:
                return None
            elif not self._is_full(entry[2].namespace):
                return entry[2]
            else:  # others of its namespace are worked on: it holds up nobody behind it
                self._arrived.popleft()
                self._arrived.append((now, entry[1], entry[2]))
        return None

    def _is_out_of_date(self, entry: _Entry) -> bool:
        return self._waiting.get(entry[2]) != entry[1]

    def _is_full(self, namespace: str) -> bool:
        return self._working[namespace] >= self._most_of_one
