"""Slack or the API server fails during a digest: the digest is repeated only if its answer was lost."""

from dataclasses import dataclass

import pytest
from aiohttp import web

from tests.faults.many import MANY, all_are_in_one_message, digests, many_are_due, recorded, sizes
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
    """The retry is one message for all; it is a repetition only if the answer was lost."""
    world.workspace.fail_next(*faults, place=f"#{TEAM}")
    world.operator_starts()
    world.is_fixed()
    all_are_in_one_message(world, again=again)
    assert recorded(world) == [max(sizes(world))]


@dataclass(frozen=True)
class Refusal:
    """The failure of the write that records a digest in its policy."""

    status: int = 0
    """0 closes the connection."""
    passes: bool = False
    """The write arrives, and only its answer is lost."""
    times: int | None = 1
    written: bool = True
    """True if the policy records the digest in the end; otherwise only the certificates do."""

    def is_active_after_the_digest(self, world: World) -> None:
        """The failure starts when the digest was sent; before that, the policy has its status."""

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
def test_the_policy_status_cannot_be_written(world: World, refusal: Refusal) -> None:
    """No alert is repeated: the certificates record it themselves, also over a restart."""
    refusal.is_active_after_the_digest(world)
    world.operator_starts()
    world.is_fixed()
    all_are_in_one_message(world)
    assert recorded(world) == ([max(sizes(world))] if refusal.written else [])
    world.fault_ends()
    world.operator_stops()
    world.operator_starts().settle(reconciles=MANY)
    all_are_in_one_message(world)
