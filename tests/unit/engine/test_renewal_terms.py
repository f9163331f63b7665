"""A replica that leads again: another one may have led meanwhile, and requests were deleted."""

from collections.abc import AsyncIterator

import pytest

from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.lifecycle.spec import ObjectKey
from tests.unit.engine.many_requests import RA, declare, path_of, status, told
from tests.unit.engine.renewal_scripts import BEGINS
from tests.unit.engine.renewal_world import World

KEY = ObjectKey("integration", "request-0000")
OUTAGE = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
REFUSED = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the registration authority")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World(BEGINS)
    yield found
    await found.stop()


async def away(world: World, *, deleted: bool) -> None:
    """The process stands by for a while, in which the request may be deleted, and then leads again."""
    await world.process.stand_by()
    if deleted:
        world.server.delete(path_of(0))
    await world.let_pass(10.0)
    world.refuses = lambda _: None
    world.process.lead()
    await world.let_pass(90.0)


async def test_what_failed_about_a_deleted_request_is_forgotten(world: World) -> None:
    declare(world, 1, notify=[RA])
    world.refuses = lambda what: REFUSED if what.startswith("MAIL Waiting/notify") else None
    await world.run_until(lambda: told(world, "Receipt/contact") and world.process.engine.renewal_outbox.failures(KEY))
    sent = len(world.mails), len(world.posts)
    await away(world, deleted=True)
    outbox = world.process.engine.renewal_outbox
    assert (outbox.keys(), (len(world.mails), len(world.posts))) == ((), sent)


async def test_what_was_sent_about_a_deleted_request_is_forgotten(world: World) -> None:
    """Its status could not be written before the term ended."""
    declare(world, 1, notify=[RA])
    await world.run_until(lambda: status(world, 0).get("state") == "AwaitingApproval")
    world.refuses = lambda what: OUTAGE if what.startswith("PATCH") and world.mails else None
    await world.run_until(lambda: len(world.mails) == 2)
    await world.let_pass(5.0)
    assert world.process.engine.renewal_outbox.unrecorded_items()
    await away(world, deleted=True)
    assert (world.process.engine.renewal_outbox.keys(), len(world.mails)) == ((), 2)


async def test_what_was_sent_about_another_request_is_recorded_and_not_sent_again(world: World) -> None:
    declare(world, 1, notify=[RA])
    await world.run_until(lambda: status(world, 0).get("state") == "AwaitingApproval")
    world.refuses = lambda what: OUTAGE if what.startswith("PATCH") and world.mails else None
    await world.run_until(lambda: len(world.mails) == 2)
    await world.let_pass(5.0)
    await away(world, deleted=False)
    assert (told(world, "Waiting/notify"), told(world, "Receipt/contact"), len(world.mails)) == (1, 1, 2)
    assert world.process.engine.renewal_outbox.keys() == ()


async def test_what_was_held_back_is_not_sent_about_a_deleted_request(world: World) -> None:
    """At the end of the term no message may begin any more."""
    await world.let_pass(0.25)
    world.process.may_send = False
    declare(world, 1, notify=[RA])
    await world.run_until(lambda: status(world, 0).get("state") == "AwaitingApproval")
    await world.let_pass(5.0)
    await world.process.stand_by()
    world.server.delete(path_of(0))
    await world.let_pass(10.0)
    world.process.may_send = True
    world.process.lead()
    await world.let_pass(90.0)
    assert (world.mails, world.posts, world.digests) == ([], [], [])
