"""A source that has lost its certificate: what is known of that one still counts for the next."""

from typing import Any

import pytest

from clientcert.pki.key_request import read_request
from tests.builders import DAY
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import CERTIFICATE, OURS, POLICY, RENEWAL, STORE_KEY, World
from tests.unit.renewal.asking import CSR, CURRENT, csr_pem
from tools.certificates import make_private_key

SCRIPT = SCRIPTS["public key, CASecret, approved, S3, mail"]
TODAY, BEFORE = ({"date": f"{each:%Y-%m-%d}", "by": "ra@integration.example"} for each in (BEGINS, BEGINS - DAY))


@pytest.fixture
async def world() -> World:
    world = World(BEGINS)
    SCRIPT.declare(world)
    world.edit(CERTIFICATE, vetting=BEFORE)
    await world.let_pass(5.0)
    return world


async def lose(world: World) -> None:
    del world.bucket[STORE_KEY]
    world.process.poll()
    await world.let_pass(5.0)


def ask(world: World, **fields: Any) -> None:
    """Ask for a certificate, as if it was the first."""
    spec = {"certificateRef": {"name": "nhs"}, "mode": "Reissue", "csr": CSR, "requestedBy": "sam"}
    world.server.put(RENEWAL, spec=spec | fields)


def refused_by(world: World) -> list[str]:
    return [each["name"] for each in world.renewal["checks"] if not each["passed"]]


def known(world: World) -> dict[str, Any]:
    return dict(world.server.objects[CERTIFICATE]["status"]["certificate"])


def revoke(world: World, **fields: str) -> None:
    revoked = {each: known(world)[each] for each in ("issuerDN", "serialNumber", "notAfter")}
    time = {"revocationTime": f"{BEGINS:%Y-%m-%dT%H:%M:%SZ}"}
    world.server.put(
        f"{OURS}/certificaterevocations/old",
        spec={**revoked, **time, "consumer": "nhs", "reason": "Superseded", **fields},
    )


async def renew(world: World, name: str, **fields: Any) -> None:
    """Renew by a request that is approved, to its end."""
    path = f"{OURS}/certificaterenewals/{name}"
    spec = {"certificateRef": {"name": "nhs"}, "serialNumber": known(world)["serialNumber"], "requestedBy": "sam"}
    world.server.put(path, spec=spec | fields)
    await world.let_pass(5.0)
    status = world.server.objects[path]["status"]
    hashes = {each: status[each] for each in ("keyHash", "recipientHash")}
    world.edit(path, approval={"decision": "Approve", "by": "alex", **hashes})
    await world.run_until(lambda: world.server.objects[path]["status"]["state"] == "Done")


async def test_a_lost_secret_is_replaced(world: World) -> None:
    """It is in date, and nobody has a copy of it."""
    await lose(world)
    world.people.append(world.approve)
    ask(world)
    await world.run_until(lambda: world.state == "Done")
    await world.stop()
    assert world.source


async def test_a_vetting_before_its_revocation_does_not_count(world: World) -> None:
    revoke(world)
    await lose(world)
    ask(world)
    await world.let_pass(5.0)
    assert (world.state, refused_by(world)) == ("Refused", ["Vetted"])
    world.edit(CERTIFICATE, vetting=TODAY)
    world.server.delete(RENEWAL)
    await world.let_pass(1.0)
    ask(world)
    await world.let_pass(5.0)
    await world.stop()
    assert world.state == "AwaitingApproval"


async def test_the_key_of_a_revoked_one_is_not_used_again(world: World) -> None:
    """The revocation says which it was."""
    same = csr_pem(CURRENT.private_key)
    revoke(world, keyHash=read_request(same.encode()).key_hash)
    world.edit(CERTIFICATE, vetting=TODAY)
    await lose(world)
    ask(world, csr=same)
    await world.let_pass(5.0)
    await world.stop()
    assert (world.state, refused_by(world)) == ("Refused", ["KeyAllowed"])


async def test_a_vetting_before_a_refusal_does_not_count(world: World) -> None:
    """The request that was refused named it."""
    spec = {"certificateRef": {"name": "nhs"}, "serialNumber": known(world)["serialNumber"], "requestedBy": "sam"}
    wrong = csr_pem(subject=(("CN", "another"),))
    world.server.put(f"{OURS}/certificaterenewals/wrong", spec={**spec, "csr": wrong})
    await world.let_pass(5.0)
    await lose(world)
    ask(world)
    await world.let_pass(5.0)
    await world.stop()
    assert (world.state, refused_by(world)) == ("Refused", ["Vetted"])


async def test_its_key_is_not_used_again(world: World) -> None:
    """That of a certificate which a request has brought is known."""
    world.edit(POLICY, renewal={**SCRIPT.policy, "opensDaysAfterIssue": 0})
    await renew(world, "before", csr=CSR)
    await lose(world)
    ask(world)
    await world.let_pass(5.0)
    assert (world.state, refused_by(world)) == ("Refused", ["KeyAllowed"])
    world.server.delete(RENEWAL)
    await world.let_pass(1.0)
    ask(world, csr=csr_pem(make_private_key()))
    await world.let_pass(5.0)
    await world.stop()
    assert world.state == "AwaitingApproval"
