"""A namespace with hundreds of requests that wait delays the notices of no other, and nothing of it stays in memory."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.unit.engine.many_requests import RA, declare, path_of, requests, status, told
from tests.unit.engine.renewal_scripts import BEGINS
from tests.unit.engine.renewal_world import World

OTHER, MANY = "other", 300
SOON = timedelta(seconds=15)
"""Each of its three messages waits for one of the flood, at most: a post takes a second, a mail a fifth of it."""
NOTICES = ("Receipt/contact", "Waiting/notify", "Waiting/team")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World(BEGINS)
    yield found
    await found.stop()


def is_told(world: World) -> bool:
    """The one request of the other namespace."""
    names = [each["name"] for each in status(world, 0, OTHER).get("notices") or ()]
    return all(any(name.startswith(each) for name in names) for each in NOTICES)


@pytest.mark.parametrize(("group", "in_groups"), [("Never", 0), ("Auto", 2)], ids=["single", "grouped"])
async def test_the_notices_of_another_namespace_are_sent_soon(world: World, group: str, in_groups: int) -> None:
    declare(world, MANY, group=group, notify=[RA])
    await world.run_until(lambda: sum(one.get("state") == "AwaitingApproval" for one in requests(world)) > MANY // 2)
    engine, asked = world.process.engine, world.now()
    declare(world, 1, namespace=OTHER, notify=[RA])
    most = 0
    while not is_told(world):
        await world.let_pass(0.25)
        most = max(most, engine.limiter.waiting + engine.notice_groups.waiting)
        assert world.now() - asked < SOON, status(world, 0, OTHER)
    assert told(world, "Receipt/contact") < MANY // 2  # the flood goes on
    assert most <= len(NOTICES) * (MANY + 1)
    assert engine.notice_groups.waiting <= in_groups * (MANY + 1)


async def test_nothing_of_a_flood_stays_in_memory(world: World) -> None:
    """Two namespaces at once; each is told of all, and then the requests are deleted."""
    for namespace in ("integration", OTHER):
        declare(world, 40, namespace=namespace, notify=[RA])
    await world.run_until(lambda: all(told(world, each) == 80 for each in NOTICES))
    engine = world.process.engine
    await world.let_pass(90.0)
    assert (engine.limiter.waiting, engine.notice_groups.waiting, engine.renewal_outbox.keys()) == (0, 0, ())
    for namespace in ("integration", OTHER):
        for number in range(40):
            world.server.delete(path_of(number, namespace))
    await world.let_pass(90.0)
    groups = engine.notice_groups
    assert (groups._groups, groups._joined, groups._in_flight, engine.queue.depth) == ({}, {}, set(), 0)
    assert not engine.cache.renewals.renewals
