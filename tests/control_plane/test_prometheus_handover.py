"""A real Prometheus scrapes two replicas while one takes over from the other: no alert resolves, and none is new."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control_plane.operators import Operator, Operators
from tests.control_plane.revoking import Revoker
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import certificate_policy, slack_channel
from tools.prometheus import PrometheusBinaries, PrometheusServer, render_rules

FIRING = 'ALERTS{alertstate="firing"}'
EXPECTED = {
    ("ClientCertAlertUndelivered", "lost"),
    ("ClientCertExpired", "expired"),
    ("ClientCertExpiring", "soon"),
    ("ClientCertExpiringCritical", "lost"),
    ("ClientCertPolicyProblem", "unusable"),
    ("ClientCertSourceUnreadable", "missing"),
}
AFTERWARDS_SECONDS = 5.0
LEASE_SECONDS = 45.0


@pytest.fixture
def replicas(team: Team, operators: Operators) -> Iterator[list[Operator]]:
    """Two processes of one installation, which serves the team alone; the first leads."""
    processes = [operators.started(team.namespace)]
    until(lambda: leads(Operator(processes[0])))
    processes.append(operators.started(team.namespace))
    yield [Operator(each) for each in processes]
    for each in processes:
        each.stop()


def leads(operator: Operator) -> bool:
    return operator.metric("clientcert_leader") == 1


def make_fleet(team: Team) -> None:
    team.apply(
        certificate_policy("at-once", sourceGrace="0s"),
        certificate_policy("nowhere", slack_channel("team", "#nowhere")),
    )
    Revoker(team).declare_policy("unusable", ca="absent")
    team.hand_out("expired", days=-1)
    team.hand_out("soon", days=20, owner="integration-team")
    team.hand_out("lost", days=3, policyRef={"name": "nowhere"})
    team.hand_out("retired", days=2, silence={"until": "2099-12-24T00:00:00Z", "reason": "retired"})
    team.hand_out("valid", days=300)
    team.declare("missing", policyRef={"name": "at-once"})


def impatient_rules() -> str:
    """The rules as they are, but for the minutes that each waits before it fires."""
    return re.sub(r"for: \d+m", "for: 2s", render_rules())


def alerts(server: PrometheusServer) -> set[tuple[str, str]]:
    return {(each.labels["alertname"], each.labels.get("name", "")) for each in server.query(FIRING)}


def watched(server: PrometheusServer, begin: float) -> dict[tuple[str, str], list[float]]:
    """By alert: the seconds since `begin` in which it was firing. Each has one series."""
    found = {}
    for labels, times in server.history(FIRING, begin, time.time()).items():
        each = json.loads(labels)
        key = each["alertname"], each.get("name", "")
        assert key not in found
        found[key] = [round(moment - begin) for moment in times]
    return found


def scraping(replicas: list[Operator], directory: Path) -> PrometheusServer:
    targets = [each.process.url.removeprefix("http://") for each in replicas]
    return PrometheusServer.start(directory, targets, impatient_rules())


def test_no_alert_resolves_when_the_leader_is_stopped(
    team: Team, replicas: list[Operator], prometheus_binaries: PrometheusBinaries, tmp_path: Path
) -> None:
    leader, standby = replicas
    make_fleet(team)
    with scraping(replicas, tmp_path / "prometheus") as server:
        eventually(lambda: alerts(server), EXPECTED)
        begin = time.time()
        leader.process.stop()
        until(lambda: leads(standby))
        assert_goes_on(server, begin)


@pytest.mark.soak
def test_no_alert_resolves_when_the_leader_is_killed(
    team: Team, replicas: list[Operator], prometheus_binaries: PrometheusBinaries, tmp_path: Path
) -> None:
    """Half a minute without a leader, and so without a series of any object."""
    leader, standby = replicas
    make_fleet(team)
    with scraping(replicas, tmp_path / "prometheus") as server:
        eventually(lambda: alerts(server), EXPECTED)
        begin = time.time()
        leader.process.kill()
        until(lambda: not server.query("clientcert_certificate_info"))
        until(lambda: leads(standby), seconds=LEASE_SECONDS)
        assert_goes_on(server, begin)


def assert_goes_on(server: PrometheusServer, begin: float) -> None:
    """The same alerts fire in each second, also some seconds after the new leader was scraped."""
    until(lambda: server.query("clientcert_certificate_info"))
    time.sleep(AFTERWARDS_SECONDS)
    found = watched(server, begin)
    seconds = max(len(times) for times in found.values())
    assert seconds >= AFTERWARDS_SECONDS
    assert {key: len(times) for key, times in found.items()} == dict.fromkeys(EXPECTED, seconds)
