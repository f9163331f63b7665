"""A request that waits is looked at again as soon as what it waits for has changed, not a day later."""

from collections.abc import Callable
from typing import cast

import pytest

from clientcert.cache.client_lists import ClientLists
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.object_cache import ObjectCache
from clientcert.lifecycle.contacts import UNAVAILABLE, Recipient, Resolution, Role
from clientcert.lifecycle.policy import AlertPolicy, Channel, EmailAddress, Schedule
from clientcert.lifecycle.spec import Contact
from clientcert.workqueue.work_queue import Item, WorkQueue
from tests.builders import KEY, NOW, declaration
from tests.unit.engine.engine_harness import TEAM
from tests.unit.engine.fakes import ApiServer, Users
from tests.unit.engine.one_record import record
from tests.unit.engine.renewal_events import ANOTHER, SCRIPT
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import CERTIFICATE, OURS, POLICY, World

AUTOMATIC = SCRIPTS["CSR with proof, Automatic, Secret"]
COPY = f"{OURS}/clientcertificates/copy"
LETTERS = AlertPolicy((Channel("consumer", "Email", Schedule(), EmailAddress()),))
JO, KIM = (
    Resolution("SlackUser", "a Slack user", (Recipient(Role.SLACK, member),)) for member in ("U012AB3CD", "U034EF5GH")
)
NOBODY = Resolution("SlackUserNotFound", "there is no such user")
_SOON = 20.0


def _deleted(world: World) -> None:
    world.server.delete(COPY)


def _has_its_own(world: World) -> None:
    world.put_secret("dev-cert", tls_crt=ANOTHER.certificate_pem)
    world.edit(COPY, source={"type": "Secret", "secret": {"name": "dev-cert"}})


@pytest.mark.parametrize("ends", [_deleted, _has_its_own])
async def test_a_serial_number_that_is_shared_no_more(ends: Callable[[World], None]) -> None:
    """It goes on once the other object is gone, or has another certificate."""
    world = World(BEGINS)
    AUTOMATIC.declare(world)
    world.server.put(COPY, spec={**world.server.objects[CERTIFICATE]["spec"], "environment": "dev"})
    await world.let_pass(5.0)
    AUTOMATIC.ask(world)
    await world.run_until(lambda: world.conditions.get("Accepted") == "SerialShared")
    await world.let_pass(600.0)
    ends(world)
    await world.run_until(lambda: world.state == "Done", _SOON)
    await world.stop()


async def test_a_policy_that_retires_from_now_on() -> None:
    """Also the certificates that were renewed before: it is announced at once, not after the next restart."""
    world = World(BEGINS)
    SCRIPT.declare(world)
    SCRIPT.ask(world)
    world.people.append(world.approve)
    await world.run_until(lambda: world.state == "Done" and not world.waits_for)
    await world.let_pass(60.0)
    world.edit(POLICY, renewal={**world.server.objects[POLICY]["spec"]["renewal"], "retireAfterDays": 1})
    await world.run_until(lambda: world.conditions.get("Retired") == "Announced", _SOON)
    await world.stop()


async def test_a_contact_in_slack_that_no_channel_writes_to() -> None:
    """Nobody looks that contact up, so the request does not wait for it: the certificate is left for retrieval."""
    world = World(BEGINS)
    SCRIPT.declare(world)
    renewal = {**world.server.objects[POLICY]["spec"]["renewal"], "requireUnchanged": ["Subject"]}
    world.edit(POLICY, alerts={"channels": [TEAM]}, renewal=renewal)
    world.edit(CERTIFICATE, contact={"slack": {"memberID": "U012AB3CD"}})
    SCRIPT.ask(world)
    world.people.append(world.approve)
    await world.run_until(lambda: world.conditions.get("Delivered") == "LeftForRetrieval", _SOON)
    await world.stop()


async def test_another_contact_is_found() -> None:
    """An approver sees for whom it is. Nobody else for the time being, or nobody at the moment, is no change."""
    queue, users = WorkQueue(lambda: NOW), Users(JO)
    queue.open()
    cache = ObjectCache(queue)
    contacts = ContactLookup(cache, ClientLists(ApiServer().get), users, lambda: NOW)
    metadata = {"namespace": KEY.namespace, "name": "nhs-1", "uid": "1", "resourceVersion": "1", "generation": 1}
    spec = {"certificateRef": {"name": KEY.name}, "serialNumber": "1", "reuse": True, "requestedBy": "sam"}
    cache.renewals.upsert({"metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec})
    found = record(spec=declaration(contact=Contact(slack_email="jo@nhs.example")))

    async def wakes(result: Resolution) -> bool:
        while queue.depth:
            queue.done(cast("Item", await queue.take()), None)
        users.answer = result
        await contacts.refresh(found, LETTERS)
        return bool(queue.depth)

    results = (JO, JO, UNAVAILABLE, JO, KIM, NOBODY, NOBODY, KIM)
    assert [await wakes(each) for each in results] == [False, False, False, False, True, True, False, True]
