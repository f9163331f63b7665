"""The cost of a renewal for the API server: on the day a CA is replaced there are ten thousand."""

import pytest

from clientcert.pki.pem import read_blocks
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS, SETTLED_SECONDS, Script
from tests.unit.engine.renewal_world import CERTIFICATE, World
from tests.unit.renewal.asking import CURRENT

AUTOMATIC = SCRIPTS["CSR with proof, Automatic, Secret"]
APPROVED = SCRIPTS["public key, CASecret, approved, S3, mail"]


async def renewed(script: Script) -> tuple[World, list[str]]:
    """A certificate that was read before anybody asked; the world, and all writes since then."""
    world = World(BEGINS)
    script.declare(world)
    try:
        await world.let_pass(5.0)
        before = len(world.writes)
        script.ask(world)
        script.take_part(world)
        await world.run_until(lambda: world.state == "Done" and not world.waits_for)
        await world.let_pass(SETTLED_SECONDS)
    finally:
        await world.stop()
    return world, world.writes[before:]


@pytest.mark.parametrize(("script", "statuses"), [(AUTOMATIC, 2), (APPROVED, 4)])
async def test_its_certificate_has_a_new_status_only_when_something_happened(script: Script, statuses: int) -> None:
    """Approved by a person: it waits for the approval, is in progress, and is renewed."""
    world, writes = await renewed(script)
    assert 1 <= sum("/clientcertificates/" in each for each in writes) <= statuses
    status = world.server.objects[CERTIFICATE]["status"]
    assert (status["renewal"]["reason"], status["renewal"].get("requestRef")) == ("Renewed", None)
    new = read_blocks(world.source)[0].der
    assert new != CURRENT.certificate_der
    assert status["certificate"]["serialNumber"] == world.renewal["issuance"]["serialNumber"]


async def test_what_a_request_waits_for_is_seen_at_its_certificate() -> None:
    world = World(BEGINS)
    APPROVED.declare(world)
    APPROVED.ask(world)
    try:
        await world.run_until(lambda: world.state == "AwaitingApproval")
        await world.let_pass(3.0)
    finally:
        await world.stop()
    found = world.server.objects[CERTIFICATE]["status"]["renewal"]
    assert (found["reason"], found["requestRef"]["name"]) == ("Requested", "nhs-1")
    assert found["message"].endswith("waits for: approval")
