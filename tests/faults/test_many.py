"""Row 29: many objects at the start, and a restart without changes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.control_plane.waiting import until
from tests.faults.scenario import POLICY, World, row
from tests.scenarios import client_certificate, in_secret, secret

MANY = 300
AT_ONCE = 8
RESYNC_SECONDS = 2
RETRY_SECONDS = 6.0
"""On a busy machine a container may not be opened in time, and is tried once more after five seconds."""


@pytest.mark.slow
@row(29, f"restart over {MANY} objects with nothing changed (10,000: `make bench`, P5)")
def test_a_restart_without_changes(world: World) -> None:
    """The second start writes nothing and sends nothing, and the later comparisons read no Secret again."""
    issued = world.team.issue("everybody", days=100)
    world.team.put("everybody", issued)

    def declare(number: int) -> None:
        spec = {"identity": {"commonName": world.team.consumer("everybody")}, "policyRef": {"name": POLICY}}
        consumer = world.team.consumer(f"c{number}")
        manifest = client_certificate(f"c{number}", consumer=consumer, source=in_secret("everybody-cert"), **spec)
        world.team.api.request("POST", world.team.path("ClientCertificate"), manifest)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(declare, range(MANY)))
    world.hand_out("nhs", days=14)
    hand_out_with_a_password(world, "locked")
    world.operator_starts()
    world.operator.settle(reconciles=MANY + 2)
    world.all_is_delivered()
    assert [each for each in world.team.items("ClientCertificate") if each["status"]["phase"] == "Pending"] == []
    world.operator_stops()
    writes = len(world.api_server.writes)
    assert writes >= MANY
    world.operator_starts("--resync", f"{RESYNC_SECONDS}s")
    world.is_fixed()
    world.operator.settle(reconciles=MANY + 2)
    world.all_is_delivered()
    until(lambda: reads_no_secret_for(world, RETRY_SECONDS), seconds=4 * RETRY_SECONDS)
    assert len(world.api_server.writes) == writes
    assert world.notified("nhs", "team") == 1


def hand_out_with_a_password(world: World, name: str) -> None:
    issued = world.team.issue(name, days=100)
    world.team.apply(
        secret(f"{name}-cert", client_p12=issued.pkcs12("correct horse")),
        secret(f"{name}-password", password="correct horse"),
    )
    password = {"name": f"{name}-password", "key": "password"}
    world.declare(name, issued, source=in_secret(f"{name}-cert", "client.p12", password))


def reads_no_secret_for(world: World, seconds: float) -> bool:
    before = reads_of_secrets(world)
    world.waits(seconds)
    return reads_of_secrets(world) == before


def reads_of_secrets(world: World) -> int:
    return sum("/secrets/" in passage.path for passage in world.api_server.passages)
