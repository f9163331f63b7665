"""Row 7: killed just before or after any write or send, nothing is lost, and only what was in flight is repeated."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.control_plane.team import DAY, Team
from tests.faults.kill_switch import MAILS, SIDES, Point
from tests.faults.lives import Theatre, channels_of, live
from tests.faults.plot import PLOT, RENEWED, SENDS, SLOWEST_SEND, Life
from tests.faults.scenario import row
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane
from tools.slack_server import SlackServer

Count = Callable[[str, object], None]

MOST_POINTS = 80
"""Twice as many as there are writes and sends in one life."""
AT_ONCE = 6
"""Lives: they mostly wait for Slack's pace."""
FEWEST_POINTS = 24
"""A life has more; how many depends on which channels are recorded together."""
STEP = 7
UNDISTURBED = Point(0, "before")
OF_MAILS = (Point(2, "before", MAILS), Point(SENDS, "after", MAILS))
"""Of the sample, whatever else it hits."""


@pytest.fixture(scope="module")
def theatre(
    control_plane: ControlPlane, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theatre]:
    points = [SLOWEST_SEND, *OF_MAILS, *(Point(number, side) for number in range(MOST_POINTS) for side in SIDES)]
    places = [place for point in points for place in channels_of(point)]
    with SlackServer(channels=places).start() as slack:
        team = Team(control_plane, "", slack, authority)
        begins, ends = team.began - 300 * DAY, team.began + 20 * DAY
        old = {name: authority.issue(name, begins, ends) for name in PLOT}
        new = authority.issue(RENEWED, begins, team.began + 365 * DAY)
        yield Theatre(team, tmp_path_factory.mktemp("lives"), old, new)


@pytest.mark.slow
@row(7, "killed before or after a write or send, every seventh of one plot")
def test_some_kills(theatre: Theatre, record_property: Count) -> None:
    """A sample, spread over the whole plot, by turns before and after; two mails; and before the slowest send."""
    points = [Point(number, SIDES[index % 2]) for index, number in enumerate(range(1, FEWEST_POINTS, STEP))]
    lives = _lived(theatre, [UNDISTURBED, *points, *OF_MAILS, SLOWEST_SEND])
    assert [point for point, life in lives.items() if not life.killed] == [UNDISTURBED]
    _show(lives, record_property)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@row(7, "killed before and after every single write and send of one plot")
def test_every_kill(theatre: Theatre, record_property: Count) -> None:
    """From the first on, until a life is through before its turn to be killed comes."""
    points = [Point(number, side) for number in range(1, FEWEST_POINTS) for side in SIDES]
    lives = _lived(theatre, [UNDISTURBED, *points])
    number = FEWEST_POINTS
    while any(lives[Point(number - 1, side)].killed for side in SIDES):
        lives |= _lived(theatre, [Point(number, side) for side in SIDES])
        number += 1
    _show(lives, record_property)


def _lived(theatre: Theatre, points: Sequence[Point]) -> dict[Point, Life]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(points, pool.map(lambda point: live(theatre, point), points), strict=True))


def _show(lives: dict[Point, Life], count: Count) -> None:
    undisturbed = lives[UNDISTURBED]
    killed = [life for life in lives.values() if life.killed]
    duplicates, lost = sum(life.duplicates for life in killed), sum(len(life.lost) for life in killed)
    in_flight = sum(len(life.in_flight) for life in killed)
    count("counted", (duplicates, lost, None))
    count("rows", [(7, f"killed before or after a write or send: {len(killed)} points, {in_flight} sends in flight")])
    assert undisturbed.duplicates == 0
    assert [
        f"killed {point.side} {point.counted}{point.number}: {fault}"
        for point, life in lives.items()
        for fault in life.faults(undisturbed)
    ] == []
