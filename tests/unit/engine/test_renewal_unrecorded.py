"""A message that was sent counts, though no status records it yet: whatever changes meanwhile, it is not sent again."""

from collections.abc import Callable

import pytest

from clientcert.errors import KubeError, Reason
from tests.builders import DAY
from tests.unit.engine import renewal_events as events
from tests.unit.engine.renewal_events import BEGINS, SCRIPT
from tests.unit.engine.renewal_world import POLICY, RENEWAL, World

_AWAY = KubeError(Reason.API_UNAVAILABLE, "no answer", status=503, retryable=True)
_SETTLED_SECONDS = 200.0


def no_statuses_after(world: World, notice: str) -> None:
    """From the mail with this notice on, the API server takes no status of the request."""

    def refuse(what: str) -> Exception | None:
        sent = any(each.notice.startswith(notice) for each in world.mails)
        return _AWAY if sent and what == f"PATCH {RENEWAL}/status" else None

    world.refuses = refuse


def edit_renewal(world: World, **changes: object) -> None:
    world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], **changes})


def nothing(_: World) -> None:
    pass


def mails_no_more(world: World) -> None:
    edit_renewal(world, delivery={"type": "None"})


def renewal_removed(world: World) -> None:
    events.renewal_removed(world, for_ever=True)


def handed_over(world: World) -> None:
    world.edit(RENEWAL, handedOver={"by": "sam"})


async def mailed(event: Callable[[World], None]) -> World:
    """The world after a mail with the certificate that could not be recorded before this had happened."""
    world = World(BEGINS)
    SCRIPT.declare(world)
    SCRIPT.ask(world)
    world.people.append(world.approve)
    no_statuses_after(world, "Delivery")
    await world.run_until(lambda: any(each.attachments for each in world.mails))
    await world.let_pass(5.0)
    assert "delivery" not in world.renewal
    event(world)
    await world.let_pass(8.0)
    world.refuses = lambda _: None
    await world.let_pass(_SETTLED_SECONDS)
    await world.stop()
    return world


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (nothing, "Done"),
        (events.contact_changed, "Done"),
        (mails_no_more, "Done"),
        (renewal_removed, "Done"),
        (handed_over, "Done"),
        (events.certificate_deleted, "Ended"),
        (events.certificate_recreated, "Ended"),
    ],
)
async def test_the_mail_with_the_certificate(event: Callable[[World], None], state: str) -> None:
    """It is recorded, and nobody is asked to hand the certificate over a second time."""
    world = await mailed(event)
    assert sum(bool(each.attachments) for each in world.mails) == 1
    assert (world.state, world.condition("Delivered")) == (state, ("True", "Mailed"))
    assert world.renewal["delivery"]["role"] == "technical contact"


async def test_the_announcement_of_a_retirement() -> None:
    """Long after the end of the request, of which nothing else was to be told."""
    world = World(BEGINS)
    SCRIPT.declare(world)
    SCRIPT.ask(world)
    world.people.append(world.approve)
    await world.run_until(lambda: world.state == "Done" and not world.waits_for)
    world.set_clock(DAY)
    no_statuses_after(world, "Retiring")
    edit_renewal(world, retireAfterDays=1)
    await world.run_until(lambda: any(each.notice.startswith("Retiring") for each in world.mails))
    await world.let_pass(60.0)
    world.refuses = lambda _: None
    await world.run_until(lambda: world.conditions.get("Retired") == "Announced")
    await world.let_pass(_SETTLED_SECONDS)
    await world.stop()
    assert sum(each.notice.startswith("Retiring") for each in world.mails) == 1
    assert sum("not accepted any more" in each for each in world.posts) == 1
    told = [each["name"] for each in world.renewal["notices"] if each["name"].startswith("Retiring")]
    assert sorted(each.partition("-")[0] for each in told) == ["Retiring/contact", "Retiring/team"]
