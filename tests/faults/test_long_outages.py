"""Row 1 again, for the time that a replacement of an API server takes: `make soak`."""

import pytest

from tests.control_plane.waiting import eventually
from tests.faults.scenario import World, row

OUTAGE_SECONDS = 300
BACK_SECONDS = 10


@pytest.mark.soak
@pytest.mark.timeout(2 * OUTAGE_SECONDS)
@pytest.mark.parametrize("elected", [True, False], ids=["refused, elected", "503, alone"])
@row(1, "API server away for 5 min (refused, with leader election; 503, without); three alerts fall due meanwhile")
def test_the_api_server_is_unavailable_for_minutes(world: World, elected: bool) -> None:
    """Nothing is lost or repeated, and within ten seconds after its return all is sent, recorded, and healthy."""
    operator = world.operator_starts(elected=elected)
    for name, seconds in {"nhs": 30, "moj": 130, "dwp": 290}.items():
        world.hand_out(name, days=14, falls_due_in=seconds)
    world.all_is_delivered()
    if elected:
        world.api_server.refuse()
    else:
        world.api_server.answer(503)
    world.waits(OUTAGE_SECONDS)
    world.renew("moj")
    world.fault_ends()
    world.all_is_delivered(within=BACK_SECONDS)
    assert operator.process.process.returncode is None
    for name in ("nhs", "moj", "dwp"):
        eventually(lambda name=name: world.team.condition(name, "AlertsDelivered")[0], "True")
