"""Slots are shared fairly: an owner has its share at most, owners take turns, and one owner's tasks are in order."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clientcert.network.fair_semaphore import FairSemaphore
from tests.virtual_time import VirtualTimeLoop


class Users:
    """Tasks that take a slot for a second each, and the order in which they got it."""

    def __init__(self, capacity: int, share: int) -> None:
        self.slots = FairSemaphore(capacity, share)
        self.order: list[str] = []
        self.most: dict[str, int] = {}
        self._now: dict[str, int] = {}

    async def use(self, owner: str, name: str = "", seconds: float = 1.0) -> None:
        async with self.slots.slot(owner):
            self.order.append(name or owner)
            self._now[owner] = self._now.get(owner, 0) + 1
            self.most[owner] = max(self.most.get(owner, 0), self._now[owner])
            self.most["all"] = max(self.most.get("all", 0), sum(self._now.values()))
            try:
                await asyncio.sleep(seconds)
            finally:
                self._now[owner] -= 1


async def test_a_free_slot_is_taken_at_once() -> None:
    users = Users(2, 2)
    async with asyncio.timeout(1.5):
        await asyncio.gather(users.use("a"), users.use("b"))


async def test_an_owner_has_its_share_at_most() -> None:
    """And the rest is free for others, at once."""
    users = Users(4, 2)
    hostile = [asyncio.create_task(users.use("hostile")) for _ in range(10)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(1.05):
        await users.use("victim")
    await asyncio.gather(*hostile)
    assert users.most == {"hostile": 2, "victim": 1, "all": 3}


async def test_owners_take_turns() -> None:
    """A thousand waiting tasks of one owner are one owner."""
    users = Users(1, 1)
    waiting = [asyncio.create_task(users.use("hostile")) for _ in range(1000)]
    await asyncio.sleep(0)
    waiting += [asyncio.create_task(users.use(owner)) for owner in ("victim", "other", "victim")]
    await asyncio.gather(*waiting)
    assert [users.order.index("victim"), users.order.index("other")] == [2, 3]
    assert users.order[5] == "victim"


async def test_tasks_of_an_owner_are_in_the_order_in_which_they_came() -> None:
    users = Users(2, 1)
    await asyncio.gather(*(users.use("a", str(number)) for number in range(20)))
    assert users.order == [str(number) for number in range(20)]


async def test_whoever_asks_again_and_again_overtakes_nobody() -> None:
    users = Users(1, 1)

    async def again_and_again() -> None:
        while True:
            await users.use("a", "again")

    busy = asyncio.create_task(again_and_again())
    await asyncio.sleep(0.5)
    await users.use("a", "late")
    busy.cancel()
    assert users.order[:2] == ["again", "late"]


@pytest.mark.parametrize("at", [0.5, 1.0, 1.5], ids=["while it waits", "as its slot comes", "while it has it"])
async def test_a_cancelled_task_keeps_no_slot(at: float) -> None:
    users = Users(1, 1)
    first, second = asyncio.create_task(users.use("a")), asyncio.create_task(users.use("b"))
    await asyncio.sleep(at)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert users.slots.waiting == 0
    async with asyncio.timeout(1.5):
        await users.use("c")


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 6)), max_size=30),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_no_slot_is_lost_or_given_twice(tasks: list[tuple[str, int, int]], capacity: int, share: int) -> None:
    """Whatever comes and is cancelled: the limits hold, all others are served, and in the end all slots are free."""

    async def run() -> None:
        users = Users(capacity, share)
        running = []
        for owner, seconds, cancelled_after in tasks:
            task = asyncio.create_task(users.use(owner, seconds=seconds))
            if cancelled_after:
                asyncio.get_running_loop().call_later(cancelled_after, task.cancel)
            running.append(task)
        await asyncio.gather(*running, return_exceptions=True)
        assert users.most.get("all", 0) <= capacity
        assert all(users.most.get(owner, 0) <= share for owner in "abc")
        assert users.slots.waiting == 0
        async with AsyncExitStack() as stack, asyncio.timeout(0.1):
            for number in range(capacity):
                await stack.enter_async_context(users.slots.slot(f"fresh-{number}"))

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
