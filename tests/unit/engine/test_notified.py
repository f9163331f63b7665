"""The condition Notified says what is true of the channels and addresses that the policy has now."""

from collections.abc import AsyncIterator

import pytest

from clientcert.errors import DeliveryError, Reason
from tests.builders import DAY, HOUR
from tests.unit.engine.many_requests import RA, TEAM, decide, declare, path_of, status, told
from tests.unit.engine.renewal_scripts import BEGINS
from tests.unit.engine.renewal_world import POLICY, World
from tests.unit.renewal.asking import issue

SECOND = "second@gov.example"
REFUSED = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the registration authority")
GONE = DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel: create it, or correct the policy")
SENT, FAILED = ("True", "Sent"), ("False", "RecipientRefused")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World(BEGINS)
    yield found
    await found.stop()


def notified(world: World) -> tuple[str, str]:
    return world.condition("Notified", path_of(0))


def refuse_mails(world: World, notice: str) -> None:
    """The first address of `notify` is refused; the second one gets what it is sent."""
    refused: list[str] = []

    def refuses(what: str) -> Exception | None:
        if what.startswith(f"MAIL {notice}/notify"):
            refused.extend([] if refused else [what])
            return REFUSED if what == refused[0] else None
        return None

    world.refuses = refuses


def edit_renewal(world: World, **changes: object) -> None:
    world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], **changes})


async def test_an_address_that_is_removed_is_not_waited_for(world: World) -> None:
    declare(world, 1, notify=[RA, SECOND])
    refuse_mails(world, "Waiting")
    await world.run_until(lambda: notified(world) == FAILED and told(world, "Waiting/notify") == 1)
    mails = len(world.mails)
    [got] = [each.address for each in world.mails if each.notice.startswith("Waiting/notify")]
    edit_renewal(world, notify=[got])
    await world.run_until(lambda: notified(world) == SENT, 15.0)
    await world.let_pass(60.0)
    assert (notified(world), len(world.mails)) == (SENT, mails)


async def test_a_channel_that_is_removed_is_not_waited_for(world: World) -> None:
    """The only one of the team; the authority was told."""
    declare(world, 1, notify=[RA])
    world.refuses = lambda what: GONE if what == "POST" else None
    await world.run_until(
        lambda: notified(world) == ("False", "ChannelNotFound") and told(world, "Waiting/notify") == 1
    )
    world.edit(POLICY, alerts={"channels": [{"name": "event", "type": "Event"}], "startDaysBefore": 1})
    await world.run_until(lambda: notified(world) == SENT, 15.0)


async def test_of_two_that_fail_the_one_that_is_left_is_named(world: World) -> None:
    declare(world, 1, notify=[RA])
    world.refuses = lambda what: GONE if what == "POST" else REFUSED if what.startswith("MAIL Waiting") else None
    await world.run_until(lambda: notified(world)[0] == "False" and told(world, "Receipt/contact") == 1)
    edit_renewal(world, notify=[])
    await world.run_until(lambda: notified(world) == ("False", "ChannelNotFound"), 15.0)


async def test_the_end_of_a_request_is_told_to_those_who_are_left(world: World) -> None:
    declare(world, 1, notify=[RA, SECOND])
    refuse_mails(world, "Refused")
    await world.run_until(lambda: status(world, 0).get("state") == "AwaitingApproval")
    decide(world, 0, "Deny")
    await world.run_until(lambda: notified(world) == FAILED and told(world, "Refused/notify") == 1)
    assert status(world, 0)["waitsFor"] == "messages"
    [got] = [each.address for each in world.mails if each.notice.startswith("Refused/notify")]
    edit_renewal(world, notify=[got])
    await world.run_until(lambda: notified(world) == SENT, 15.0)
    assert status(world, 0).get("waitsFor") is None


async def test_time_alone_makes_no_failure_good(world: World) -> None:
    """A day after a refusal nobody is told of it any more; the condition says who never was."""
    declare(world, 1, channels=[TEAM], notify=[RA])
    world.refuses = lambda what: REFUSED if what.startswith("MAIL Refused/notify") else None
    await world.run_until(lambda: status(world, 0).get("state") == "AwaitingApproval")
    decide(world, 0, "Deny")
    await world.run_until(lambda: notified(world) == FAILED and told(world, "Refused/contact") == 1)
    world.set_clock(DAY + HOUR)
    await world.run_until(lambda: status(world, 0).get("waitsFor") is None)
    await world.let_pass(60.0)
    assert notified(world) == FAILED


async def settled_without_the_first(world: World) -> str:
    """A request that was denied a day ago, of which one of two authorities was never told; returns the other one."""
    declare(world, 1, channels=[TEAM], notify=[RA, SECOND])
    refuse_mails(world, "Refused")
    await world.run_until(lambda: status(world, 0).get("state") == "AwaitingApproval")
    decide(world, 0, "Deny")
    await world.run_until(lambda: notified(world) == FAILED and told(world, "Refused/notify") == 1)
    world.set_clock(DAY + HOUR)
    await world.run_until(lambda: status(world, 0).get("waitsFor") is None)
    await world.let_pass(60.0)
    assert notified(world) == FAILED
    [got] = [each.address for each in world.mails if each.notice.startswith("Refused/notify")]
    return got


async def test_an_old_failure_goes_with_its_address(world: World) -> None:
    """Nothing is due any more, and still the condition follows the policy."""
    got = await settled_without_the_first(world)
    edit_renewal(world, notify=[got])
    await world.run_until(lambda: notified(world) == SENT, 15.0)


async def test_an_old_failure_goes_with_its_address_while_nobody_leads(world: World) -> None:
    """The next leader looks at it."""
    got = await settled_without_the_first(world)
    await world.kill()
    edit_renewal(world, notify=[got])
    await world.run_until(lambda: notified(world) == SENT, 30.0)


async def test_an_old_failure_stays_with_its_address(world: World) -> None:
    """Another change of the policy writes nothing, and sends nothing."""
    await settled_without_the_first(world)
    mails, version = len(world.mails), world.server.objects[path_of(0)]["metadata"]["resourceVersion"]
    edit_renewal(world, validityDays=200)
    await world.let_pass(60.0)
    assert (notified(world), len(world.mails)) == (FAILED, mails)
    assert world.server.objects[path_of(0)]["metadata"]["resourceVersion"] == version


async def test_a_request_that_ended_undecided_follows_the_policy(world: World) -> None:
    """The team's channel never heard that it waited, and is removed after its end."""
    declare(world, 1, notify=[RA])
    world.refuses = lambda what: GONE if what == "POST" else None
    await world.run_until(
        lambda: notified(world) == ("False", "ChannelNotFound") and told(world, "Waiting/notify") == 1
    )
    world.put_secret("cert-0000", tls_crt=issue(not_after=BEGINS + 300 * DAY).certificate_pem)
    await world.run_until(lambda: status(world, 0).get("state") == "Ended")
    await world.let_pass(60.0)
    assert notified(world) == ("False", "ChannelNotFound")
    world.edit(POLICY, alerts={"channels": [{"name": "event", "type": "Event"}], "startDaysBefore": 1})
    await world.run_until(lambda: notified(world) == SENT, 15.0)
