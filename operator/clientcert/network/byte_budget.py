"""A budget of memory for all answers in flight: bytes are reserved before they are read.

    with budget.reservation(namespace) as reserved:
        body = await read_body(response.content, reserved, LARGEST)
        return decode(body)                       # released here: only the small record stays

A bound on each answer is not enough: seventy servers of one tenant that keep back the last byte of a page of 8 MiB held
560 MiB. Answers of the API server and of S3 have one budget each: a bucket's server that a tenant has chosen may stall,
and must not hold up the write of a status, for which all messages would wait. A reservation grows with what was
received, so a stalled answer holds no more than that. An owner (a namespace, as a rule) has its share at most, and
owners that wait take turns.

Answers that each hold a part and wait for more could wait for each other for ever. So if all of an owner wait, the
oldest may exceed its share; if all of all owners wait, the next in turn may exceed the budget. The most that can be
held is the budget and one answer.
"""

import asyncio
import itertools
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

import aiohttp

MIB = 1024 * 1024
BUDGET_BYTES = 32 * MIB
API_BUDGET_BYTES = 16 * MIB
"""For the API server, whose answers do not stall."""
SHARE_BYTES = 6 * MIB
"""Of one owner. If another has its share and one answer, there still is room for an answer of 8 MiB."""
UNCOUNTED_BYTES = 64 * 1024
"""The start of each answer, which its connection buffers anyway. Most answers are smaller, and wait for nothing."""


_STEP_BYTES = 256 * 1024


class TooLargeError(Exception):
    """An answer exceeds the limit of its reader."""


class ByteBudget:
    """Use it from the event loop only."""

    def __init__(self, total: int = BUDGET_BYTES, share: int = SHARE_BYTES) -> None:
        self._total = total
        self._share = share
        self._in_use = 0
        self._held: Counter[str] = Counter()
        self._holding: Counter[str] = Counter()
        """The answers of each owner that hold bytes."""
        self._numbers = itertools.count()
        self._waiting: OrderedDict[str, list[Reservation]] = OrderedDict()
        """By owner; the owner whose turn is next comes first."""
        self._beyond_share: dict[str, Reservation] = {}
        self._beyond_total: Reservation | None = None

    @property
    def in_use(self) -> int:
        """The bytes that are reserved."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """Answers that wait for memory."""
        return sum(map(len, self._waiting.values()))

    def reservation(self, owner: str) -> "Reservation":
        """A reservation that is empty at first, and is released at the end of its `with` block."""
        return Reservation(self, owner, next(self._numbers))

    async def resize(self, reserved: "Reservation", size: int) -> None:
        """Reserve `size` bytes instead of what is reserved now; waits until there is room for more."""
        more = size - reserved.size
        if more <= 0 or (not self._waiting and self._fits(reserved, more)):
            self._add(reserved, more)
            if more < 0:
                self._hand_out()
            return
        turn = reserved.wait_for(more)
        self._waiting.setdefault(reserved.owner, []).append(reserved)
        self._hand_out()
        try:
            await turn
        finally:
            self._stop_waiting(reserved)

    def _fits(self, reserved: "Reservation", more: int) -> bool:
        if self._beyond_total is reserved:
            return True
        return self._has_room(reserved.owner, more) and self._fits_share(reserved, more)

    def _has_room(self, owner: str, more: int) -> bool:
        """True if no more is held afterwards by the owner than is free: some is left for an owner who has none."""
        return self._in_use + self._held[owner] + more <= self._total

    def _fits_share(self, reserved: "Reservation", more: int) -> bool:
        owner = reserved.owner
        return self._held[owner] + more <= self._share or self._beyond_share.get(owner) is reserved

    def _add(self, reserved: "Reservation", more: int) -> None:
        owner, held_before = reserved.owner, reserved.size > 0
        reserved.add(more)
        self._in_use += more
        self._held[owner] += more
        self._holding[owner] += (reserved.size > 0) - held_before
        if not reserved.size:
            for counter in (self._held, self._holding):
                if not counter[owner]:
                    del counter[owner]
            if self._beyond_share.get(owner) is reserved:
                del self._beyond_share[owner]
            if self._beyond_total is reserved:
                self._beyond_total = None

    def release(self, reserved: "Reservation") -> None:
        """Release all of it; for the reservation."""
        if not reserved.size and not self._waiting:
            return  # as for most answers
        self._add(reserved, -reserved.size)
        self._hand_out()

    def _stop_waiting(self, reserved: "Reservation") -> None:
        waiting = self._waiting.get(reserved.owner, [])
        if reserved in waiting:
            waiting.remove(reserved)
            if not waiting:
                del self._waiting[reserved.owner]

    def _hand_out(self) -> None:
        """Give the waiting ones what there is room for: one of each owner in turn."""
        moved = True
        while moved:
            moved = False
            for owner in tuple(self._waiting):
                first = self._next(owner)
                self._let_go_beyond(first)
                if self._fits(first, first.wanted):
                    self._waiting.move_to_end(owner)
                    self._stop_waiting(first)
                    self._add(first, first.wanted)
                    first.granted()
                    moved = True

    def _next(self, owner: str) -> "Reservation":
        """The waiting one that may go beyond a limit; otherwise the oldest."""
        waiting = self._waiting[owner]
        for allowed in (self._beyond_total, self._beyond_share.get(owner)):
            if allowed in waiting:
                return allowed
        return min(waiting)

    def _let_go_beyond(self, first: "Reservation") -> None:
        """Allow it to exceed a limit if all others would wait for ever: none of them is being read."""
        owner = first.owner
        if not self._fits_share(first, first.wanted) and owner not in self._beyond_share and not self._reads(owner):
            self._beyond_share[owner] = first
        if self._beyond_total is not None or self._has_room(owner, first.wanted):
            return
        if self._fits_share(first, first.wanted) and not any(map(self._reads, self._holding)):
            self._beyond_total = first

    def _reads(self, owner: str) -> bool:
        """True if an answer of the owner holds memory, and does not wait for more: it ends, and releases it."""
        return self._holding[owner] > sum(each.size > 0 for each in self._waiting.get(owner, ()))


@dataclass(slots=True, eq=False)
class Reservation:
    """The bytes reserved for one answer, for a `with` block. Older reservations compare as less."""

    budget: ByteBudget = field(repr=False)
    owner: str
    number: int
    size: int = 0
    wanted: int = 0
    """The bytes that it waits for."""
    _turn: asyncio.Future[None] | None = None

    def __lt__(self, other: "Reservation") -> bool:
        return self.number < other.number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.budget.release(self)

    async def resize(self, size: int) -> None:
        """Reserve `size` bytes instead of what is reserved now; waits until there is room for more."""
        await self.budget.resize(self, size)

    def add(self, more: int) -> None:
        """Note a change of the size; for the budget."""
        self.size += more

    def wait_for(self, more: int) -> asyncio.Future[None]:
        """Note that it waits for more bytes; for the budget."""
        self.wanted = more
        self._turn = asyncio.get_running_loop().create_future()
        return self._turn

    def granted(self) -> None:
        """End the wait; for the budget."""
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


async def read_body(content: aiohttp.StreamReader, reserved: Reservation, largest: int) -> bytearray:
    """Read a body to its end within the reservation. Raises TooLargeError, and the errors of the connection.

    The reservation grows with the body, in steps: a server that stops sending holds what it has sent, and no more.
    """
    body = bytearray()
    while chunk := await content.readany():
        if len(body) + len(chunk) > largest:
            raise TooLargeError
        needed = len(body) + len(chunk)
        if needed > max(reserved.size, UNCOUNTED_BYTES):
            await reserved.resize(needed + _STEP_BYTES)
        body += chunk
    return body


async def read_lines(
    content: aiohttp.StreamReader, reserved: Reservation, largest: int, *, pause: float = 0.0
) -> AsyncIterator[bytearray]:
    """Yield the lines of a stream. Raises TooLargeError for a longer line, and the errors of the connection.

    After each read it waits for `pause` seconds, so that lines that follow each other are read together.
    """
    lines = bytearray()
    while chunk := await content.readany():
        searched = len(lines)
        lines += chunk
        start = 0
        while (end := lines.find(b"\n", max(start, searched))) >= 0:
            yield lines[start:end]
            start = end + 1
        del lines[:start]
        if len(lines) > largest:
            raise TooLargeError
        if len(lines) > UNCOUNTED_BYTES or reserved.size:
            await reserved.resize(len(lines) + _STEP_BYTES if len(lines) > UNCOUNTED_BYTES else 0)
        if pause:
            await asyncio.sleep(pause)
