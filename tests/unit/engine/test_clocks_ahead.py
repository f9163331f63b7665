"""The time in a proof of possession is that of the consumer's clock, which may be ahead of ours."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509

from bench.proofs import proof
from clientcert.pki.pem import read_blocks
from tests.builders import DAY
from tests.simulation.api_server import Body
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import OURS, World
from tests.unit.renewal.asking import CSR, CURRENT, csr_pem
from tools.certificates import Issued

AUTOMATIC = SCRIPTS["CSR with proof, Automatic, Secret"]
ALWAYS = replace(AUTOMATIC, policy={**AUTOMATIC.policy, "opensDaysAfterIssue": 0})
SAME_KEY = csr_pem(CURRENT.private_key)
MINUTES = timedelta(minutes=1)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World(BEGINS)
    ALWAYS.declare(found)
    yield found
    await found.stop()


async def asked(world: World, number: int, csr: str, signer: Issued, signed: datetime) -> Body:
    """The status of a request with a proof of this time, after its end."""
    path = f"{OURS}/certificaterenewals/nhs-{number}"
    spec = {"certificateRef": {"name": "nhs"}, "serialNumber": signer.serial_number_hex, "requestedBy": "sam"}
    cms = proof(csr.encode(), signer, signed)
    world.server.put(path, spec={**spec, "csr": csr, "proof": {"type": "CMS", "cms": cms}})

    def status() -> Body:
        return world.server.objects[path].get("status") or {}

    await world.run_until(lambda: status().get("endedTime") and not status().get("waitsFor"))
    return status()


def possession(status: Body) -> str:
    return next(each["message"] for each in status["checks"] if each["name"] == "PossessionProved")


async def test_minutes_do_not_matter(world: World) -> None:
    assert (await asked(world, 1, CSR, CURRENT, BEGINS + 14 * MINUTES))["state"] == "Done"


async def test_a_day_does(world: World) -> None:
    status = await asked(world, 1, CSR, CURRENT, BEGINS + DAY)
    assert (status["state"], "set the clock" in possession(status)) == ("Refused", True)


async def test_such_a_proof_is_used_once(world: World) -> None:
    """The new certificate has the same key, and somebody writes its serial number into the proof a month later."""
    signed = BEGINS + 14 * MINUTES
    assert (await asked(world, 1, SAME_KEY, CURRENT, signed))["state"] == "Done"
    der = read_blocks(world.source)[0].der
    assert der is not None
    current = Issued(x509.load_der_x509_certificate(der), CURRENT.private_key, ())
    world.set_clock(30 * DAY)
    replayed = await asked(world, 2, SAME_KEY, current, signed)
    assert replayed["state"] == "Refused"
    assert "before the current certificate was issued" in possession(replayed)
    assert (await asked(world, 3, SAME_KEY, current, world.now()))["state"] == "Done"
