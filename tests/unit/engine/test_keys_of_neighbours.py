"""No key of another consumer is certified, also where nobody can read that consumer's certificate yet, or any more."""

from typing import Any

import pytest

from clientcert.errors import Reason
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS, Script
from tests.unit.engine.renewal_world import CERTIFICATE, CORE, OURS, World
from tests.unit.renewal.asking import CURRENT, NEW_KEY, csr_pem, issue, public_key_pem
from tools.certificates import PrivateKey, make_private_key

AUTOMATIC, LEFT = SCRIPTS["CSR with proof, Automatic, Secret"], SCRIPTS["CSR, left for retrieval, handed over"]
DWP = (("O", "NHS Digital"), ("CN", "dwp"))
SECONDS = 20.0
"""As long as a read of the neighbour's source takes."""


def declare(world: World, script: Script, key: PrivateKey) -> str:
    """All that the script needs, and a neighbour whose certificate has this key; returns its serial number."""
    script.declare(world)
    theirs = issue(subject=DWP, private_key=key)
    world.put_secret("dwp-cert", tls_crt=theirs.certificate_pem)
    spec = world.server.objects[CERTIFICATE]["spec"]
    source = {"type": "Secret", "secret": {"name": "dwp-cert"}}
    world.server.put(f"{OURS}/clientcertificates/dwp", spec={**spec, "consumer": "dwp", "source": source})
    return theirs.serial_number_hex


def refused_by(world: World) -> list[str]:
    return [each["name"] for each in world.renewal["checks"] if not each["passed"]]


async def test_a_start_over_an_approved_request() -> None:
    """The request is reconciled before the neighbour's source was read, and is approved automatically."""
    world = World(BEGINS)
    world.read_seconds = lambda path: SECONDS if path.endswith("/secrets/dwp-cert") else 0.0
    declare(world, AUTOMATIC, NEW_KEY)
    AUTOMATIC.ask(world)
    await world.run_until(lambda: world.conditions.get("Issued") == Reason.API_UNAVAILABLE)
    await world.run_until(lambda: world.state == "Refused")
    await world.stop()
    assert (refused_by(world), world.write_aheads) == (["KeyAllowed"], [])


async def test_a_new_term_looks_again() -> None:
    """The neighbour's source has changed while another replica led."""
    world = World(BEGINS)
    declare(world, AUTOMATIC, make_private_key())
    await world.let_pass(10.0)
    await world.process.stand_by()
    world.put_secret("dwp-cert", tls_crt=issue(subject=DWP, private_key=NEW_KEY).certificate_pem)
    world.read_seconds = lambda path: SECONDS if path.endswith("/secrets/dwp-cert") else 0.0
    AUTOMATIC.ask(world)
    await world.let_pass(1.0)
    world.process.lead()
    await world.run_until(lambda: world.state == "Refused")
    await world.stop()
    assert (refused_by(world), world.write_aheads) == (["KeyAllowed"], [])


async def test_a_source_that_cannot_be_read_holds_up_nothing() -> None:
    """It was looked at, and so was the own one, which is read anew for the checks."""
    world = World(BEGINS)
    declare(world, AUTOMATIC, make_private_key())
    world.server.delete(f"{CORE}/secrets/dwp-cert")
    AUTOMATIC.ask(world)
    await world.run_until(lambda: world.state == "Done", seconds=60.0)
    await world.stop()


@pytest.mark.parametrize("asked", ["csr", "publicKey"])
async def test_a_key_that_is_on_its_way(asked: str) -> None:
    """The neighbour's certificate is left for retrieval, and its source has been deleted: the request is the record."""
    world = World(BEGINS)
    serial = declare(world, LEFT, make_private_key())
    key = NEW_KEY if asked == "csr" else make_private_key("rsa")
    path, content = f"{OURS}/certificaterenewals/dwp-1", csr_pem(key, DWP) if asked == "csr" else public_key_pem(key)
    plain: dict[str, Any] = {"certificateRef": {"name": "dwp"}, "serialNumber": serial, "requestedBy": "sam"}
    world.server.put(path, spec={**plain, asked: content})
    await world.let_pass(5.0)
    status = world.server.objects[path]["status"]
    hashes = {each: status[each] for each in ("keyHash", "recipientHash")}
    world.edit(path, approval={"decision": "Approve", "by": "alex", **hashes})
    await world.run_until(lambda: world.server.objects[path]["status"]["state"] == "Issued")
    world.server.delete(f"{CORE}/secrets/dwp-cert")
    await world.kill()
    own = {**plain, "certificateRef": {"name": "nhs"}, "serialNumber": CURRENT.serial_number_hex}
    world.server.put(f"{OURS}/certificaterenewals/nhs-1", spec={**own, "csr": csr_pem(key)})
    await world.let_pass(10.0)
    await world.stop()
    expected = ("Refused", ["KeyAllowed"]) if asked == "csr" else ("AwaitingApproval", [])
    assert (world.state, refused_by(world)) == expected
