"""A request is the record of who was given what: it is kept for 400 days, the encrypted key for 30 after delivery."""

import pytest

from clientcert.errors import KubeError, Reason
from tests.builders import DAY, HOUR
from tests.unit.engine.renewal_events import BEGINS, SCRIPT
from tests.unit.engine.renewal_world import RENEWAL, World


@pytest.fixture
async def world() -> World:
    """With a request that is done."""
    world = World(BEGINS)
    SCRIPT.declare(world)
    SCRIPT.ask(world)
    world.people.append(world.approve)
    await world.run_until(lambda: world.state == "Done" and not world.waits_for)
    return world


@pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted"])
async def test_of_a_request_that_is_done(world: World, restarts: bool) -> None:
    """The certificate stays in it as long as the record."""
    passed = 0 * DAY
    for after, ciphertext, there in (
        (30 * DAY - HOUR, True, True),
        (30 * DAY + HOUR, False, True),
        (400 * DAY - HOUR, False, True),
        (400 * DAY + HOUR, False, False),
    ):
        world.set_clock(after - passed)
        passed = after
        if restarts:
            await world.kill()
        await world.let_pass(10.0)
        assert (bool(world.renewal.get("ciphertext")), RENEWAL in world.server.objects) == (ciphertext, there)
        assert bool(world.renewal.get("certificate")) is there
    await world.stop()


@pytest.mark.parametrize("days", [31, 401])
async def test_an_operator_that_only_observes_removes_nothing(world: World, days: int) -> None:
    """Neither the key of another operator's request, nor the record: it writes nothing about them at all."""
    world.observes = lambda number: number == 1
    await world.kill()
    world.set_clock(days * DAY)
    await world.let_pass(10.0)
    written = len(world.writes)
    world.set_clock(DAY + HOUR)
    await world.let_pass(10.0)
    assert world.renewal["ciphertext"]
    assert [each for each in world.writes[written:] if RENEWAL in each] == []
    await world.kill()
    await world.let_pass(10.0)
    await world.stop()
    assert (RENEWAL in world.server.objects, "ciphertext" in world.renewal) == (days < 400, False)


async def test_without_the_role_for_it(world: World) -> None:
    """It is tried seldom, and once it may be done the record goes within a day."""
    refusal = KubeError(Reason.FORBIDDEN, "no")
    world.refuses = lambda what: refusal if what.startswith("DELETE") else None
    world.set_clock(401 * DAY)
    await world.let_pass(120.0)
    assert sum(each.startswith("DELETE") for each in world.writes) < 5
    world.refuses = lambda _: None
    world.set_clock(DAY + HOUR)
    await world.let_pass(10.0)
    await world.stop()
    assert RENEWAL not in world.server.objects
