"""Rows 1 to 6: the API server is away, refuses, forgets, or says nothing any more."""

from tests.faults.scenario import World, row


@row(1, "API server refuses connections for 5 s; alerts fall due meanwhile")
def test_connections_are_refused(world: World) -> None:
    """What falls due meanwhile is sent, or waits; nothing is lost or repeated."""
    world.operator_starts()
    world.hand_out("nhs", days=14, falls_due_in=8)
    world.hand_out("moj", days=5)
    world.all_is_told()
    world.api_server.refuse()
    world.passes(5, until_due="nhs")
    world.fault_ends()
    world.all_is_told(within=10)
