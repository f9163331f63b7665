"""The most urgent first; but no namespace has all workers, and nobody waits for ever."""

import asyncio

from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import WorkQueue


def key(number: int, namespace: str = "team") -> ObjectKey:
    return ObjectKey(namespace, f"c{number}")


async def taken(queue: WorkQueue, count: int) -> list[ObjectKey | None]:
    return [await asyncio.wait_for(queue.take(), 1) for _ in range(count)]


async def nothing_is_given(queue: WorkQueue) -> bool:
    taking = asyncio.create_task(queue.take())
    done, _ = await asyncio.wait([taking], timeout=0.05)
    taking.cancel()
    return not done


async def test_the_most_urgent_is_next() -> None:
    """Of those that are as urgent, the one that came first; twice in it is once."""
    queue = WorkQueue()
    for number, urgency in ((1, 5.0), (2, 1.0), (3, 5.0), (1, 0.0)):
        queue.put(key(number), urgency)
    assert len(queue) == 3
    assert await taken(queue, 3) == [key(2), key(1), key(3)]
    assert await nothing_is_given(queue)


async def test_one_namespace_has_not_all_workers() -> None:
    """Its next ones wait until others of it are done, the most urgent first, and hold up nobody else."""
    queue = WorkQueue(most_of_one=2)
    for number in range(5):
        queue.put(key(number, "greedy"), number)
    queue.put(key(0, "modest"), 99.0)
    assert await taken(queue, 3) == [key(0, "greedy"), key(1, "greedy"), key(0, "modest")]
    assert await nothing_is_given(queue)
    queue.done(key(1, "greedy"))
    assert await taken(queue, 1) == [key(2, "greedy")]
    assert await nothing_is_given(queue)
    queue.done(key(0, "greedy"))
    queue.done(key(2, "greedy"))
    assert await taken(queue, 2) == [key(3, "greedy"), key(4, "greedy")]
    assert len(queue) == 0


async def test_who_waits_too_long_is_next() -> None:
    """Without end there is somebody more urgent, and all the same it has its turn."""
    queue = WorkQueue(patience=0.1)
    queue.put(key(0), 99.0)
    for number in range(1, 100):
        queue.put(key(number), 0.0)
        (got,) = await taken(queue, 1)
        queue.done(key(number))
        if got == key(0):
            break
        await asyncio.sleep(0.01)
    else:
        raise AssertionError("it was never looked at")


async def test_the_oldest_of_a_greedy_namespace_holds_up_nobody() -> None:
    """All have waited too long; the namespace that has its share already lets others pass."""
    queue = WorkQueue(most_of_one=1, patience=0.05)
    for number in range(3):
        queue.put(key(number, "greedy"), 0.0)
    assert await taken(queue, 1) == [key(0, "greedy")]
    queue.put(key(0, "modest"), 99.0)
    queue.put(key(1, "modest"), 0.0)
    await asyncio.sleep(0.1)
    assert await taken(queue, 1) == [key(0, "modest")]


async def test_every_key_is_given_once_whatever_happens() -> None:
    """Ten namespaces, more keys than workers: each key comes out as often as it went in."""
    queue, given = WorkQueue(most_of_one=3, patience=0.0), []
    keys = [key(number, f"team-{number % 10}") for number in range(1_000)]

    async def worker() -> None:
        while (got := await queue.take()) is not None:
            await asyncio.sleep(0)
            given.append(got)
            queue.done(got)

    workers = [asyncio.create_task(worker()) for _ in range(20)]
    for number, each in enumerate(keys):
        queue.put(each, -number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while len(given) < len(keys):
            await asyncio.sleep(0.01)
    queue.close()
    await asyncio.gather(*workers)
    assert sorted(given) == sorted(keys)
    assert (queue._held_back, dict(queue._working)) == ({}, {})


async def test_what_waits_when_it_is_closed_is_given_when_it_is_open_again() -> None:
    """A leader that leads again goes on where it was."""
    queue = WorkQueue()
    queue.put(key(1), 0.0)
    queue.close()
    assert await queue.take() is None
    queue.put(key(2), 0.0)
    queue.open()
    assert await taken(queue, 2) == [key(1), key(2)]
