"""Slack or the API server fails around one message for many: it comes twice only where its answer was lost."""

from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.faults.many import MANY, all_are_told_at_once, digests, many_are_due, recorded, sizes
from tests.faults.scenario import POLICY, TEAM, World, row
from tools.slack_server import Fault

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _many(world: World) -> None:
    many_are_due(world)


@row(10, "Slack answers a digest of 30 with 429 or 500, breaks off before or after it has taken it, or is silent")
@pytest.mark.parametrize(
    ("faults", "again"),
    [
        pytest.param([Fault.rate_limited(3)], False, id="429"),
        pytest.param([Fault.http(500)], False, id="500"),
        pytest.param([Fault.cut_off()], False, id="breaks off"),
        pytest.param([Fault(delay=14.0, cut=True)], False, id="is silent"),
        pytest.param([Fault.cut_off().once_accepted()], True, id="takes it and breaks off"),
    ],
)
def test_slack_fails(world: World, faults: list[Fault], again: bool) -> None:
    """All are tried again together, as one message; it comes twice only where its answer was lost."""
    world.workspace.fail_next(*faults, place=f"#{TEAM}")
    world.operator_starts()
    world.mended()
    all_are_told_at_once(world, again=again)
    assert recorded(world) == [max(sizes(world))]


@dataclass(frozen=True)
class Refusal:
    """What becomes of the write of a digest on its policy."""

    status: int = 0
    """0: the connection is cut."""
    passes: bool = False
    """It arrives, and only its answer is lost."""
    times: int | None = 1
    written: bool = True
    """Whether the policy says so in the end; else the certificates alone do."""

    def happens(self, world: World) -> None:
        """From the moment on when the digest was sent; before it, the policy has a status of its own."""

        def of_the_digest(request: web.Request) -> bool:
            is_status = request.path.endswith(f"/certificatepolicies/{POLICY}/status")
            return request.method == "PATCH" and is_status and bool(digests(world))

        if self.status:
            world.api_server.answer(self.status, when=of_the_digest, times=self.times)
        else:
            world.api_server.cut(when=of_the_digest, times=self.times, passes=self.passes)


@row(3, "a digest of 30 cannot be recorded in its policy: 409, 500, cut off before or after it was written")
@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(Refusal(409), id="409 once"),
        pytest.param(Refusal(409, times=None, written=False), id="409 for ever"),
        pytest.param(Refusal(500, times=None, written=False), id="500"),
        pytest.param(Refusal(times=None, written=False), id="cut off"),
        pytest.param(Refusal(passes=True), id="written, and its answer lost"),
    ],
)
def test_the_policy_is_not_written(world: World, refusal: Refusal) -> None:
    """Nobody is told again: the certificates say it themselves, over a restart, too."""
    refusal.happens(world)
    world.operator_starts()
    world.mended()
    all_are_told_at_once(world)
    assert recorded(world) == ([max(sizes(world))] if refusal.written else [])
    world.fault_ends()
    world.operator_stops()
    world.operator_starts().settle(looks=MANY)
    all_are_told_at_once(world)
