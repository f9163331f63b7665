"""Row 7 for renewals: after a kill at any write or send one certificate is recorded and handed out, and it goes on.

On the real servers a selection, and in `make soak` every point. On virtual time (`tests/unit/engine/renewal_world.py`)
every point of four scripts, each pair of points of one of them, and every event in every state with a kill after it.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.control_plane.operators import OWN_CHANNEL
from tests.control_plane.team import Team
from tests.faults.kill_switch import MAILS, SIDES, Point
from tests.faults.renewal_crashes import (
    AT_APPROVAL,
    AUTOMATIC,
    BY_HAND,
    KEY,
    MANUAL,
    POLICIES,
    REQUEST,
    Outcome,
    Shared,
    run_pair,
    run_script,
)
from tests.faults.scenario import row
from tests.unit.engine.renewal_events import STATES, happens
from tests.unit.engine.renewal_scripts import SCRIPTS, renew
from tests.unit.engine.renewal_world import Kill
from tests.unit.engine.test_renewal_events import OUTCOMES, outcome
from tests.virtual_time import VirtualTimeLoop
from tools.certificates import CertificateAuthority
from tools.control_plane import ControlPlane, S3Server
from tools.control_plane.s3_client import S3Client
from tools.slack_server import SlackServer

Count = Callable[[str, object], None]

UNDISTURBED = Point(0, "before")
STATUS, SOURCE = f"/certificaterenewals/{REQUEST}/status", KEY
SELECTION: tuple[tuple[str, Point], ...] = (
    (MANUAL, Point(2, "after", STATUS)),  # the write-ahead, or the receipt before it
    (MANUAL, Point(4, "before", STATUS)),
    (MANUAL, Point(1, "after", MAILS)),  # the receipt
    (MANUAL, Point(2, "after", MAILS)),  # the certificate
    (MANUAL, Point(1, "after", SOURCE)),
    (AUTOMATIC, Point(2, "before", STATUS)),  # the certificate
    (AUTOMATIC, Point(1, "before", SOURCE)),
    (BY_HAND, Point(4, "after", STATUS)),
)
AT_ONCE = 3
FEWEST_POINTS = 14
PAIRED = "CSR with proof, Automatic, Secret"


@pytest.fixture(scope="module")
def shared(
    control_plane: ControlPlane, s3: tuple[S3Server, S3Client], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shared]:
    authority = CertificateAuthority.create("Client CA", organization="The Team")
    with SlackServer(channels=(OWN_CHANNEL,)).start() as slack:
        yield Shared(Team(control_plane, "", slack, authority), *s3, authority, tmp_path_factory.mktemp("renewals"))


class TestOnRealServers:
    @pytest.mark.slow
    @row(7, "killed before or after a write or send of a renewal, a selection")
    def test_some_kills(self, shared: Shared, record_property: Count) -> None:
        """Around the write-ahead, the certificate, the mails and the source."""
        scripts = dict.fromkeys(script for script, _ in SELECTION)
        runs = [*((script, UNDISTURBED) for script in scripts), *SELECTION]
        outcomes = _outcomes(shared, runs)
        assert [run for run, found in outcomes.items() if not found.killed] == runs[: len(scripts)]
        _show(outcomes, record_property)

    @pytest.mark.soak
    @pytest.mark.timeout(3600)
    @pytest.mark.parametrize("script", POLICIES)
    @row(7, "killed before and after every single write and send of a renewal")
    def test_every_kill(self, shared: Shared, script: str, record_property: Count) -> None:
        """From the first point on, until a run ends before its kill."""
        outcomes = _outcomes(shared, [(script, UNDISTURBED)])
        first, last = 1, FEWEST_POINTS
        while True:
            points = [(script, Point(number, side)) for number in range(first, last + 1) for side in SIDES]
            outcomes |= found if (found := _outcomes(shared, points)) else {}
            if not any(found[script, Point(last, side)].killed for side in SIDES):
                break
            first, last = last + 1, last + 2
        _show(outcomes, record_property)


STANDBY: tuple[tuple[str, Point], ...] = (
    (MANUAL, AT_APPROVAL),
    (MANUAL, Point(2, "after", STATUS)),  # the write-ahead, or the receipt before it
    (AUTOMATIC, Point(2, "before", STATUS)),  # between the write-ahead and the certificate
    (MANUAL, Point(2, "before", MAILS)),  # between the certificate and its delivery
    (MANUAL, Point(2, "after", MAILS)),
    (AUTOMATIC, Point(1, "after", SOURCE)),
)


class TestTwoReplicas:
    """The leader is killed, and its Lease expires: the standby has watched, and goes on."""

    @pytest.mark.soak
    @pytest.mark.timeout(900)
    @row(7, "the leader killed in a renewal, and the standby goes on")
    def test_the_standby_goes_on(self, shared: Shared, record_property: Count) -> None:
        """One certificate is recorded and mailed, and the source is written once."""
        scripts = dict.fromkeys(script for script, _ in STANDBY)
        outcomes = _outcomes(shared, [(script, UNDISTURBED) for script in scripts])
        outcomes |= {(script, point): run_pair(shared, script, point) for script, point in STANDBY}
        _show(outcomes, record_property)


class TestOnVirtualTime:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", SCRIPTS)
    @row(7, "killed before and after every write and send of a renewal, on virtual time")
    def test_every_kill(self, name: str, record_property: Count) -> None:
        """Until a run ends before its kill."""
        found, points = dict[Kill, list[str]](), 0
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            for number in range(1, 100):
                killed = 0
                for side in SIDES:
                    world, faults = runner.run(renew(SCRIPTS[name], [Kill(number, side)]))
                    killed, points = killed + world.killed, points + world.killed
                    found |= {Kill(number, side): faults} if faults else {}
                if not killed:
                    break
        _tell(record_property, f"killed in a renewal on virtual time, {name}: {points} points")
        assert found == {}

    @pytest.mark.soak
    @pytest.mark.timeout(3600)
    @row(7, "killed twice, at every pair of writes and sends of a renewal, on virtual time")
    def test_every_pair_of_kills(self, record_property: Count) -> None:
        """The process that follows the first kill is killed, too."""
        found, pairs = dict[tuple[Kill, Kill], list[str]](), 0
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            for first in _points():
                was_killed = False
                for second in _points():
                    world, faults = runner.run(renew(SCRIPTS[PAIRED], [first, second]))
                    was_killed = was_killed or world.killed > 0
                    pairs += world.killed == 2
                    found |= {(first, second): faults} if faults else {}
                    if world.killed < 2:
                        break
                if not was_killed:
                    break
        _tell(record_property, f"killed twice in a renewal on virtual time: {pairs} pairs")
        assert found == {}

    @pytest.mark.slow
    @pytest.mark.parametrize("state", STATES)
    @row(7, "killed after every event in every state of a renewal, on virtual time")
    def test_a_kill_after_each_event(self, state: str) -> None:
        """Source, CA, policy, certificate or request changed while the request was in this state."""
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            for event, expected in OUTCOMES.items():
                world = runner.run(happens(state, event, restart=True))
                assert outcome(world, expected[state].condition) == expected[state], event.__name__


def _points() -> Iterator[Kill]:
    return (Kill(number, side) for number in range(1, 100) for side in SIDES)


def _outcomes(shared: Shared, runs: Sequence[tuple[str, Point]]) -> dict[tuple[str, Point], Outcome]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(runs, pool.map(lambda run: run_script(shared, *run), runs), strict=True))


def _show(outcomes: dict[tuple[str, Point], Outcome], count: Count) -> None:
    killed = [found for found in outcomes.values() if found.killed]
    repeated, in_flight = sum(found.repeated for found in killed), sum(found.in_flight for found in killed)
    count("counted", (repeated, 0, None))
    scripts = ", ".join(dict.fromkeys(script for script, _ in outcomes))
    _tell(count, f"killed in a renewal ({scripts}): {len(killed)} points, {in_flight} mails in flight")
    undisturbed = {script: found for (script, point), found in outcomes.items() if point == UNDISTURBED}
    assert [found.repeated for found in undisturbed.values()] == [0] * len(undisturbed)
    assert [
        f"{script}, killed {point.side} {point.counted}{point.number}: {fault}"
        for (script, point), found in outcomes.items()
        for fault in found.faults(undisturbed[script])
    ] == []


def _tell(count: Count, words: str) -> None:
    """One line of the table, and of the output."""
    print(words)
    count("rows", [(7, words)])
