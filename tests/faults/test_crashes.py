"""Row 7: after a kill before or after any write or send, nothing is lost, and only messages in flight are repeated."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.control_plane.team import DAY, Team
from tests.faults.crash_enumeration import (
    RENEWED,
    SCRIPT,
    SENDS,
    SLOWEST_SEND,
    Outcome,
    Shared,
    channels_of,
    run_script,
)
from tests.faults.kill_switch import MAILS, SIDES, Point
from tests.faults.scenario import row
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane
from tools.slack_server import SlackServer

Count = Callable[[str, object], None]

MOST_POINTS = 80
"""Twice the number of writes and sends in one run."""
AT_ONCE = 6
"""Concurrent runs, which mostly wait for Slack's rate limit."""
FEWEST_POINTS = 24
"""A run has more; the exact number depends on which channels are recorded together."""
STEP = 7
UNDISTURBED = Point(0, "before")
OF_MAILS = (Point(2, "before", MAILS), Point(SENDS, "after", MAILS))
"""Always in the sample."""


@pytest.fixture(scope="module")
def shared(
    control_plane: ControlPlane, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shared]:
    points = [SLOWEST_SEND, *OF_MAILS, *(Point(number, side) for number in range(MOST_POINTS) for side in SIDES)]
    channel_names = [channel_name for point in points for channel_name in channels_of(point)]
    with SlackServer(channels=channel_names).start() as slack:
        team = Team(control_plane, "", slack, authority)
        begins, ends = team.began - 300 * DAY, team.began + 20 * DAY
        old = {name: authority.issue(name, begins, ends) for name in SCRIPT}
        new = authority.issue(RENEWED, begins, team.began + 365 * DAY)
        yield Shared(team, tmp_path_factory.mktemp("runs"), old, new)


@pytest.mark.slow
@row(7, "killed before or after a write or send, every seventh of one script")
def test_some_kills(shared: Shared, record_property: Count) -> None:
    """A sample of the whole script, alternating before and after; two mails; and before the slowest send."""
    points = [Point(number, SIDES[index % 2]) for index, number in enumerate(range(1, FEWEST_POINTS, STEP))]
    outcomes = _outcomes(shared, [UNDISTURBED, *points, *OF_MAILS, SLOWEST_SEND])
    assert [point for point, outcome in outcomes.items() if not outcome.killed] == [UNDISTURBED]
    _show(outcomes, record_property)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@row(7, "killed before and after every single write and send of one script")
def test_every_kill(shared: Shared, record_property: Count) -> None:
    """From the first point on, until a run ends before its kill."""
    points = [Point(number, side) for number in range(1, FEWEST_POINTS) for side in SIDES]
    outcomes = _outcomes(shared, [UNDISTURBED, *points])
    number = FEWEST_POINTS
    while any(outcomes[Point(number - 1, side)].killed for side in SIDES):
        outcomes |= _outcomes(shared, [Point(number, side) for side in SIDES])
        number += 1
    _show(outcomes, record_property)


def _outcomes(shared: Shared, points: Sequence[Point]) -> dict[Point, Outcome]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(points, pool.map(lambda point: run_script(shared, point), points), strict=True))


def _show(outcomes: dict[Point, Outcome], count: Count) -> None:
    undisturbed = outcomes[UNDISTURBED]
    killed = [outcome for outcome in outcomes.values() if outcome.killed]
    duplicates, lost = sum(outcome.duplicates for outcome in killed), sum(len(outcome.lost) for outcome in killed)
    in_flight = sum(len(outcome.in_flight) for outcome in killed)
    count("counted", (duplicates, lost, None))
    count("rows", [(7, f"killed before or after a write or send: {len(killed)} points, {in_flight} sends in flight")])
    assert undisturbed.duplicates == 0
    assert [
        f"killed {point.side} {point.counted}{point.number}: {fault}"
        for point, outcome in outcomes.items()
        for fault in outcome.faults(undisturbed)
    ] == []
