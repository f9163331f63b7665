"""The condition IssuerReady warns while there is time to replace the CA."""

from datetime import timedelta

import pytest

from tests.builders import DAY
from tests.unit.engine.renewal_events import SCRIPT, rotate
from tests.unit.engine.renewal_scripts import BEGINS
from tests.unit.engine.renewal_world import POLICY, World
from tools.certificates import CertificateAuthority

VALIDITY = 395 * DAY
"""Of what is issued, by default."""


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (VALIDITY + timedelta(minutes=1), ("True", "Ready")),
        (VALIDITY - timedelta(minutes=1), ("False", "CAEndsSoon")),
        (timedelta(minutes=1), ("False", "CAEndsSoon")),
        (-timedelta(minutes=1), ("False", "CAEndsSoon")),
    ],
)
async def test_a_ca_that_ends_before_what_it_issues(left: timedelta, expected: tuple[str, str]) -> None:
    world = World(BEGINS)
    SCRIPT.declare(world)
    rotate(world, CertificateAuthority.create("Next CA", not_before=BEGINS - 2 * VALIDITY, not_after=BEGINS + left))
    await world.let_pass(5.0)
    await world.stop()
    assert world.condition("IssuerReady", POLICY) == expected


async def test_it_is_said_when_the_time_comes() -> None:
    """Without any change of policy or CA, within the hour."""
    world = World(BEGINS)
    SCRIPT.declare(world)
    ends = BEGINS + VALIDITY + timedelta(minutes=30)
    rotate(world, CertificateAuthority.create("Next CA", not_before=BEGINS - VALIDITY, not_after=ends))
    await world.let_pass(5.0)
    assert world.condition("IssuerReady", POLICY) == ("True", "Ready")
    await world.let_pass(timedelta(minutes=31).total_seconds())
    await world.stop()
    assert world.condition("IssuerReady", POLICY) == ("False", "CAEndsSoon")
