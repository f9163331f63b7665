"""The work queue stays correct whatever is done in which order: a model of it says what must come out."""

import asyncio
import math
import random
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from clientcert.workqueue.work_queue import Item, WorkQueue
from tests.builders import SECOND
from tests.unit.engine.test_work_queue import clock, item, nothing_is_available, taken

WORKERS = 6
"""Few, so that a namespace often has its share."""
LIMITED, LIMIT = "CertificateRenewal", 3


@dataclass
class Model:
    """The items of a queue as they must be after each operation."""

    queue: WorkQueue
    random: random.Random
    wanted: set[Item] = field(default_factory=set)
    """Items to be taken once more, with those that were enqueued while in flight."""
    in_flight: set[Item] = field(default_factory=set)
    backlog: dict[Item, None] = field(default_factory=dict)
    due: dict[Item, datetime] = field(default_factory=dict)

    def enqueue(self, each: Item) -> None:
        self.queue.enqueue(each, self.random.choice([0.0, 1.0, 5.0, math.inf]))
        self.wanted.add(each)
        self.due.pop(each, None)

    def enqueue_all(self, items: list[Item]) -> None:
        self.queue.enqueue_all(items)
        self.backlog |= dict.fromkeys(items)

    def enqueue_due(self) -> None:
        """Enqueue the items of `pop_due`, as the workers do: the backlog, and each item whose time has come."""
        found = self.queue.pop_due()
        ripe = [each for each, moment in self.due.items() if moment <= clock()]
        assert set(found) == {*self.backlog, *ripe}
        self.backlog = {}
        for each in found:
            self.enqueue(each)

    async def take(self) -> None:
        """An item is given exactly if one waits whose namespace has not its share yet."""
        free = {each for each in self.wanted - self.in_flight if self.may_have_one_more(each)}
        if not free:
            assert await nothing_is_available(self.queue)
            return
        (got,) = await taken(self.queue, 1)
        assert got in free
        self.wanted.remove(got)
        self.in_flight.add(got)

    def may_have_one_more(self, each: Item) -> bool:
        """Its namespace has fewer workers than are free, of those for items of a limited kind or for all others."""
        beside = [other for other in self.in_flight if (other.kind == LIMITED) is (each.kind == LIMITED)]
        left = (LIMIT if each.kind == LIMITED else WORKERS) - len(beside)
        return sum(other.key.namespace == each.key.namespace for other in beside) < left

    def finish(self, *, fails: bool, seconds: float | None) -> None:
        each = self.random.choice(sorted(self.in_flight))
        self.in_flight.remove(each)
        moment = None if seconds is None else clock() + seconds * SECOND
        if fails:
            self.queue.retry(each, seconds or 0.0, unanswered=self.random.random() < 0.5)
            moment = moment or clock()
        else:
            self.queue.done(each, moment)
        if moment is not None and each not in self.wanted:
            self.due[each] = moment

    async def step(self, items: list[Item]) -> None:
        match self.random.randrange(10):
            case 0 | 1 | 2:
                self.enqueue(self.random.choice(items))
            case 3 | 4 | 5:
                await self.take()
            case 6 | 7 if self.in_flight:
                self.finish(fails=self.random.random() < 0.3, seconds=self.random.choice([None, 0.0, 1.0, 3.0]))
            case 8:
                self.enqueue_due()
            case 9 if self.random.random() < 0.2:
                self.enqueue_all(self.random.sample(items, 5))
        assert self.queue.depth == len(self.wanted | self.in_flight) + len(self.backlog)


@pytest.mark.parametrize("seed", range(20))
async def test_random_operations_lose_no_item_and_give_none_twice_at_once(seed: int) -> None:
    """No namespace exceeds its share, an item that waits is given if it may be, and nothing is left at the end."""
    queue = WorkQueue(clock, WORKERS + LIMIT, 0.5, {LIMITED: LIMIT})
    queue.open()
    model = Model(queue, random.Random(seed))
    kinds = ("ClientCertificate", "ClientCertificate", "ClientCertificate", LIMITED, "CertificatePolicy")
    items = [item(number, f"team-{number % 4}", kinds[number % 5]) for number in range(40)]
    for _ in range(1_000):
        await model.step(items)
    while model.wanted or model.in_flight or model.backlog or model.due:
        await asyncio.sleep(0.1)
        model.enqueue_due()
        await model.take()
        if model.in_flight:
            model.finish(fails=False, seconds=None)
    assert (queue.depth, queue._active) == (0, {})
    assert [(len(waiting), waiting.taken) for waiting in queue._waiting] == [(0, {}), (0, {})]
    assert (queue.pop_due(), queue.scheduled_items()) == ([], ())
