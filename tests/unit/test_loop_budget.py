"""Tasks that compute share the event loop: no iteration takes much longer than a slice."""

import asyncio
import time

import pytest

from clientcert.loop_budget import LoopBudget

pytestmark = pytest.mark.real_time
SLICE = 0.02
STEP = 0.005


def compute() -> None:
    until = time.process_time() + STEP
    while time.process_time() < until:
        pass


async def longest_iteration(work) -> float:
    """The most seconds of CPU time between two iterations of the loop while `work` runs."""
    working = asyncio.ensure_future(work)
    longest, before = 0.0, time.process_time()
    while not working.done():
        await asyncio.sleep(0)
        now = time.process_time()
        longest, before = max(longest, now - before), now
    return longest


async def steps(loop_budget: LoopBudget | None, done: list[int], number: int) -> None:
    if loop_budget:
        await loop_budget.yield_if_spent()
    compute()
    done.append(number)


async def test_a_hundred_concurrent_tasks_are_spread_over_many_iterations():
    loop_budget, done = LoopBudget(SLICE), []
    together = await longest_iteration(asyncio.gather(*(steps(None, [], n) for n in range(100))))
    shared = await longest_iteration(asyncio.gather(*(steps(loop_budget, done, n) for n in range(100))))
    assert sorted(done) == list(range(100))
    assert shared < together / 4


async def test_the_first_task_of_an_iteration_need_not_wait():
    loop_budget, waited = LoopBudget(SLICE), []
    asyncio.get_running_loop().call_soon(waited.append, "a turn has passed")
    await loop_budget.yield_if_spent()
    assert waited == []


async def test_a_task_late_in_an_iteration_waits_for_the_next():
    loop_budget = LoopBudget(SLICE)
    await loop_budget.yield_if_spent()
    passed: list[str] = []
    asyncio.get_running_loop().call_soon(passed.append, "a turn")
    time.sleep(SLICE)
    await loop_budget.yield_if_spent()
    assert passed == ["a turn"]
