"""The turns of test alerts: one a minute in a namespace, whatever happens meanwhile, and few at once over all."""

from datetime import datetime

import pytest

from clientcert.alerting.alert_test_slots import AT_ONCE, AlertTestSlots
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item, WorkQueue
from tests.builders import DAY, HOUR, MINUTE, NOW, SECOND
from tests.unit.engine.engine_harness import Clock


def item(name: str, namespace: str = "integration") -> Item:
    return Item("test", ObjectKey(namespace, name))


A, B, C = (item(name) for name in "abc")


class Turns:
    """Asks as the reconcilers do, and notes when each test begins."""

    def __init__(self) -> None:
        self.queue = WorkQueue(Clock())
        self.queue.open()
        self.slots = AlertTestSlots(self.queue)
        self.now = NOW
        self.began: list[tuple[str, datetime]] = []

    def ask(self, *items: Item) -> list[float]:
        """The minutes from now until each may begin."""
        return [(self.slots.reserve(each, self.now) - self.now) / MINUTE for each in items]

    def try_each(self, *items: Item) -> None:
        """Those begin that may."""
        for each in items:
            if self.slots.reserve(each, self.now) <= self.now and self.slots.acquire(each):
                self.slots.begin(each, self.now)
                self.slots.leave(each)
                self.began.append((each.key.name, self.now))


@pytest.fixture
async def turns() -> Turns:
    return Turns()


async def test_one_a_minute_also_if_all_come_late(turns: Turns) -> None:
    """The API server was away for an hour, and the minutes of all have come meanwhile."""
    turns.try_each(A)
    assert turns.ask(B, C) == [1, 2]
    turns.now += HOUR
    for _ in range(2 * 60):
        turns.try_each(B, C)
        turns.now += SECOND
    assert turns.began == [("a", NOW), ("b", NOW + HOUR), ("c", NOW + HOUR + MINUTE)]


async def test_two_workers_do_not_take_the_same_minute(turns: Turns) -> None:
    """Between the reservation and the beginning the status is written."""
    assert turns.ask(A, B) == [0, 1]
    turns.now += MINUTE
    assert turns.ask(A, B) == [0, 1]


async def test_a_test_that_begins_late_delays_the_next(turns: Turns) -> None:
    assert turns.ask(A, B, C) == [0, 1, 2]
    turns.now += 30 * SECOND
    turns.try_each(A)
    turns.now += 30 * SECOND
    assert turns.ask(B, C) == [0.5, 1.5]


async def test_a_clock_that_is_set_back(turns: Turns) -> None:
    """A minute counts, not the time that the clock has shown before."""
    turns.try_each(A)
    assert turns.ask(B, C) == [1, 2]
    turns.now -= DAY
    assert turns.ask(B, C) == [1, 2]
    turns.now += MINUTE
    turns.try_each(B)
    assert [name for name, _ in turns.began] == ["a", "b"]


async def test_those_that_are_not_wanted_any_more_hold_up_nobody(turns: Turns) -> None:
    """Somebody has annotated a thousand objects by mistake, and removed it: the next one asks."""
    many = [item(f"n{number}") for number in range(1_000)]
    turns.ask(*many, C)
    for each in many:
        turns.slots.drop(each)
    assert turns.ask(C) == [0]


async def test_few_at_once_over_all_and_namespaces_take_turns(turns: Turns) -> None:
    """However many namespaces test at the same time; a place that is given back goes to the next namespace."""
    every = [item("one", f"team-{number:03d}") for number in range(100)]
    assert [each for each in every if turns.slots.acquire(each)] == every[:AT_ONCE]
    assert turns.slots.waiting == len(every) - AT_ONCE
    turns.slots.leave(every[0])
    assert await turns.queue.take() == every[AT_ONCE]
    assert turns.slots.acquire(every[AT_ONCE])
    turns.slots.drop(every[AT_ONCE + 1])
    turns.slots.leave(every[1])
    assert await turns.queue.take() == every[AT_ONCE + 2]


async def test_a_namespace_leaves_places_to_others(turns: Turns) -> None:
    """Its tests may last for longer than a minute."""
    mine = [item(f"n{number}") for number in range(AT_ONCE)]
    assert sum(turns.slots.acquire(each) for each in mine) == AT_ONCE / 2
    assert turns.slots.acquire(item("theirs", "other"))


async def test_a_term_begins_with_the_times_of_the_statuses(turns: Turns) -> None:
    """Nothing waits any more, and all places are free; a time that is to come counts as now."""
    turns.ask(A, B)
    turns.slots.acquire(A)
    turns.slots.begin_term([("integration", NOW - 20 * SECOND), ("other", NOW + DAY)])
    turns.slots.begin_term([])
    assert turns.slots.waiting == 0
    assert [round(60 * each) for each in turns.ask(C, item("x", "other"))] == [40, 60]
