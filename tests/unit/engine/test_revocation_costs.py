"""The lists of thousands of revocations are computed in threads: the event loop of all others does little."""

from clientcert.cache.revocations import REVOCATION_LISTS
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import DAY
from tests.instructions import Counted
from tests.simulation.api_server import NAMESPACE
from tests.unit.engine.renewal_scripts import BEGINS, SCRIPTS
from tests.unit.engine.renewal_world import World

FEW, MANY = 100, 2100
MOST_FOR_EACH = 150
"""Instructions of the event loop. The lines, entries and conditions of one revocation take thousands."""


def body(number: int) -> dict[str, object]:
    name = f"many-{number}"
    metadata = {"namespace": NAMESPACE, "name": name, "uid": name, "generation": 1, "resourceVersion": "1"}
    spec = {
        "issuerDN": "CN=Integration CA,O=Example",
        "serialNumber": f"{number + 1:x}",
        "consumer": "nhs",
        "reason": "Superseded",
        "revocationTime": f"{BEGINS - DAY:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": f"{BEGINS + 100 * DAY:%Y-%m-%dT%H:%M:%SZ}",
    }
    return {"metadata": metadata, "spec": spec}


async def instructions(count: int) -> int:
    """Of the event loop, in one pass over so many that the lists have already."""
    world = World(BEGINS)
    SCRIPTS["public key, CASecret, approved, S3, mail"].declare(world)
    await world.let_pass(5.0)
    engine = world.process.engine
    await world.stop()
    for number in range(count):
        engine.cache.revocations.upsert(body(number))
    world.process.is_dead = False
    lists, key = engine.reconcilers[REVOCATION_LISTS], ObjectKey(NAMESPACE, "")
    await lists.reconcile(key)
    lists.begin_term()
    with Counted() as counted:
        await lists.reconcile(key)
    return counted.instructions


async def test_the_event_loop_does_little_for_each() -> None:
    few, many = await instructions(FEW), await instructions(MANY)
    assert (many - few) / (MANY - FEW) < MOST_FOR_EACH
