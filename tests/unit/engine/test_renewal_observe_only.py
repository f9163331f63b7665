"""Renewals while the operator only observes: each stays where it is, and goes on from there once it may."""

import pytest

from clientcert.errors import Reason, SourceError
from tests.builders import DAY
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS, SETTLED_SECONDS, Script, faults, renew
from tests.unit.engine.renewal_world import CERTIFICATE, POLICY, REFUSED, RENEWAL, Kill, World

MAILED = SCRIPTS["public key, CASecret, approved, S3, mail"]
HELD = {
    "Approved": ("Issued", "nothing is signed"),
    "Issued": ("Delivered", "nothing is sent to the consumer"),
    "Delivered": ("Stored", "nothing is written to the source"),
}
"""By the state: the condition that says why it goes no further."""


def words(world: World, kind: str) -> str:
    return next((each["message"] for each in world.renewal["conditions"] if each["type"] == kind), "")


async def observe(world: World) -> None:
    """Let a process that observes run: it writes statuses, and after a minute not even these."""
    await world.let_pass(SETTLED_SECONDS)
    before = len(world.writes)
    begun = world.writes[before - world.process.count :]
    assert [each for each in begun if not each.endswith(("/status", f"/status {REFUSED}"))] == []
    await world.let_pass(SETTLED_SECONDS)
    assert world.writes[before:] == []


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_request_that_was_approved(name: str) -> None:
    """It is checked, waits for its approval as ever, and is signed once the operator does more than observe."""
    world, script = World(BEGINS), SCRIPTS[name]
    world.observes = lambda number: number == 0
    script.declare(world)
    script.ask(world)
    script.take_part(world)
    await observe(world)
    assert (world.state, world.waits_for) == ("Approved", "operator (it only observes)")
    assert world.condition("Issued") == ("Unknown", "ObserveOnly")
    assert words(world, "Issued") == "nothing is signed: the operator only observes (CLIENTCERT_OBSERVE_ONLY)"
    assert "issuance" not in world.renewal
    assert (world.mails, world.posts, world.digests) == ([], [], [])
    await world.kill()
    await finish(world, script)


async def test_a_message_about_a_request_waits() -> None:
    """Also that it waits for approval: nobody hears of it before."""
    world = World(BEGINS)
    world.observes = lambda number: number == 0
    MAILED.declare(world)
    MAILED.ask(world)
    await observe(world)
    assert world.state == "AwaitingApproval"
    assert world.condition("Notified") == ("Unknown", "ObserveOnly")
    await world.kill()
    await world.run_until(lambda: world.condition("Notified") == ("True", "Sent"))
    await world.let_pass(SETTLED_SECONDS)
    await world.stop()
    told = [each.notice for each in world.mails if each.notice]
    assert len(told) == len(set(told)) > 0


@pytest.mark.parametrize("name", [name for name, script in SCRIPTS.items() if script.in_bucket and script.mailed])
async def test_an_operator_that_observes_from_each_write_on(name: str) -> None:
    """Where the one before it has stopped: nothing is signed, mailed or written twice, and nothing is lost."""
    undisturbed, _ = await renew(SCRIPTS[name])
    about_it = [number for number, what in enumerate(undisturbed.writes, start=1) if RENEWAL in what]
    states = set()
    for number in about_it:
        world, script = World(BEGINS, [Kill(number, "after")]), SCRIPTS[name]
        world.observes = lambda process: process == 1
        script.declare(world)
        script.ask(world)
        script.take_part(world)
        await world.run_until(lambda world=world: len(world.processes) > 1)
        await observe(world)
        states.add(world.state)
        if world.state in HELD:
            kind, what = HELD[world.state]
            assert world.condition(kind) == ("Unknown", "ObserveOnly")
            assert words(world, kind).startswith(f"{what}: ")
        await world.kill()
        await finish(world, script)
    assert states >= {"Approved", "Issued", "Delivered", "Done"}


async def test_a_retirement_is_neither_announced_nor_carried_out() -> None:
    """The week between them begins with the announcement that somebody has got."""
    world = World(BEGINS)
    world.observes = lambda number: number == 1
    MAILED.declare(world)
    MAILED.ask(world)
    MAILED.take_part(world)
    await world.run_until(lambda: world.state == "Done" and not world.waits_for)
    world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], "retireAfterDays": 1})
    await world.kill()
    await world.let_pass(1.0)
    world.set_clock(9 * DAY)
    await observe(world)
    assert world.condition("Retired") == ("", "")
    await world.kill()
    await world.run_until(lambda: world.condition("Retired") == ("False", "Announced"))
    await world.stop()
    assert [path for path in world.server.objects if "certificaterevocations" in path] == []


async def observed(world: World) -> None:
    """A request that waits for its approval while the operator only observes, in the first two processes."""
    world.observes = lambda number: number in {0, 1}
    MAILED.declare(world)
    MAILED.ask(world)
    await observe(world)
    assert world.state == "AwaitingApproval"


async def test_a_denial_is_told_after_a_week_of_observing() -> None:
    """Observing counts for no limit of time, and no restart of it says that anything was sent."""
    world = World(BEGINS)
    await observed(world)
    world.edit(RENEWAL, approval={"decision": "Deny", "by": "alex", "message": "no"})
    await world.let_pass(SETTLED_SECONDS)
    world.set_clock(7 * DAY)
    for _ in range(2):
        await world.let_pass(SETTLED_SECONDS)
        assert (world.state, world.waits_for) == ("Denied", "messages")
        assert world.condition("Notified") == ("Unknown", "ObserveOnly")
        await world.kill()
    world.refuses = lambda what: SourceError(Reason.SOURCE_UNAVAILABLE, "503") if what == "POST" else None
    await world.let_pass(SETTLED_SECONDS)
    assert world.condition("Notified")[0] == "False"  # a channel that fails at first is tried again
    world.refuses = lambda _: None
    await world.run_until(lambda: world.condition("Notified") == ("True", "Sent"), seconds=1800.0)
    await world.stop()
    assert {name.partition("/")[0] for name in notices(world)} == {"Refused"}
    assert len(notices(world)) == 2


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "ended"])
async def test_of_a_request_that_ended_nobody_was_told(gone: bool) -> None:
    """There is nothing to tell afterwards; the request never says that something was sent."""
    world = World(BEGINS)
    await observed(world)
    if gone:
        world.server.delete(CERTIFICATE)
    else:
        world.set_clock(21 * DAY)
    for _ in range(3):
        await world.let_pass(SETTLED_SECONDS)
        assert (world.state, world.waits_for) == ("Ended", "")
        assert world.condition("Notified") == ("Unknown", "ObserveOnly")
        await world.kill()
    await world.stop()
    assert notices(world) == []


async def test_a_store_that_fails_just_after_the_switch() -> None:
    """It counts from then on: nobody is told to put the certificate there by hand, and it is tried again soon."""
    undisturbed, _ = await renew(MAILED)
    stores = next(number for number, what in enumerate(undisturbed.writes, start=1) if what.startswith("PUT"))
    world = World(BEGINS, [Kill(stores, "before")])
    world.observes = lambda number: number == 1
    MAILED.declare(world)
    MAILED.ask(world)
    MAILED.take_part(world)
    await world.run_until(lambda: world.condition("Stored") == ("Unknown", "ObserveOnly"))
    world.set_clock(7 * DAY)
    await world.let_pass(SETTLED_SECONDS)
    await world.kill()
    fault = SourceError(Reason.SOURCE_UNAVAILABLE, "503", retryable=True)
    world.refuses = lambda what: fault if what.startswith("PUT") else None
    await world.let_pass(40.0)
    assert world.condition("Stored") == ("False", "SourceUnavailable")
    world.refuses = lambda _: None
    await world.run_until(lambda: world.state == "Done", seconds=30.0)
    await world.stop()
    assert [each for each in world.posts if "source" in each] == []


async def test_a_request_that_goes_another_way_says_nothing_of_observing() -> None:
    """It was approved automatically, and the policy changes: what was withheld is not the next step any more."""
    world, script = World(BEGINS), SCRIPTS["CSR with proof, Automatic, Secret"]
    world.observes = lambda number: number == 0
    script.declare(world)
    script.ask(world)
    await world.run_until(lambda: world.condition("Issued") == ("Unknown", "ObserveOnly"))
    world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], "approval": "Manual"})
    await world.run_until(lambda: world.state == "AwaitingApproval")
    await world.stop()
    assert world.condition("Issued") == ("", "")


def notices(world: World) -> list[str]:
    return [each["name"] for each in world.renewal.get("notices", ())]


async def finish(world: World, script: Script) -> None:
    """Let the operator that does everything come to the end."""
    try:
        await world.run_until(lambda: world.state == "Done" and not world.waits_for)
        await world.let_pass(SETTLED_SECONDS)
    finally:
        await world.stop()
    assert faults(world, script) == []
