"""Two replicas, one leader: both watch, one acts, and the other takes over without loss or repetition."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.control_plane.operators import LEASE, OWN_CHANNEL, Operator, Operators, with_slack
from tests.control_plane.sentences import expiring
from tests.control_plane.team import Team
from tests.control_plane.waiting import eventually, until
from tests.forked import forked_operator
from tools.control_plane import ControlPlane, OperatorProcess

LEASE_SECONDS = 30
FIRST_SECONDS = 60.0
"""A new leader first reads the writes of the other; a busy API server may take 20 seconds for that."""


@pytest.fixture
def replicas(operators: Operators) -> Iterator[list[Operator]]:
    """Two processes of one installation; the first leads."""
    with started(operators) as first:
        until(lambda: leads(first))
        with started(operators) as second:
            yield [first, second]


@contextmanager
def started(operators: Operators) -> Iterator[Operator]:
    process = OperatorProcess.start(
        operators.control_plane,
        directory=operators.directory,
        args=["--log-format", "text"],
        env=with_slack(operators.slack),
        launch=forked_operator,
    )
    try:
        yield Operator(process)
    finally:
        process.stop()
        print(
            process.log_text()
        )  # shown with a failing test: the interaction of two processes is not visible from outside


def leads(operator: Operator) -> bool:
    return operator.metric("clientcert_leader") == 1


def test_only_the_leader_acts(team: Team, replicas: list[Operator]) -> None:
    """Both are ready and watch; only one writes, sends and exposes the series of certificates."""
    leader, standby = replicas
    team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20)], FIRST_SECONDS)
    assert [replica.get("/readyz")[0] for replica in replicas] == [200, 200]
    assert [replica.get("/healthz")[0] for replica in replicas] == [200, 200]
    assert len(leader.series("clientcert_certificate_info", namespace=team.namespace)) == 1
    assert standby.series("clientcert_certificate_info") == []
    assert (leads(leader), leads(standby), standby.reconciles) == (True, False, 0)


def test_sigterm_hands_over_at_once(team: Team, replicas: list[Operator]) -> None:
    """The leader finishes its work and releases the Lease; the other does not wait for its end.

    The bench measures how soon (P5).
    """
    leader, standby = replicas
    team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20)])
    signalled = time.monotonic()
    assert leader.process.stop() == 0
    until(lambda: leads(standby))
    assert time.monotonic() - signalled < LEASE_SECONDS
    team.hand_out("moj", days=10)
    eventually(lambda: team.notified("moj", OWN_CHANNEL), [expiring("moj", 10)])
    assert team.notified("nhs", OWN_CHANNEL) == [expiring("nhs", 20)]


def test_takeover_after_sigkill_when_the_lease_expires(team: Team, replicas: list[Operator]) -> None:
    """The Lease was not released: it is free when it expires, and nothing is sent twice."""
    leader, _ = replicas
    team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20)])
    eventually(lambda: team.channel("nhs", "operator/slack").get("stage"), 20)
    leader.process.kill()
    team.hand_out("moj", days=10)
    eventually(lambda: team.notified("moj", OWN_CHANNEL), [expiring("moj", 10)], seconds=2 * LEASE_SECONDS)
    assert team.notified("nhs", OWN_CHANNEL) == [expiring("nhs", 20)]


def test_a_leader_stops_when_another_holds_the_lease(
    team: Team, replicas: list[Operator], control_plane: ControlPlane
) -> None:
    """A manual change of the Lease's holder ends the leader's term at its next renewal."""
    leader, standby = replicas
    taken = {"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 2}}
    control_plane.api.request("PATCH", LEASE, taken, content_type="application/merge-patch+json")
    until(lambda: not leads(leader), seconds=10)
    until(lambda: leads(leader) or leads(standby), seconds=15)
    assert not (leads(leader) and leads(standby))
    team.hand_out("nhs", days=20)
    eventually(lambda: team.notified("nhs", OWN_CHANNEL), [expiring("nhs", 20)])
