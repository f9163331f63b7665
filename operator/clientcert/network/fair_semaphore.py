"""A semaphore whose slots are shared fairly between owners: namespaces, as a rule.

    async with slots.slot(namespace):
        ...

In the pool of aiohttp, and in a semaphore that counts alone, whoever asks most often gets most. Here an owner has its
share at most, owners that wait take turns, and among the waiting tasks of one owner the first is next.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairSemaphore:
    """Use it from the event loop only."""

    def __init__(self, capacity: int, share: int) -> None:
        """`capacity` is the number of slots, `share` the number that one owner may hold at the same time."""
        self._capacity = capacity
        self._share = share
        self._held: Counter[str] = Counter()
        self._in_use = 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        """By owner; the owner whose turn is next comes first."""

    @property
    def waiting(self) -> int:
        """Tasks that wait for a slot."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """Hold a slot within the block."""
        if owner in self._waiting or not self._fits(owner):
            await self._wait(owner)
        else:
            self._take(owner)
        try:
            yield
        finally:
            self._release(owner)

    async def _wait(self, owner: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._drop_cancelled(owner)
            if not turn.cancelled():
                self._release(owner)  # the slot came together with the cancellation
            raise

    def _drop_cancelled(self, owner: str) -> None:
        if owner in self._waiting:
            self._waiting[owner] = deque(turn for turn in self._waiting[owner] if not turn.cancelled())
            if not self._waiting[owner]:
                del self._waiting[owner]

    def _fits(self, owner: str) -> bool:
        return self._in_use < self._capacity and self._held[owner] < self._share

    def _take(self, owner: str) -> None:
        self._in_use += 1
        self._held[owner] += 1

    def _release(self, owner: str) -> None:
        self._in_use -= 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._hand_out()

    def _hand_out(self) -> None:
        for owner in tuple(self._waiting):
            turns = self._waiting[owner]
            while turns and self._fits(owner):
                turn = turns.popleft()
                if not turn.cancelled():
                    turn.set_result(None)
                    self._take(owner)
                    self._waiting.move_to_end(owner)
                    break
            if not turns:
                del self._waiting[owner]
