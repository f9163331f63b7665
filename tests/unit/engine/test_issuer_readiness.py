"""The condition IssuerReady warns while there is time to replace the CA, and says when it cannot sign."""

from datetime import datetime, timedelta

import pytest

from clientcert.controllers.issuer_readiness import by_dates
from clientcert.issuers.interface import Authority
from tests.builders import DAY, SECOND
from tests.unit.engine.renewal_events import SCRIPT, rotate, trust_the_former
from tests.unit.engine.renewal_scripts import BEGINS
from tests.unit.engine.renewal_world import POLICY, World
from tools.certificates import CertificateAuthority

VALIDITY = 395 * DAY
"""Of what is issued, by default."""
FIRST, LAST = BEGINS - 1000 * DAY, BEGINS + 1000 * DAY
"""The dates of a CA."""
SHORT = LAST - VALIDITY
"""From then on what it issues ends with it."""


@pytest.mark.parametrize(
    ("now", "expected", "changes"),
    [
        (FIRST - SECOND, ("False", "IssuerNotYetValid"), FIRST),
        (FIRST, ("True", "Ready"), SHORT),
        (SHORT - SECOND, ("True", "Ready"), SHORT),
        (SHORT, ("False", "CAEndsSoon"), LAST),
        (LAST - SECOND, ("False", "CAEndsSoon"), LAST),
        (LAST, ("False", "IssuerExpired"), None),
        (LAST + SECOND, ("False", "IssuerExpired"), None),
    ],
)
def test_each_date_of_a_ca(now: datetime, expected: tuple[str, str], changes: datetime | None) -> None:
    """To the second; and the time of the next change, so that the condition is true then."""
    authority = Authority(b"", (), FIRST, LAST, "", can_sign_crl=True)
    condition, changed = by_dates(authority, VALIDITY, now)
    assert ((condition.status, condition.reason), changed) == (expected, changes)


async def condition_after(world: World, passing: timedelta) -> tuple[str, str]:
    await world.let_pass(passing.total_seconds())
    return world.condition("IssuerReady", POLICY)


@pytest.mark.parametrize(
    ("first", "last", "before", "after"),
    [
        (-VALIDITY, VALIDITY, ("True", "Ready"), ("False", "CAEndsSoon")),
        (-VALIDITY, 0 * DAY, ("False", "CAEndsSoon"), ("False", "IssuerExpired")),
        (0 * DAY, 2 * VALIDITY, ("False", "IssuerNotYetValid"), ("True", "Ready")),
    ],
)
async def test_it_is_said_when_the_time_comes(
    first: timedelta, last: timedelta, before: tuple[str, str], after: tuple[str, str]
) -> None:
    """Without any change of policy or CA, and not an hour later."""
    world, change = World(BEGINS), BEGINS + timedelta(minutes=30)
    SCRIPT.declare(world)
    rotate(world, CertificateAuthority.create("Next CA", not_before=change + first, not_after=change + last))
    assert await condition_after(world, timedelta(minutes=29)) == before
    assert await condition_after(world, timedelta(minutes=1, seconds=10)) == after
    await world.stop()


async def test_a_request_waits_for_the_date_of_its_ca() -> None:
    """It says so, and goes on by itself."""
    world, begins = World(BEGINS), BEGINS + timedelta(minutes=30)
    SCRIPT.declare(world)
    rotate(world, CertificateAuthority.create("Next CA", not_before=begins, not_after=begins + 2 * VALIDITY))
    trust_the_former(world)
    SCRIPT.ask(world)
    await world.let_pass(timedelta(minutes=29).total_seconds())
    assert (world.state, world.waits_for) == ("Waiting", "issuer")
    await world.let_pass(timedelta(minutes=11, seconds=10).total_seconds())
    await world.stop()
    assert world.state == "AwaitingApproval"


async def test_a_request_waits_for_the_renewal_of_an_expired_ca() -> None:
    """It says what to do, and goes on when the CA was renewed."""
    world = World(BEGINS)
    SCRIPT.declare(world)
    rotate(world, CertificateAuthority.create("Old CA", not_before=FIRST, not_after=BEGINS))
    trust_the_former(world)
    SCRIPT.ask(world)
    await world.let_pass(60.0)
    assert (world.state, world.waits_for) == ("Waiting", "issuer")
    assert "renew the CA, put it into the Secret" in str(world.renewal["conditions"])
    rotate(world)
    await world.let_pass(60.0)
    await world.stop()
    assert world.state == "AwaitingApproval"
