"""Several requests about one certificate: one that comes later takes nothing from those before it."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.engine.renewal_events import SCRIPT
from tests.unit.engine.renewal_scripts import BEGINS
from tests.unit.engine.renewal_world import CERTIFICATE, OURS, POLICY, RENEWAL, World
from tests.unit.renewal.asking import CSR, CURRENT

LATE = BEGINS.replace(hour=23, minute=50)
"""The next day begins soon: a vetting has a date alone."""
VETTED = {"date": f"{LATE:%Y-%m-%d}", "by": "ra@integration.example"}
REISSUE = {"mode": "Reissue", "csr": CSR}
REFUSED = {"serialNumber": "abc", "csr": CSR}
"""About another certificate than the one in the source."""


def ask(world: World, name: str, **fields: Any) -> None:
    plain = {"certificateRef": {"name": "nhs"}, "serialNumber": CURRENT.serial_number_hex, "requestedBy": "sam"}
    world.server.put(f"{OURS}/certificaterenewals/{name}", spec={**plain, **fields})


async def ended(world: World, name: str, **fields: Any) -> str:
    """Ask, and wait; the name of the check that refused it, else its state."""
    ask(world, name, **fields)
    await world.let_pass(20.0)
    status: Mapping[str, Any] = world.server.objects[f"{OURS}/certificaterenewals/{name}"]["status"]
    return next((each["name"] for each in status["checks"] if not each["passed"]), str(status["state"]))


@pytest.fixture
async def world() -> World:
    world = World(LATE)
    SCRIPT.declare(world)
    world.edit(CERTIFICATE, vetting=VETTED)
    await world.let_pass(5.0)
    return world


async def test_reuse_is_of_the_last_request_before(world: World) -> None:
    """A CSR that somebody sends while it waits for approval is not what it stands for."""
    ask(world, "nhs-1", reuse=True)
    await world.run_until(lambda: world.state == "AwaitingApproval")
    assert await ended(world, "nhs-2", **REFUSED) == "SerialCurrent"
    world.people.append(world.approve)
    await world.run_until(lambda: world.state == "Done")
    await world.stop()


async def test_a_reissue_opens_nothing_to_the_next(world: World) -> None:
    """While the certificate can be renewed, asking twice is refused twice."""
    assert await ended(world, "nhs-2", **REISSUE) == "WindowOpen"
    assert await ended(world, "nhs-3", **REISSUE) == "WindowOpen"
    await world.stop()


async def test_only_a_refusal_to_renew_this_certificate_opens_a_reissue(world: World) -> None:
    """One about another, or one that was only too early, does not."""
    assert await ended(world, "nhs-2", **REFUSED) == "SerialCurrent"
    assert await ended(world, "nhs-3", **REISSUE) == "WindowOpen"
    renewal = world.server.objects[POLICY]["spec"]["renewal"]
    alerts = world.server.objects[POLICY]["spec"]["alerts"]
    world.edit(POLICY, alerts={**alerts, "startDaysBefore": 5}, renewal={**renewal, "opensDaysAfterIssue": 3000})
    assert await ended(world, "nhs-4", csr=CSR) == "WindowOpen"
    assert await ended(world, "nhs-5", **REISSUE) == "WindowOpen"
    world.edit(POLICY, alerts=alerts, renewal={**renewal, "key": {"policy": "Reuse"}})
    assert await ended(world, "nhs-6", csr=CSR) == "KeyAllowed"
    assert await ended(world, "nhs-7", **REISSUE) == "AwaitingApproval"
    await world.stop()


async def test_a_refusal_ends_no_reissue_that_was_made_before(world: World) -> None:
    """Its vetting counts from the refusal that it answers, not from one that somebody causes days later."""
    renewal = world.server.objects[POLICY]["spec"]["renewal"]
    world.edit(POLICY, renewal={**renewal, "key": {"policy": "Reuse"}})
    assert await ended(world, "nhs-0", csr=CSR) == "KeyAllowed"
    ask(world, "nhs-1", **REISSUE)
    await world.run_until(lambda: world.state == "AwaitingApproval")
    await world.let_pass(900.0)
    assert await ended(world, "nhs-2", csr=CSR) == "KeyAllowed"
    world.touch(RENEWAL)
    world.people.append(world.approve)
    await world.run_until(lambda: world.state == "Done")
    await world.stop()


async def test_of_many_refusals_at_once_three_are_told(world: World) -> None:
    """The first letters are still on their way when the last request is refused."""
    world.mail_seconds = 5.0
    for number in range(8):
        ask(world, f"nhs-{number}", **REFUSED)
    await world.let_pass(120.0)
    await world.stop()
    assert sum(mail.notice.startswith("Refused/contact") for mail in world.mails) == 3
    assert sum("was refused" in post for post in world.posts) == 3
