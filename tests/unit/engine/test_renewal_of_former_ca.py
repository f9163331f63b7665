"""The day a CA is replaced: its certificates may be renewed at once, and their status says so."""

from copy import deepcopy

import pytest

from clientcert.errors import KubeError, Reason
from tests.builders import DAY
from tests.unit.engine.renewal_events import SCRIPT, ca_rotated_old_in_trust, rotate, trust_the_former
from tests.unit.engine.renewal_world import CERTIFICATE, CORE, POLICY, World
from tests.unit.renewal.asking import CA, ISSUED, STRANGE_CA, issue
from tools.certificates import CertificateAuthority

EARLY = ISSUED + 10 * DAY
"""Long before the window opens."""


async def test_the_status_says_that_the_window_is_open() -> None:
    """`clientcert renew --all` leaves out what is too early by the status. A restart writes nothing."""
    world = World(EARLY)
    SCRIPT.declare(world)
    await world.let_pass(10.0)
    assert world.condition("Renewable", CERTIFICATE) == ("False", "TooEarly")
    ca_rotated_old_in_trust(world)
    await world.let_pass(10.0)
    assert world.condition("Renewable", CERTIFICATE) == ("True", "Renewable")
    status = world.server.objects[CERTIFICATE]["status"]
    assert status["renewal"]["opensTime"] == f"{ISSUED:%Y-%m-%dT%H:%M:%SZ}"
    writes = len(world.writes)
    await world.kill()
    await world.let_pass(10.0)
    assert world.writes[writes:] == []
    SCRIPT.ask(world)
    world.people.append(world.approve)
    await world.run_until(lambda: world.state == "Done")
    await world.let_pass(10.0)
    await world.stop()
    assert world.condition("Renewable", CERTIFICATE) == ("False", "Renewed")


async def test_the_former_one_signs_again() -> None:
    """The window is that of the policy again."""
    world = World(EARLY)
    SCRIPT.declare(world)
    ca_rotated_old_in_trust(world)
    await world.let_pass(10.0)
    assert world.condition("Renewable", CERTIFICATE) == ("True", "Renewable")
    SCRIPT.declare(world)
    await world.let_pass(10.0)
    await world.stop()
    assert world.condition("Renewable", CERTIFICATE) == ("False", "TooEarly")


@pytest.mark.parametrize(("signer", "expected"), [(CA, "Renewable"), (STRANGE_CA, "TooEarly")])
async def test_a_former_one_of_the_same_name_is_told_by_its_signature(
    signer: CertificateAuthority, expected: str
) -> None:
    """As the check WindowOpen does it. A restart writes nothing."""
    world = World(EARLY)
    SCRIPT.declare(world, certificate=issue(authority=signer).certificate_pem)
    await world.let_pass(10.0)
    trust_the_former(world)
    rotate(world, STRANGE_CA)
    await world.let_pass(10.0)
    assert world.condition("Renewable", CERTIFICATE)[1] == expected
    writes = len(world.writes)
    await world.kill()
    await world.let_pass(10.0)
    assert world.writes[writes:] == []
    SCRIPT.ask(world)
    await world.let_pass(10.0)
    await world.stop()


async def test_a_renewed_certificate_of_a_ca_is_no_other_ca() -> None:
    """The key is the same, so it is the CA that signs now."""
    world = World(EARLY)
    SCRIPT.declare(world)
    trust_the_former(world)
    await world.let_pass(10.0)
    await world.stop()
    assert world.condition("Renewable", CERTIFICATE) == ("False", "TooEarly")


@pytest.mark.parametrize(("trusted", "expected"), [(True, "Renewable"), (False, "TooEarly")])
async def test_a_restart_while_the_ca_cannot_be_read_says_nothing_new(*, trusted: bool, expected: str) -> None:
    """Until it can be: meanwhile somebody may have set it back to the former one."""
    world = World(EARLY)
    SCRIPT.declare(world)
    policy = deepcopy(world.server.objects[POLICY]["spec"])
    ca_rotated_old_in_trust(world)
    await world.let_pass(10.0)
    await world.kill()
    if not trusted:
        world.server.put(POLICY, spec=policy)
        rotate(world, CA)
    writes = len(world.writes)

    def refused(path: str) -> float:
        if path.endswith("/secrets/client-ca"):
            raise KubeError(Reason.FORBIDDEN, "secrets is forbidden", status=403)
        return 0.0

    world.read_seconds = refused
    await world.let_pass(20.0)
    assert world.condition("IssuerReady", POLICY)[0] == "False"
    assert [each for each in world.writes[writes:] if CERTIFICATE in each] == []
    world.read_seconds = lambda _: 0.0
    world.touch(f"{CORE}/secrets/client-ca")
    await world.run_until(lambda: world.condition("IssuerReady", POLICY)[0] == "True", 3600.0)
    await world.let_pass(10.0)
    await world.stop()
    assert world.condition("Renewable", CERTIFICATE)[1] == expected
    assert len([each for each in world.writes[writes:] if CERTIFICATE in each]) == (0 if trusted else 1)
