"""Renewals by an issuer of cert-manager: what it answers, and what is changed while it is waited for."""

from collections.abc import AsyncIterator

import pytest

from tests.builders import DAY
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS, CertManager
from tests.unit.engine.renewal_world import CERTIFICATE, OURS, RENEWAL, World
from tests.unit.renewal.asking import CURRENT, name

SCRIPT = SCRIPTS["public key, CertManager, S3, mail"]
VETTED = {"date": f"{BEGINS:%Y-%m-%d}", "by": "ra@integration.example"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A certificate of which 20 days are left; requests are approved, and cert-manager signs nothing yet."""
    found = World(BEGINS)
    SCRIPT.declare(found)
    found.people.append(found.approve)
    yield found
    await found.stop()


def revoke(world: World) -> None:
    known = world.server.objects[CERTIFICATE]["status"]["certificate"]
    revocation = {name: known[name] for name in ("issuerDN", "serialNumber", "notAfter")} | {
        "consumer": "nhs",
        "reason": "Superseded",
        "revocationTime": f"{BEGINS:%Y-%m-%dT%H:%M:%SZ}",
    }
    world.server.put(f"{OURS}/certificaterevocations/old", spec=revocation)


async def test_a_certificate_that_ends_before_the_renewed_one_is_handed_out_to_nobody(world: World) -> None:
    """The issuer has a limit of its own, which the check WouldReplace cannot know."""
    world.people.append(CertManager(world, longest=10 * DAY))
    SCRIPT.ask(world)
    await world.run_until(lambda: world.state == "Refused")
    assert (world.conditions["Failed"], world.certificates) == ("CertificateRefused", [])
    assert world.source == CURRENT.certificate_pem


async def test_a_reissued_one_may_end_before_the_revoked_one(world: World) -> None:
    world.edit(CERTIFICATE, vetting=VETTED)
    await world.let_pass(5.0)
    revoke(world)
    await world.let_pass(5.0)
    world.people.append(CertManager(world, longest=10 * DAY))
    SCRIPT.ask(world)
    world.edit(RENEWAL, mode="Reissue")
    await world.run_until(lambda: world.state == "Done")
    assert len(world.certificates) == 1


async def test_an_answer_without_the_declared_identity_is_handed_out_to_nobody(world: World) -> None:
    """The names are equal by RFC 5280, and the certificate would not count in the source."""
    world.people.append(CertManager(world, subject=name(("O", "NHS Digital"), ("CN", "NHS"))))
    SCRIPT.ask(world)
    await world.run_until(lambda: world.state == "Refused")
    assert (world.conditions["Failed"], world.certificates) == ("CertificateRefused", [])
    assert world.source == CURRENT.certificate_pem
