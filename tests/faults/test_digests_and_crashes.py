"""The process ends during a digest: the digest is repeated at most once, and no member is left out."""

from collections.abc import Callable

import pytest
from aiohttp import web

from tests.control_plane.waiting import until
from tests.faults.many import MANY, all_are_in_one_message, digests, many_are_due
from tests.faults.proxy import FaultyProxy
from tests.faults.replicas import Pair
from tests.faults.scenario import TEAM, World, row
from tools.slack_server import Fault

pytestmark = pytest.mark.slow

LEASE_SECONDS = 30
SLOW_SECONDS = 8.0
NEVER_SECONDS = 600.0


@pytest.fixture(autouse=True)
def _many(world: World) -> None:
    many_are_due(world)


def are_grouped(world: World) -> bool:
    try:
        return world.operator.metric("clientcert_notifications_waiting", reason="digest") > 0
    except OSError:
        return False  # it does not listen yet


@row(7, "SIGTERM while 30 wait for each other, while Slack takes five seconds for their digest, and after it")
@pytest.mark.parametrize(
    ("answer_takes", "moment"),
    [(0.0, are_grouped), (5.0, digests), (0.0, digests)],
    ids=["they gather", "Slack is slow", "it was sent"],
)
def test_a_stop(world: World, answer_takes: float, moment: Callable[[World], object]) -> None:
    """A send in progress is finished and recorded; one that was not started stays due."""
    world.workspace.fail_always(Fault.slow(answer_takes), place=f"#{TEAM}")
    world.operator_starts(ready=False)
    until(lambda: moment(world))
    world.operator_stops()
    world.fault_ends()
    world.operator_starts()
    all_are_in_one_message(world)


@row(7, "killed when a digest of 30 was sent, when the policy says so, and when some certificates do")
@pytest.mark.parametrize(
    ("moment", "again"), [("sent", True), ("in the policy", False), ("in some certificates", False)]
)
def test_a_kill(world: World, moment: str, again: bool) -> None:
    """The digest is repeated if no record of it exists yet; otherwise nothing is."""
    held = block_at(world, world.api_server, moment)
    world.operator_starts(elected=False)
    until(held)
    world.operator_is_killed()
    world.fault_ends()
    world.operator_starts(elected=False)
    all_are_in_one_message(world, again=again)


@row(8, "the leader of two replicas is killed when a digest of 30 was sent, and when the policy says so")
@pytest.mark.parametrize(("moment", "again"), [("sent", True), ("in the policy", False)])
def test_the_leader_is_killed(world: World, pair: Pair, moment: str, again: bool) -> None:
    """The other replica reads from the policy what was sent, and sends the rest."""
    world.workspace.fail_always(Fault.slow(SLOW_SECONDS), place=f"#{TEAM}")
    leader, other = pair.starts()
    held = block_at(world, leader.api_server, moment)
    until(held)
    assert leader.leads
    leader.is_killed()
    world.fault_ends()
    until(lambda: other.leads, seconds=LEASE_SECONDS + 10)
    all_are_in_one_message(world, again=again)


def block_at(world: World, api_server: FaultyProxy, moment: str) -> Callable[[], bool]:
    """Block all progress beyond this moment; return a function that tells if it was reached."""
    if moment == "sent":
        world.workspace.fail_always(Fault.slow(SLOW_SECONDS), place=f"#{TEAM}")
        return lambda: bool(digests(world))
    may_pass = {"in the policy": 0, "in some certificates": MANY // 3}[moment]
    statuses: list[str] = []

    def is_one_too_many(request: web.Request) -> bool:
        if request.method == "PATCH" and "/clientcertificates/" in request.path and digests(world):
            statuses.append(request.path)
            return len(statuses) > may_pass
        return False

    api_server.delay(NEVER_SECONDS, when=is_one_too_many)
    return lambda: len(statuses) > may_pass
