"""Namespaces take turns, and none occupies all workers; within one, the most urgent item first, and none forever."""

import asyncio
import math
from datetime import datetime, timedelta
from itertools import pairwise

from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import LONGEST_WAIT_SECONDS, RETRY, WORKERS, Item, ItemsOf, WorkQueue
from tests.builders import DAY, NOW, SECOND


def item(number: int, namespace: str = "team", kind: str = "ClientCertificate") -> Item:
    return Item(kind, ObjectKey(namespace, f"c{number}"))


def clock() -> datetime:
    return NOW + timedelta(seconds=asyncio.get_running_loop().time())


def open_queue(**bounds: float) -> WorkQueue:
    queue = WorkQueue(clock, **bounds)  # type: ignore[arg-type]
    queue.open()
    return queue


LIMITED = "CertificateRenewal"


def limited_queue() -> WorkQueue:
    queue = WorkQueue(clock, limits={LIMITED: 4})
    queue.open()
    return queue


async def taken(queue: WorkQueue, count: int) -> list[Item | None]:
    return [await asyncio.wait_for(queue.take(), 1) for _ in range(count)]


async def nothing_is_available(queue: WorkQueue) -> bool:
    taking = asyncio.create_task(queue.take())
    done, _ = await asyncio.wait([taking], timeout=0.05)
    taking.cancel()
    return not done


async def test_the_most_urgent_item_is_next() -> None:
    """Of equally urgent items, the one that was enqueued first; an item that is enqueued twice is taken once."""
    queue = open_queue()
    for number, urgency in ((1, 5.0), (2, 1.0), (3, 5.0), (4, 5.0), (4, 0.0), (2, 9.0)):
        queue.enqueue(item(number), urgency)
    assert queue.depth == 4
    assert await taken(queue, 4) == [item(4), item(2), item(1), item(3)]
    assert await nothing_is_available(queue)


async def test_a_namespace_cannot_occupy_all_workers() -> None:
    """Its next items wait until others of it are done, the most urgent first, and delay no other namespace."""
    queue = open_queue(workers=4)
    for number in range(5):
        queue.enqueue(item(number, "greedy"), number)
    queue.enqueue(item(0, "modest"), 99.0)
    assert await taken(queue, 3) == [item(0, "greedy"), item(0, "modest"), item(1, "greedy")]
    assert await nothing_is_available(queue)
    queue.done(item(1, "greedy"), None)
    queue.done(item(0, "modest"), None)
    assert await taken(queue, 1) == [item(2, "greedy")]
    assert await nothing_is_available(queue)
    queue.done(item(0, "greedy"), None)
    queue.done(item(2, "greedy"), None)
    assert await taken(queue, 2) == [item(3, "greedy"), item(4, "greedy")]


async def test_a_namespace_has_its_share_of_the_workers_over_all_kinds() -> None:
    """Its certificates, policies and groups of alerts together; the most urgent of them first, of whatever kind."""
    queue = open_queue(workers=6)
    kinds = ("ClientCertificate", "CertificatePolicy", "AlertGroup")
    for number, kind in enumerate(kinds * 10):
        queue.enqueue(item(number, "greedy", kind), -number)
    got = await taken(queue, 3)
    assert got == [item(number, "greedy", kinds[number % 3]) for number in (29, 28, 27)]
    assert await nothing_is_available(queue)


async def test_two_namespaces_with_slow_items_leave_workers_for_others() -> None:
    """Each of them has a thousand items, which take ten minutes; an item of another namespace has a worker at once."""
    queue, loop = open_queue(), asyncio.get_running_loop()
    taken_at: dict[Item, float] = {}

    async def worker() -> None:
        while (got := await queue.take()) is not None:
            taken_at[got] = loop.time()
            await asyncio.sleep(600 if got.key.namespace.startswith("slow") else 1)
            queue.done(got, None)

    for number in range(1_000):
        for namespace in ("slow-1", "slow-2"):
            queue.enqueue(item(number, namespace), -math.inf)
    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(worker())
        await asyncio.sleep(5)
        assert len(taken_at) == 43  # 21 or 22 each
        for number in range(100):
            queue.enqueue(item(number, "quick"), 0.0)
        began = loop.time()
        await asyncio.sleep(20)
        assert max(taken_at[item(number, "quick")] for number in range(100)) - began < 15
        queue.close()


async def test_an_item_that_waits_too_long_is_next() -> None:
    """Even if there is always a more urgent item."""
    queue = open_queue(longest_wait=0.1)
    queue.enqueue(item(0), 99.0)
    for number in range(1, 100):
        queue.enqueue(item(number), 0.0)
        (got,) = await taken(queue, 1)
        if got == item(0):
            break
        queue.done(item(number), None)
        await asyncio.sleep(0.01)
    else:
        raise AssertionError("it was never taken")


async def test_the_oldest_item_of_a_namespace_at_its_limit_delays_no_other() -> None:
    """All have waited too long; a namespace that has its share still lets others pass."""
    queue = open_queue(workers=2, longest_wait=0.05)
    for number in range(3):
        queue.enqueue(item(number, "greedy"), 0.0)
    assert await taken(queue, 1) == [item(0, "greedy")]
    queue.enqueue(item(0, "modest"), 99.0)
    queue.enqueue(item(1, "modest"), 0.0)
    await asyncio.sleep(0.1)
    assert await taken(queue, 1) == [item(0, "modest")]


async def test_every_item_is_taken_exactly_once() -> None:
    """Ten namespaces, more items than workers: each item is taken as often as it was enqueued."""
    queue = open_queue(workers=20, longest_wait=0.0)
    given: list[Item] = []
    items = [item(number, f"team-{number % 10}") for number in range(1_000)]

    async def worker() -> None:
        while (got := await queue.take()) is not None:
            await asyncio.sleep(0)
            given.append(got)
            queue.done(got, None)

    workers = [asyncio.create_task(worker()) for _ in range(20)]
    for number, each in enumerate(items):
        queue.enqueue(each, -number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while len(given) < len(items):
            await asyncio.sleep(0.01)
    queue.close()
    await asyncio.gather(*workers)
    assert sorted(given) == sorted(items)
    assert queue._active == {}
    assert [(len(waiting), waiting.taken) for waiting in queue._waiting] == [(0, {})]


async def test_a_limited_kind_leaves_workers_for_all_others() -> None:
    """However many of its items wait, and of however many namespaces; one that is enqueued later waits for none."""
    queue = limited_queue()
    for number in range(100):
        queue.enqueue(item(number, f"team-{number % 10}", LIMITED))
    assert {each.kind for each in await taken(queue, 4) if each} == {LIMITED}
    assert await nothing_is_available(queue)
    queue.enqueue(item(1, "team-1"), 99.0)
    assert await taken(queue, 1) == [item(1, "team-1")]
    queue.done(item(0, "team-0", LIMITED), None)
    assert [each.kind for each in await taken(queue, 1) if each] == [LIMITED]
    assert await nothing_is_available(queue)


async def test_a_limited_kind_has_its_turn_in_a_backlog_of_others() -> None:
    """Every second free worker takes an item of it, until it has all that it may have."""
    queue = limited_queue()
    for number in range(100):
        queue.enqueue(item(number, f"team-{number % 10}"), -1.0)
    for number in range(10):
        queue.enqueue(item(number, f"team-{number}", LIMITED))
    kinds = [each.kind for each in await taken(queue, 12) if each]
    assert [kinds[:8].count(LIMITED), kinds[8:].count(LIMITED)] == [4, 0]


async def test_one_namespace_has_half_of_the_workers_of_a_limited_kind() -> None:
    queue = limited_queue()
    for number in range(10):
        queue.enqueue(item(number, "greedy", LIMITED))
    assert len(await taken(queue, 2)) == 2
    assert await nothing_is_available(queue)
    queue.enqueue(item(0, "modest", LIMITED))
    assert await taken(queue, 1) == [item(0, "modest", LIMITED)]


async def test_namespaces_that_want_all_leave_a_worker_for_one_that_has_none() -> None:
    """Also with items of both kinds, of however many namespaces."""
    queue = WorkQueue(clock, 12, limits={LIMITED: 4})
    queue.open()
    for number in range(100):
        queue.enqueue(item(number, f"greedy-{number % 3}"))
        queue.enqueue(item(number, f"greedy-{number % 3}", LIMITED))
    given = 0
    while not await nothing_is_available(queue):
        given += 1
    assert given < 12
    queue.enqueue(item(0, "modest"))
    assert await taken(queue, 1) == [item(0, "modest")]


async def test_an_item_of_a_limited_kind_is_forgotten_with_its_term() -> None:
    queue = limited_queue()
    queue.enqueue(item(1, kind=LIMITED))
    queue.schedule(item(1, kind=LIMITED), 1.0)
    assert (queue.depth, queue.scheduled_items()) == (1, ())
    queue.open()
    assert queue.depth == 0
    assert await nothing_is_available(queue)


async def test_an_item_that_is_enqueued_while_it_is_in_flight_is_taken_again() -> None:
    """No change is lost, and no item is in flight twice."""
    queue = open_queue()
    queue.enqueue(item(1))
    assert await taken(queue, 1) == [item(1)]
    queue.enqueue(item(1), 7.0)
    queue.enqueue(item(1), 5.0)
    assert await nothing_is_available(queue)
    queue.done(item(1), NOW + DAY)
    assert await taken(queue, 1) == [item(1)]
    queue.done(item(1), None)
    assert await nothing_is_available(queue)
    assert queue.seconds_until_due() == math.inf


async def test_a_closed_queue_is_empty_and_a_term_starts_empty() -> None:
    """A standby that waits for months holds no item; the caller that opens the queue enqueues all of them."""
    queue = open_queue()
    queue.enqueue(item(1))
    queue.schedule(item(2), 5.0)
    queue.close()
    assert await queue.take() is None
    queue.enqueue(item(3))
    queue.open()
    assert await nothing_is_available(queue)
    assert queue.seconds_until_due() == math.inf
    queue.enqueue(item(4))
    assert await taken(queue, 1) == [item(4)]


async def test_an_item_is_due_at_the_time_that_its_reconcile_returned() -> None:
    """By the wall clock; an item that is enqueued earlier is not due any more."""
    queue = open_queue()
    for number in (1, 2):
        queue.enqueue(item(number))
        await taken(queue, 1)
        queue.done(item(number), clock() + 5 * SECOND)
    queue.enqueue(item(2))
    assert queue.pop_due() == []
    await asyncio.sleep(5.1)
    assert queue.pop_due() == [item(1)]


async def test_many_items_that_are_due_at_once_are_enqueued_in_portions() -> None:
    """A hundred thousand in one iteration of the event loop would stall it."""
    queue = open_queue()
    for number in range(1_200):
        queue.schedule(item(number), 1.0)
    await asyncio.sleep(1.1)
    portions = []
    while found := queue.pop_due():
        portions.append(len(found))
        for each in found:
            queue.enqueue(each)
    assert portions == [500, 500, 200]


async def test_an_item_that_fails_backs_off_until_it_succeeds() -> None:
    """Longer each time, or as long as the error says."""
    queue = open_queue()
    for failures in (1, 2, 3):
        queue.enqueue(item(1))
        await taken(queue, 1)
        queue.retry(item(1), None)
        assert math.isclose(queue._due[item(1)][0] - clock().timestamp(), RETRY.delay(failures), abs_tol=0.01)
    queue.enqueue(item(1))
    await taken(queue, 1)
    queue.retry(item(1), 40.0, unanswered=True)
    assert queue.failed_items(unanswered=True) == queue.failed_items(unanswered=False) == (item(1),)
    queue.enqueue(item(1))
    await taken(queue, 1)
    queue.done(item(1), None)
    assert queue.failed_items(unanswered=False) == queue.failed_items(unanswered=True) == ()


async def test_an_item_that_is_enqueued_early_leaves_few_old_entries() -> None:
    """Old entries are dropped, however often it is enqueued and however far away its time was."""
    queue = open_queue()
    for _ in range(1_000):
        queue.enqueue(item(1))
        await taken(queue, 1)
        queue.done(item(1), NOW + 300 * DAY)
    assert len(queue._heap) + len(queue._old_heap) < 150
    queue.schedule(item(2), 60.0)
    queue.forget(item(1))
    assert queue.scheduled_items() == (item(2),)


async def test_an_item_keeps_its_key() -> None:
    """Each event brings a copy of the key; 10,000 would take 700 KB."""
    queue, first = open_queue(), item(1)
    queue.enqueue(first)
    for _ in range(2):
        taken_item = (await taken(queue, 1))[0]
        assert taken_item is not None
        queue.done(taken_item, NOW + DAY)
        queue.enqueue(item(1))
    assert (await taken(queue, 1))[0] is first


async def test_old_entries_are_dropped_a_few_at_a_time() -> None:
    """Thousands at once would stall the event loop, when they are dropped as when their time comes; none is lost."""
    queue, items = open_queue(), [item(number) for number in range(3_000)]
    entries = []
    for hours in (1, 2, 3):
        for each in items:
            queue.enqueue(each)
            await taken(queue, 1)
            queue.done(each, clock() + timedelta(hours=hours))
            entries.append(len(queue._heap) + len(queue._old_heap))
    assert all(before - after < 5 for before, after in pairwise(entries))
    assert max(entries) < 2.1 * 3_000
    for each in items[:-1]:
        queue.enqueue(each)
    await asyncio.sleep(timedelta(hours=3, seconds=1).total_seconds())
    found, calls = [], 0
    while queue.seconds_until_due() <= 0:
        left = len(queue._heap) + len(queue._old_heap)
        found += queue.pop_due()
        calls += 1
        assert left - len(queue._heap) - len(queue._old_heap) <= 500
    assert (found, calls > 6) == ([items[-1]], True)


async def test_thousands_are_enqueued_a_few_hundred_at_once() -> None:
    """More in one turn would stall the event loop; all are counted from the start, and none is lost or doubled."""
    queue, items = open_queue(), [item(number) for number in range(1200)]
    queue.enqueue_all(items)
    assert (queue.depth, queue.seconds_until_due()) == (1200, 0.0)
    found = [queue.pop_due() for _ in range(4)]
    assert [len(each) for each in found] == [500, 500, 200, 0]
    assert [one for each in found for one in each] == items
    queue.enqueue_all(items)
    queue.close()
    queue.open()
    assert queue.depth == 0


async def test_a_hundred_thousand_are_made_a_few_at_once() -> None:
    """All are counted from the start, those that arrive later follow, and each is enqueued once."""
    queue = open_queue()
    keys = tuple(item(number).key for number in range(10_000))
    queue.enqueue_all(ItemsOf("ClientCertificate", keys))
    assert (queue.depth, len(queue._backlog)) == (10_000, 2_000)
    queue.enqueue_all([item(10_000)])
    found = queue.pop_due()
    assert len(queue._backlog) < 6_000
    while each := queue.pop_due():
        found += each
    assert found == [item(number) for number in range(10_001)]
    assert (queue.depth, queue.seconds_until_due()) == (0, math.inf)


async def test_an_item_that_waits_too_long_is_next_in_a_namespace_that_has_its_share() -> None:
    """Whenever one of its reconciles ends, something more urgent of it is due; other namespaces are busy as well."""
    queue, loop = open_queue(), asyncio.get_running_loop()
    old, began = item(0, "slow"), loop.time()
    taken_at: dict[Item, float] = {}

    async def worker() -> None:
        while (got := await queue.take()) is not None:
            taken_at.setdefault(got, loop.time())
            await asyncio.sleep(14 if got.key.namespace == "slow" else 0.05)
            queue.done(got, None)
            queue.enqueue(got, 0.0)

    for number in range(1, 41):
        queue.enqueue(item(number, "slow"), 0.0)
    for number in range(20):
        queue.enqueue(item(number, "quick"), 0.0)
    queue.enqueue(old, 1.0)
    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(worker())
        await asyncio.sleep(2 * LONGEST_WAIT_SECONDS)
        queue.close()
    assert taken_at[old] - began < LONGEST_WAIT_SECONDS + 15


async def test_namespaces_take_turns_however_urgent_the_items_of_one_are() -> None:
    """Thousands of objects that expired in 1970 cost the items of another namespace one turn each."""
    queue = open_queue()
    for number in range(3_000):
        queue.enqueue(item(number, "greedy"), -1e9)
    queue.enqueue(item(1, "modest"), 5.0)
    queue.enqueue(item(2, "modest"), 5.0)
    queue.enqueue(item(2, "modest"), 3.0)
    got = await taken(queue, 4)
    assert got == [item(0, "greedy"), item(2, "modest"), item(1, "greedy"), item(1, "modest")]


async def test_a_backlog_that_never_ends_holds_up_nothing_that_is_due() -> None:
    """A policy of thousands of certificates is changed again and again: each is in the backlog once."""
    queue = open_queue()
    due, many = item(0, "victim"), [item(number, "hostile") for number in range(2_000)]
    for _ in range(5):
        queue.enqueue_all(many)
    assert queue.depth == 2_000
    queue.schedule(due, 1.0)
    await asyncio.sleep(1.1)
    assert due in queue.pop_due()


async def test_many_that_are_due_hold_up_no_backlog() -> None:
    queue = open_queue()
    for number in range(2_000):
        queue.schedule(item(number, "hostile"), 1.0)
    await asyncio.sleep(1.1)
    queue.enqueue_all([item(0, "victim")])
    assert item(0, "victim") in queue.pop_due()
