"""Renewals by an issuer of cert-manager: what it answers, and what is changed while it is waited for."""

from collections.abc import AsyncIterator

import pytest
from cryptography import x509

from tests.builders import DAY
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS, CertManager, faults
from tests.unit.engine.renewal_world import CERTIFICATE, CERTIFICATE_REQUESTS, OURS, POLICY, RENEWAL, STORE_KEY, World
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


def correct_the_subject(world: World) -> None:
    world.edit(POLICY, renewal={**SCRIPT.policy, "subject": {"organization": "NHS Digital"}})


async def ask_for_a_first_one(world: World) -> None:
    """By a public key, so the operator makes key and CSR; cert-manager is asked for the certificate."""
    del world.bucket[STORE_KEY]
    world.edit(CERTIFICATE, vetting=VETTED)
    world.server.put(
        RENEWAL,
        spec={"certificateRef": {"name": "nhs"}, "mode": "Reissue", "requestedBy": "sam", **SCRIPT.request()},
    )
    await world.run_until(lambda: world.conditions.get("Issued") == "Pending")


async def test_a_policy_is_corrected_while_the_operators_own_csr_is_pending(world: World) -> None:
    """It is planned anew with another key, which the consumer can open; the first CSR is not used any more."""
    await ask_for_a_first_one(world)
    before = world.renewal["ciphertext"]
    correct_the_subject(world)
    await world.run_until(lambda: len(world.write_aheads) == 2)
    assert world.renewal["ciphertext"] != before
    world.people.append(CertManager(world))
    await world.run_until(lambda: world.state == "Done")
    await world.let_pass(5.0)
    assert sum(path.startswith(CERTIFICATE_REQUESTS) for path in world.server.objects) == 2
    assert x509.load_pem_x509_certificate(world.source).subject == name(("O", "NHS Digital"), ("CN", "nhs"))
    assert (faults(world, SCRIPT), len(world.write_aheads)) == ([], 2)


async def test_a_policy_is_corrected_after_the_certificate_was_recorded(world: World) -> None:
    """The recorded one is delivered: nothing is planned anew."""
    await ask_for_a_first_one(world)
    world.people.append(CertManager(world))
    world.mail_seconds = 20.0
    await world.run_until(lambda: world.certificates)
    correct_the_subject(world)
    await world.run_until(lambda: world.state == "Done")
    await world.let_pass(5.0)
    assert (faults(world, SCRIPT), len(world.write_aheads)) == ([], 1)
