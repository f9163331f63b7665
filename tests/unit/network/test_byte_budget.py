"""All answers in flight together have one budget: a stalled one holds what it has sent, and none waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.network.byte_budget import (
    MIB,
    SHARE_BYTES,
    UNCOUNTED_BYTES,
    ByteBudget,
    TooLargeError,
    read_body,
    read_lines,
)
from tests.virtual_time import VirtualTimeLoop

CHUNK = 128 * 1024
LARGEST = 8 * MIB
FOREVER = 1e6
STEP = 256 * 1024
"""More than what was received, that an answer may reserve."""


class Content:
    """The chunks of a body, each after so many seconds."""

    def __init__(self, chunks: Sequence[bytes], seconds: float = 0.0, stalls_for: float = 0.0) -> None:
        self._chunks = list(chunks)
        self._seconds = seconds
        self._stalls_for = stalls_for
        """Before the last chunk."""

    async def readany(self) -> bytes:
        await asyncio.sleep(self._seconds + (self._stalls_for if len(self._chunks) == 1 else 0.0))
        return self._chunks.pop(0) if self._chunks else b""


def content(size: int, seconds: float = 0.0, stalls_for: float = 0.0):
    chunks = [b"x" * min(CHUNK, size - start) for start in range(0, size, CHUNK)]
    return Content(chunks, seconds, stalls_for)


async def read(budget: ByteBudget, owner: str, size: int, *, seconds: float = 0.0, stalls_for: float = 0.0) -> int:
    with budget.reservation(owner) as reserved:
        body = await read_body(content(size, seconds, stalls_for), reserved, LARGEST)  # type: ignore[arg-type]
        return len(body)


async def test_a_small_answer_reserves_nothing() -> None:
    budget = ByteBudget(total=1, share=1)
    assert await read(budget, "a", UNCOUNTED_BYTES) == UNCOUNTED_BYTES


async def test_a_body_over_the_limit_is_refused() -> None:
    budget = ByteBudget()
    assert await read(budget, "a", LARGEST) == LARGEST
    with pytest.raises(TooLargeError):
        await read(budget, "a", LARGEST + 1)
    assert budget.in_use == 0


async def test_a_stalled_answer_holds_what_it_has_sent() -> None:
    """And nothing after its end, also if it is cancelled."""
    budget = ByteBudget()
    stalled = asyncio.create_task(read(budget, "a", MIB, stalls_for=FOREVER))
    await asyncio.sleep(1)
    assert MIB - CHUNK <= budget.in_use <= MIB - CHUNK + STEP
    stalled.cancel()
    await asyncio.gather(stalled, return_exceptions=True)
    assert budget.in_use == 0


async def test_one_that_gives_up_its_wait_lets_the_next_one_go_on() -> None:
    """It holds nothing yet, and was the first in turn of its owner."""
    budget = ByteBudget(total=8, share=8)

    async def reserve(size: int) -> None:
        with budget.reservation("a") as reserved:
            await reserved.resize(size)

    with budget.reservation("a") as holder:
        await holder.resize(2)
        more_than_there_is, next_one = asyncio.create_task(reserve(6)), asyncio.create_task(reserve(1))
        await asyncio.sleep(1)
        assert budget.waiting == 2
        more_than_there_is.cancel()
        await asyncio.wait_for(next_one, 1)
    assert (budget.in_use, budget.waiting) == (0, 0)


async def test_seventy_stalled_answers_hold_a_share_and_one_answer() -> None:
    """The last byte of each is kept back. Another owner reads at once all the same."""
    budget = ByteBudget()
    stalled = [asyncio.create_task(read(budget, "hostile", LARGEST, stalls_for=FOREVER)) for _ in range(70)]
    await asyncio.sleep(1)
    assert budget.in_use <= SHARE_BYTES + LARGEST
    assert budget.waiting > 60
    async with asyncio.timeout(0.1):
        assert await read(budget, "victim", LARGEST) == LARGEST
    for task in stalled:
        task.cancel()
    await asyncio.gather(*stalled, return_exceptions=True)
    assert (budget.in_use, budget.waiting) == (0, 0)


async def test_answers_that_hold_a_part_each_do_not_wait_for_each_other() -> None:
    """Each would need what the others hold: they end one after the other."""
    budget = ByteBudget(total=10 * MIB, share=4 * MIB)
    reads = [read(budget, owner, LARGEST, seconds=0.01) for owner in "abc" for _ in range(10)]
    async with asyncio.timeout(60):
        assert await asyncio.gather(*reads) == [LARGEST] * 30
    assert budget.in_use == 0


async def test_those_who_wait_take_turns() -> None:
    """A hundred large answers of one owner do not come before one of another."""
    budget, ended = ByteBudget(total=MIB, share=MIB), list[str]()

    async def one(owner: str) -> None:
        await read(budget, owner, MIB - STEP, stalls_for=1.0)
        ended.append(owner)

    waiting = [asyncio.create_task(one("hostile")) for _ in range(100)]
    await asyncio.sleep(0.1)
    await one("victim")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert ended.index("victim") <= 8


_answers = st.tuples(
    st.sampled_from("abc"), st.integers(1, LARGEST), st.sampled_from((0.0, 0.01)), st.sampled_from((0.0, 5.0))
)


@given(st.lists(_answers, max_size=12), st.integers(MIB // 2, 16 * MIB), st.integers(MIB // 2, 8 * MIB))
def test_the_budget_holds_and_all_are_served(answers: list, total: int, share: int) -> None:
    """Never more than the budget and one answer, and no answer waits longer than the stalls of all others."""

    async def run() -> None:
        budget, most = ByteBudget(total, share), 0
        reads = [
            asyncio.create_task(read(budget, owner, size, seconds=seconds, stalls_for=stalls_for))
            for owner, size, seconds, stalls_for in answers
        ]
        async with asyncio.timeout(10 * len(answers) + 1):
            while not all(each.done() for each in reads):
                most = max(most, budget.in_use)
                await asyncio.sleep(0.005)
        assert [each.result() for each in reads] == [size for _, size, _, _ in answers]
        assert most <= total + LARGEST + STEP
        assert (budget.in_use, budget.waiting) == (0, 0)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


async def lines(chunks: Sequence[bytes], largest: int = LARGEST) -> AsyncIterator[bytes]:
    with ByteBudget().reservation("") as reserved:
        async for line in read_lines(Content(chunks), reserved, largest):  # type: ignore[arg-type]
            yield bytes(line)


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.integers(1, 9))
def test_lines_come_whole_however_they_are_cut(expected: list[bytes], size: int) -> None:
    stream = b"".join(line + b"\n" for line in expected)

    async def run() -> list[bytes]:
        return [line async for line in lines([stream[at : at + size] for at in range(0, len(stream), size)])]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(run()) == expected


def test_it_pauses_after_each_read_and_not_after_each_line() -> None:
    """Lines that come meanwhile are read together: a thousand a second cost fifty wake-ups, and not a thousand."""

    async def run() -> tuple[list[bytes], float]:
        began = asyncio.get_running_loop().time()
        with ByteBudget().reservation("") as reserved:
            stream = read_lines(Content([b"a\nb\nc", b"\nd\n"]), reserved, LARGEST, pause=0.5)  # type: ignore[arg-type]
            read = [bytes(line) async for line in stream]
        return read, asyncio.get_running_loop().time() - began

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(run()) == ([b"a", b"b", b"c", b"d"], 1.0)


async def test_a_line_over_the_limit_ends_the_stream() -> None:
    with pytest.raises(TooLargeError):
        [line async for line in lines([b"x" * 99, b"x" * 2], largest=100)]


async def test_a_large_line_is_counted_until_the_next_one() -> None:
    budget = ByteBudget()
    with budget.reservation("") as reserved:
        stream = read_lines(Content([b"x" * MIB, b"\n", b"y\n"]), reserved, LARGEST)  # type: ignore[arg-type]
        assert len(await anext(stream)) == MIB
        assert MIB <= budget.in_use <= MIB + STEP
        assert await anext(stream) == b"y"
        assert budget.in_use == 0


@pytest.mark.parametrize(("hostile", "size"), [(1, LARGEST), (2, 3 * MIB), (3, MIB)])
async def test_there_is_room_for_an_owner_with_nothing_however_many_stall(hostile: int, size: int) -> None:
    """The oldest answer that waits may be of an owner whose answers all stall: it is not the one that goes beyond."""
    budget = ByteBudget()
    stalled = [
        asyncio.create_task(read(budget, f"hostile {number % hostile}", LARGEST, stalls_for=FOREVER))
        for number in range(70)
    ]
    await asyncio.sleep(10)
    async with asyncio.timeout(1):
        assert await read(budget, "victim", size, seconds=0.001) == size
    for task in stalled:
        task.cancel()
    await asyncio.gather(*stalled, return_exceptions=True)
    assert (budget.in_use, budget.waiting) == (0, 0)
