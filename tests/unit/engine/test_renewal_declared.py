"""A change of an editor to a certificate is not forgotten before somebody with the verb approve has seen it."""

from tests.builders import DAY
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import CERTIFICATE, OURS, POLICY, RENEWAL, World
from tests.unit.renewal.asking import CSR

AUTOMATIC = SCRIPTS["CSR with proof, Automatic, Secret"]
JO, EVE = {"email": "jo@nhs.example"}, {"email": "eve@nhs.example"}


async def test_a_change_behind_another_policy() -> None:
    """Also one that was made while the certificate had a policy without a renewal, or one that does not exist."""
    for meanwhile in ("plain", "missing"):
        world = World(BEGINS)
        AUTOMATIC.declare(world)
        alerts = world.server.objects[POLICY]["spec"]["alerts"]
        world.server.put(f"{OURS}/certificatepolicies/plain", spec={"alerts": alerts})
        await world.let_pass(5.0)
        world.edit(CERTIFICATE, policyRef={"name": meanwhile})
        await world.let_pass(5.0)
        assert world.condition("Renewable", CERTIFICATE) == ("False", "NotConfigured")
        world.edit(CERTIFICATE, contact={"technical": JO, "business": EVE})
        await world.let_pass(5.0)
        world.edit(CERTIFICATE, policyRef={"name": "team"})
        await world.let_pass(5.0)
        AUTOMATIC.ask(world)
        await world.run_until(lambda world=world: world.state == "AwaitingApproval", 30.0)
        await world.stop()
        assert world.renewal["changed"] == ["contact"]


async def test_a_vetting_that_lapses_before_the_certificate_ends() -> None:
    """The status warns, and does so no more once the consumer was vetted."""
    world = World(BEGINS)
    AUTOMATIC.declare(world)
    renewal = world.server.objects[POLICY]["spec"]["renewal"]
    world.edit(POLICY, renewal={**renewal, "maxVettingAgeDays": 365})
    for days, expected in ((355, "VettingLapses"), (370, "VettingRequired"), (1, "Vetted")):
        world.edit(CERTIFICATE, vetting={"date": f"{BEGINS - days * DAY:%Y-%m-%d}", "by": "ra@integration.example"})
        await world.let_pass(5.0)
        assert world.condition("Vetted", CERTIFICATE) == (str(expected == "Vetted"), expected)
    await world.stop()


async def test_a_new_certificate_is_not_revoked_as_the_old_one_was() -> None:
    """The first status after the reissue is about the new one already."""
    world = World(BEGINS)
    AUTOMATIC.declare(world)
    world.edit(CERTIFICATE, vetting={"date": f"{BEGINS:%Y-%m-%d}", "by": "ra@integration.example"})
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
    world.server.put(f"{OURS}/certificaterevocations/old", spec=revocation)
    await world.let_pass(5.0)
    assert world.condition("Renewable", CERTIFICATE) == ("False", "Revoked")
    asked = {"certificateRef": {"name": "nhs"}, "serialNumber": known["serialNumber"], "requestedBy": "sam"}
    world.server.put(RENEWAL, spec={**asked, "mode": "Reissue", "csr": CSR})
    world.people.append(world.approve)
    await world.run_until(lambda: world.state == "Done")
    await world.let_pass(10.0)
    await world.stop()
    assert world.condition("Renewable", CERTIFICATE) == ("False", "Renewed")
