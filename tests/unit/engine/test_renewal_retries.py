"""A request that waits for something outside is tried again, and the rarer the longer it waits."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import DAY
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import RENEWAL, World

WITHOUT_CA = replace(
    SCRIPTS["CSR with proof, Automatic, Secret"], policy={"issuer": {"type": "CASecret", "caSecret": {"name": "none"}}}
)


async def tries_of_half_an_hour(world: World) -> int:
    tries = 0

    def count(path: str) -> float:
        nonlocal tries
        tries += path == RENEWAL
        return 0.0

    world.read_seconds = count
    await world.let_pass(timedelta(minutes=30).total_seconds())
    return tries


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """With a request whose issuer is missing."""
    found = World(BEGINS)
    WITHOUT_CA.declare(found)
    WITHOUT_CA.ask(found)
    await found.run_until(lambda: found.waits_for == "issuer")
    yield found
    await found.stop()


async def test_it_is_tried_soon_at_first(world: World) -> None:
    assert await tries_of_half_an_hour(world) in range(10, 30)


async def test_it_is_tried_rarely_whatever_the_clock_of_the_last_leader_said(world: World) -> None:
    """The times in its status are a day ahead."""
    world.set_clock(-DAY)
    assert await tries_of_half_an_hour(world) in range(2, 6)
