"""Workers that wait for an item: each item wakes one of them, and none waits while there is one that it may take."""

import asyncio
import math
import random

import pytest

from clientcert.workqueue.work_queue import WORKERS, Item, WorkQueue
from tests.instructions import Counted
from tests.unit.engine.test_work_queue import item, open_queue


async def idle(queue: WorkQueue, count: int) -> list[asyncio.Task[Item | None]]:
    waiting = [asyncio.create_task(queue.take()) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


async def test_an_item_costs_the_same_however_many_workers_are_idle() -> None:
    """It wakes one of them. To wake all would cost more than many a reconcile."""
    costs = []
    for workers in (1, WORKERS):
        queue = open_queue()
        waiting = await idle(queue, workers)
        with Counted() as counted:
            queue.enqueue(item(1))
            await asyncio.sleep(0.01)
        costs.append(counted.instructions)
        assert sum(each.done() for each in waiting) == 1
        queue.close()
        await asyncio.gather(*waiting)
    assert costs[1] < 1.5 * costs[0]


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_a_worker_that_is_cancelled_when_it_is_woken_wakes_another(cancelled: int) -> None:
    queue = open_queue()
    waiting = await idle(queue, 2)
    queue.enqueue(item(1))
    waiting.pop(cancelled).cancel()
    assert await asyncio.wait_for(waiting[0], 1) == item(1)


async def test_no_worker_is_idle_while_there_is_an_item_that_it_may_take() -> None:
    """Whatever the order in which items arrive and reconciles end: a place that is freed may be for several."""
    dice = random.Random(7)
    queue, held = open_queue(workers=6, longest_wait=math.inf), list[tuple[Item, asyncio.Future[None]]]()

    async def worker() -> None:
        while (got := await queue.take()) is not None:
            held.append((got, asyncio.get_running_loop().create_future()))
            await held[-1][1]
            queue.done(got, None)

    workers = [asyncio.create_task(worker()) for _ in range(6)]
    most = 0
    for number in range(2_000):
        if held and dice.random() < 0.5:
            held.pop(dice.randrange(len(held)))[1].set_result(None)
        else:
            queue.enqueue(item(number, f"team-{dice.randrange(4)}"), dice.random())
        await asyncio.sleep(0.01)
        most = max(most, len(held))
        assert len(held) == 6 or queue._unlimited.pop() is None
    assert most == 6
    queue.close()
    for _, ended in held:
        ended.set_result(None)
    await asyncio.gather(*workers)
