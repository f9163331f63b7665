"""A restart over a revoked certificate: nothing is said of it before the revocations of deleted objects are known."""

from typing import Any

import pytest

from clientcert.errors import KubeError, Reason
from tests.simulation.api_server import NAMESPACE
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import CERTIFICATE, CORE, OURS, POLICY, RENEWAL, World
from tests.unit.renewal.asking import CSR, CURRENT

SCRIPT = SCRIPTS["public key, CASecret, approved, S3, mail"]
REVOCATION, LIST = f"{OURS}/certificaterevocations/old", f"{CORE}/configmaps/client-ca-revocations"
VETTED = {"date": f"{BEGINS:%Y-%m-%d}", "by": "ra@integration.example"}
SLOW = 8.0
"""Seconds until each ConfigMap is read after the restart: longer than all else takes."""


def renewable(world: World) -> tuple[str, str]:
    return world.condition("Renewable", CERTIFICATE)


@pytest.fixture
async def world() -> World:
    """The certificate is revoked, and the object that says so was deleted."""
    world = World(BEGINS)
    SCRIPT.declare(world)
    world.edit(CERTIFICATE, vetting=VETTED)
    await world.let_pass(5.0)
    known = world.server.objects[CERTIFICATE]["status"]["certificate"]
    revocation = {
        "issuerDN": known["issuerDN"],
        "serialNumber": known["serialNumber"],
        "consumer": "nhs",
        "reason": "Superseded",
        "revocationTime": f"{BEGINS:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": known["notAfter"],
    }
    world.server.put(REVOCATION, spec=revocation)
    await world.let_pass(10.0)
    world.server.delete(REVOCATION)
    await world.let_pass(10.0)
    assert renewable(world) == ("False", "Revoked")
    return world


async def restart(world: World) -> None:
    await world.kill()
    world.read_seconds = lambda path: SLOW if "/configmaps/" in path else 0.0


def ask(world: World, **fields: Any) -> None:
    plain = {"certificateRef": {"name": "nhs"}, "serialNumber": CURRENT.serial_number_hex, "requestedBy": "sam"}
    world.server.put(RENEWAL, spec={**plain, "mode": "Reissue", "csr": CSR, **fields})


async def test_the_status_keeps_what_it_says(world: World) -> None:
    writes = len(world.writes)
    await restart(world)
    for _ in range(6):
        await world.let_pass(SLOW)
        assert renewable(world) == ("False", "Revoked")
    await world.stop()
    assert world.writes[writes:] == []


async def test_it_keeps_that_also_while_a_request_is_open(world: World) -> None:
    """Its reason is then another one; only the condition's status tells that nothing can be renewed."""
    ask(world)
    await world.run_until(lambda: world.state == "AwaitingApproval")
    await world.let_pass(10.0)
    assert renewable(world) == ("False", "Requested")
    writes = len(world.writes)
    await restart(world)
    await world.let_pass(6 * SLOW)
    await world.stop()
    assert renewable(world) == ("False", "Requested")
    assert [each for each in world.writes[writes:] if CERTIFICATE in each] == []


async def test_what_is_revoked_no_more_is_told_once_that_is_known(world: World) -> None:
    """Somebody has deleted the list meanwhile."""
    await world.kill()
    world.server.delete(LIST)
    await restart(world)
    await world.let_pass(SLOW / 2)
    assert renewable(world) == ("False", "Revoked")
    await world.let_pass(6 * SLOW)
    await world.stop()
    assert renewable(world) == ("True", "Renewable")


async def test_a_reissue_is_not_refused_before(world: World) -> None:
    """While it is in date and not revoked, a Reissue is refused, which is final."""
    await restart(world)
    ask(world)
    await world.let_pass(SLOW / 2)
    assert world.state == ""
    await world.run_until(lambda: world.state == "AwaitingApproval", 6 * SLOW)
    await world.stop()


async def test_a_policy_that_was_away_brings_its_list_back_before_anything_is_decided(world: World) -> None:
    """It was deleted and restored: until its list was read again, nobody knows what was revoked under it."""
    spec = world.server.objects[POLICY]["spec"]
    world.server.delete(POLICY)
    await world.let_pass(10.0)
    world.read_seconds = lambda path: SLOW if "/configmaps/" in path else 0.0
    world.server.put(POLICY, spec=spec)
    await world.let_pass(1.0)
    ask(world, mode="Renew")
    await world.run_until(lambda: world.state, 10 * SLOW)
    await world.stop()
    assert (world.state, world.conditions.get("Accepted")) == ("Refused", "Revoked")


async def test_a_list_of_another_ca_is_read_before_anything_is_decided(world: World) -> None:
    """The policy names this CA for the first time since the start."""
    other = {"type": "CASecret", "caSecret": {"name": "other-ca"}}
    policy = world.server.objects[POLICY]["spec"]
    world.edit(POLICY, renewal={**policy["renewal"], "issuer": other})
    await world.let_pass(10.0)
    await world.kill()
    await world.let_pass(10.0)
    world.read_seconds = lambda path: SLOW if "/configmaps/" in path else 0.0
    world.edit(POLICY, renewal=policy["renewal"])
    await world.let_pass(1.0)
    ask(world, mode="Renew")
    await world.run_until(lambda: world.state, 10 * SLOW)
    await world.stop()
    assert (world.state, world.conditions.get("Accepted")) == ("Refused", "Revoked")


async def test_the_end_of_a_crl_is_shown_while_the_config_maps_cannot_be_read(world: World) -> None:
    """Gateways still use it: the alert about it goes on."""
    revocations = world.process.engine.cache.revocations
    shown = list(revocations.crl_ends())
    assert [(space, name) for space, name, _ in shown] == [(NAMESPACE, "client-ca")]

    def refused(path: str) -> float:
        if "/configmaps/" in path:
            raise KubeError(Reason.FORBIDDEN, "configmaps is forbidden", status=403)
        return 0.0

    world.read_seconds = refused
    revocations.enqueue_lists([NAMESPACE])
    await world.let_pass(30.0)
    await world.stop()
    assert [each.list_problem is not None for each in revocations.lists(NAMESPACE) or ()] == [True]
    assert list(revocations.crl_ends()) == shown
