"""Namespaces take turns, whatever one of them wants and however urgent it says that is."""

import asyncio
import math
from contextlib import suppress
from random import Random

import pytest

from clientcert.fair_queueing import FairQueue, FairSemaphore


def popped(queue: FairQueue[str]) -> list[str]:
    found = []
    while (each := queue.pop()) is not None:
        found.append(each[1])
    return found


async def test_namespaces_take_turns_and_urgency_counts_within_one() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(1_000):
        queue.push("greedy", f"g{number}", (-9.0,))
    queue.push("modest", "late", (5.0,))
    queue.push("modest", "soon", (1.0,))
    order = popped(queue)
    assert order[:5] == ["g0", "soon", "g1", "late", "g2"]
    assert len(order) == 1_002


async def test_an_entry_waits_once_and_becomes_more_urgent_never_less() -> None:
    queue: FairQueue[str] = FairQueue()
    for entry, urgency in (("a", 5.0), ("b", 3.0), ("a", 1.0), ("a", 9.0), ("c", 3.0)):
        queue.push("team", entry, (urgency,))
    assert (len(queue), "a" in queue, "d" in queue) == (3, True, False)
    assert popped(queue) == ["a", "b", "c"]
    assert (len(queue), queue._lines) == (0, {})


async def test_an_entry_that_waits_too_long_precedes_the_more_urgent_ones() -> None:
    queue: FairQueue[str] = FairQueue(longest_wait=60.0)
    queue.push("team", "old", (9.0,))
    await asyncio.sleep(59)
    queue.push("team", "new", (1.0,))
    queue.push("team", "newer", (1.0,))
    assert queue.pop() == ("team", "new")
    await asyncio.sleep(1)
    assert queue.pop() == ("team", "old")


async def test_in_a_long_backlog_the_most_urgent_one_waits_for_one_entry_only() -> None:
    """All have waited too long, and would be first: those that are more urgent take turns with them."""
    queue: FairQueue[str] = FairQueue(longest_wait=60.0)
    for number in range(4):
        queue.push("team", f"old {number}", (9.0,))
    await asyncio.sleep(61)
    for number in range(2):
        queue.push("team", f"urgent {number}", (1.0,))
    assert popped(queue) == ["old 0", "urgent 0", "old 1", "urgent 1", "old 2", "old 3"]


async def test_an_entry_that_leaves_takes_no_turn_and_leaves_nothing_behind() -> None:
    queue: FairQueue[str] = FairQueue()
    for namespace in ("one", "two"):
        for number in range(3):
            queue.push(namespace, f"{namespace} {number}", (number,))
    for entry in ("one 0", "one 2", "two 0", "two 1", "two 2", "unknown"):
        queue.discard(entry)
    assert popped(queue) == ["one 1"]
    assert queue._lines == {}


async def test_a_namespace_that_has_its_share_loses_no_turn() -> None:
    queue: FairQueue[str] = FairQueue(2)
    for namespace in ("one", "two"):
        for number in range(2):
            queue.push(namespace, f"{namespace} {number}")
    assert [queue.pop(), queue.pop(), queue.pop()] == [("one", "one 0"), ("two", "two 0"), None]
    queue.release("two")
    assert queue.pop() == ("two", "two 1")
    queue.release("one")
    assert queue.pop() == ("one", "one 1")


@pytest.mark.parametrize(("greedy", "each"), [(1, 32), (2, 21), (3, 16), (7, 8), (63, 1)])
async def test_there_is_a_place_for_a_namespace_with_none_however_many_want_all(greedy: int, each: int) -> None:
    queue: FairQueue[str] = FairQueue(64)
    for number in range(64 * greedy):
        queue.push(str(number % greedy), f"{number}")
    while queue.pop() is not None:
        pass
    assert {queue.taken[str(number)] for number in range(greedy)} <= {each, each + 1}
    queue.push("modest", "one")
    assert queue.pop() == ("modest", "one")
    queue.release("modest")
    assert "modest" not in queue.taken


async def test_the_oldest_wait_is_known() -> None:
    """Of all namespaces, and of those that still wait."""
    queue: FairQueue[str] = FairQueue(1)
    assert queue.oldest_wait == 0
    queue.push("one", "first")
    await asyncio.sleep(5)
    queue.push("two", "second")
    await asyncio.sleep(5)
    assert queue.oldest_wait == pytest.approx(10)
    queue.pop()
    assert queue.oldest_wait == pytest.approx(5)


async def test_a_semaphore_serves_namespaces_in_turn_within_its_places() -> None:
    """A hundred callers of one namespace for ten seconds each: another namespace has its place at once."""
    semaphore, loop = FairSemaphore(4), asyncio.get_running_loop()
    active, most = {"greedy": 0, "modest": 0}, {"greedy": 0, "modest": 0}

    async def hold(namespace: str) -> float:
        began = loop.time()
        async with semaphore.slot(namespace):
            waited = loop.time() - began
            active[namespace] += 1
            most[namespace] = max(most[namespace], active[namespace])
            await asyncio.sleep(10)
            active[namespace] -= 1
        return waited

    greedy = [asyncio.create_task(hold("greedy")) for _ in range(100)]
    await asyncio.sleep(1)
    assert semaphore.waiting == 98
    assert await hold("modest") == 0
    await asyncio.gather(*greedy)
    assert (most, semaphore.waiting) == ({"greedy": 2, "modest": 1}, 0)


@pytest.mark.parametrize("is_granted", [True, False])
async def test_a_caller_that_is_cancelled_keeps_no_slot(is_granted: bool) -> None:
    semaphore = FairSemaphore(1)

    async def hold(seconds: float) -> None:
        async with semaphore.slot("team"):
            await asyncio.sleep(seconds)

    first = asyncio.create_task(hold(10))
    await asyncio.sleep(0)
    second, third = asyncio.create_task(hold(10)), asyncio.create_task(hold(1))
    await asyncio.sleep(0)
    for task in [first] * is_granted + [second]:  # the first hands its slot to the second in the same iteration
        task.cancel()
    with suppress(asyncio.CancelledError):
        await first
    await asyncio.wait_for(third, 20)
    assert second.cancelled()
    assert (semaphore.waiting, semaphore._queue.free, semaphore._queue.taken) == (0, 1, {})


async def test_an_entry_that_changes_its_namespace_waits_in_the_new_one_only() -> None:
    """It may become more urgent or less, and others may wait."""
    for urgency in (1.0, 9.0):
        queue: FairQueue[str] = FairQueue()
        for namespace, entry in (("old", "moves"), ("old", "stays"), ("other", "waits")):
            queue.push(namespace, entry, (5.0,))
        queue.push("new", "moves", (urgency,))
        assert (queue.waiting_of("old"), queue.waiting_of("new"), len(queue)) == (1, 1, 3)
        assert [queue.pop(), queue.pop(), queue.pop(), queue.pop()] == [
            ("old", "stays"),
            ("other", "waits"),
            ("new", "moves"),
            None,
        ]
        assert queue._lines == {}


async def test_entries_that_come_and_go_behind_one_that_waits_leave_nothing_behind() -> None:
    """Because they are more urgent, and are served; or because their callers give up."""
    queue: FairQueue[str] = FairQueue()
    queue.push("team", "waits", (9.0,))
    for number in range(10_000):
        queue.push("team", f"urgent {number}", (1.0,))
        assert queue.pop() == ("team", f"urgent {number}")
        queue.push("team", f"gives up {number}", (10.0,))
        queue.discard(f"gives up {number}")
        assert queue.waiting_of("team") == 1
    line = queue._lines["team"]
    assert len(line.urgent) + len(line.arrived) < 200
    assert popped(queue) == ["waits"]


async def test_no_more_namespaces_are_looked_at_than_there_are_places() -> None:
    """However many wait: otherwise each arrival would cost as much as there are namespaces."""
    queue: FairQueue[str] = FairQueue(4)
    looked_at = 0

    class Taken(dict[str, int]):
        def get(self, *args: object) -> int:  # type: ignore[override]
            nonlocal looked_at
            looked_at += 1
            return super().get(*args)  # type: ignore[call-overload,no-any-return]

    queue.taken = Taken()
    for number in range(1_000):
        queue.push(f"team-{number}", f"{number}")
        queue.pop()
    assert looked_at <= 2 * 4
    for number in range(990):
        queue.release(f"team-{number}")
        assert queue.pop() == (f"team-{number + 4}", f"{number + 4}")
    assert looked_at <= 1_000 * 2 * 4


@pytest.mark.parametrize("longest_wait", [math.inf, 200.0])
@pytest.mark.parametrize("seed", range(10))
async def test_each_turn_is_that_of_a_plain_search(seed: int, longest_wait: float) -> None:
    """Compared with lists that are searched anew each time; and the rows of entries that left are bounded."""
    random = Random(seed)
    queue = FairQueue[int](longest_wait=longest_wait)
    waiting: dict[str, dict[int, tuple[float, int, float]]] = {}
    late: dict[str, bool] = {}
    for number in range(3_000):
        await asyncio.sleep(1)
        namespace, urgency = random.choice("ab"), random.random()
        entry = random.randrange(400) * 2 + (namespace == "b")
        if random.random() < 0.6:
            queue.push(namespace, entry, (urgency,))
            before = waiting.setdefault(namespace, {}).get(entry, (math.inf, number, float(number)))
            waiting[namespace][entry] = min(before[0], urgency), *before[1:]
        elif random.random() < 0.5:
            queue.discard(entry)
            waiting.get(namespace, {}).pop(entry, None)
        elif waiting:
            turn = next(iter(waiting))
            line = waiting.pop(turn)
            oldest = min(line, key=lambda each: line[each][1])
            late[turn] = number - line[oldest][2] >= longest_wait and not late.get(turn, False)
            first = oldest if late[turn] else min(line, key=lambda each: line[each])
            assert queue.pop() == (turn, first)
            del line[first]
            waiting[turn] = line  # its next turn is after that of the other
        for each in [each for each, line in waiting.items() if not line]:
            del waiting[each]
            late.pop(each, None)
        assert len(queue) == sum(map(len, waiting.values()))
        assert all(len(line.urgent) <= 1.25 * len(line.arrived) + 101 for line in queue._lines.values())
