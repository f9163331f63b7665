"""A restart over requests that wait, or have ended, writes nothing and sends nothing."""

from collections.abc import Callable

import pytest

from clientcert.errors import DeliveryError, Reason
from tests.unit.engine.renewal_events import BEGINS, SCRIPT, STATES
from tests.unit.engine.renewal_scripts import SCRIPTS, Script
from tests.unit.engine.renewal_world import World

LEFT = SCRIPTS["CSR, left for retrieval, handed over"]
REFUSED = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refuses the address")


def _approved(world: World) -> None:
    world.people.append(world.approve)


def _refuses_the_mail(world: World) -> None:
    world.people.append(world.approve)
    world.refuses = lambda what: REFUSED if what.startswith("MAIL Delivery") else None


def _is(state: str, *conditions: str) -> Callable[[World], bool]:
    return lambda world: world.state == state and not set(conditions) - set(world.conditions.values())


@pytest.mark.parametrize(
    ("script", "begin", "reached"),
    [
        (SCRIPT, STATES["Waiting"].begin, STATES["Waiting"].reached),
        (SCRIPT, STATES["AwaitingApproval"].begin, STATES["AwaitingApproval"].reached),
        (LEFT, _approved, _is("Issued", "LeftForRetrieval")),
        (SCRIPT, _refuses_the_mail, _is("Issued", "RecipientRefused")),
        (SCRIPT, _approved, _is("Done")),
    ],
    ids=["waiting", "awaiting approval", "left for retrieval", "an address that is refused", "done"],
)
async def test_with_a_request(script: Script, begin: Callable[[World], None], reached: Callable[[World], bool]) -> None:
    """But for a mail that failed, which is tried once more: what the status says of it stays."""
    world = World(BEGINS)
    script.declare(world)
    begin(world)
    script.ask(world)
    await world.run_until(lambda: reached(world))
    await world.let_pass(120.0)
    world.people.clear()
    writes = len(world.writes)
    await world.kill()
    await world.let_pass(30.0)
    await world.stop()
    assert [each for each in world.writes[writes:] if not each.startswith("MAIL Delivery")] == []
