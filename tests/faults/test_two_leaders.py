"""Row 8: two replicas. Whatever happens to the leader, the other goes on, and at no time do two of them send."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from clientcert.lifecycle.declaration import ObjectKey
from clientcert.lifecycle.recorded import ChannelRecord
from clientcert.notifiers.slack_details import LAST_SECONDS
from clientcert.reconcile.deliveries import remembered
from clientcert.reconcile.store import Store
from tests.control_plane.operators import Operator
from tests.control_plane.waiting import until
from tests.faults.conftest import before
from tests.faults.proxy import FaultyProxy
from tests.faults.scenario import World, row, seen_through
from tests.scenarios import client_certificate
from tools.control_plane import ApiError, ControlPlane
from tools.slack_server import Fault

LEASE = "/apis/coordination.k8s.io/v1/namespaces/clientcert-system/leases/clientcert-operator"
LEASE_SECONDS = 30
HAND_OVER_SECONDS = 2.0
QUEUE = [f"consumer-{number}" for number in range(10)]
"""At one alert every two seconds a channel is busy with these for as long as anything here takes to go wrong."""
NEVER_SECONDS = 600.0
KEY, FINGERPRINT = ObjectKey("team", "nhs"), "ab" * 32


@dataclass
class Replica:
    """One operator of the two, with proxies that see it alone."""

    world: World
    api_server: FaultyProxy
    slack: FaultyProxy
    operator: Operator

    @property
    def leads(self) -> bool:
        return self.operator.metric("clientcert_leader") == 1

    @property
    def first_act(self) -> float:
        """When it wrote or sent for the first time, which is waited for; of time.monotonic."""
        acts = until(lambda: self.api_server.writes + self.slack.writes)
        return min(each.time for each in acts)

    @property
    def last_send(self) -> float:
        """When it had been answered; of time.monotonic."""
        return self.slack.writes[-1].time

    def stops(self) -> None:
        self.world.operator = self.operator
        self.world.operator_stops()

    def is_killed(self) -> None:
        self.world.operator = self.operator
        self.world.operator_is_killed()


@dataclass
class Pair:
    """The one that leads, and the other."""

    world: World
    control_plane: ControlPlane
    stack: ExitStack

    def starts(self, *flags: str) -> tuple[Replica, Replica]:
        """Two operators, the second with these flags."""
        leader = self._replica()
        until(lambda: leader.leads)
        return leader, self._replica(*flags)

    def _replica(self, *flags: str) -> Replica:
        api_server = self.stack.enter_context(before(self.control_plane))
        slack = self.stack.enter_context(FaultyProxy(self.world.workspace.url).running())
        self.world.control_plane = seen_through(self.control_plane, api_server)
        settings = {"CLIENTCERT_SLACK_API_URL": f"{slack.url}/api/"}
        return Replica(self.world, api_server, slack, self.world.operator_starts(*flags, settings=settings))


@pytest.fixture
def pair(world: World, control_plane: ControlPlane) -> Iterator[Pair]:
    """Not started yet. The Lease is new."""
    try:
        control_plane.api.request("DELETE", LEASE)
    except ApiError as error:
        if error.status != 404:
            raise
    with ExitStack() as stack:
        yield Pair(world, control_plane, stack)
        world.close()  # before their proxies end


def leases(request: web.Request) -> bool:
    return "/leases" in request.path


def queue_up(world: World) -> None:
    """Alerts for half a minute, all into one channel; the first has arrived."""
    world.policy("team")
    for name in QUEUE:
        world.hand_out(name, days=14, channels=("team",))
    until(lambda: sum(world.told(name, "team") for name in QUEUE) >= 2)


@row(8, "the leader gets SIGTERM; the other's clock is three hours ahead")
def test_a_stop_hands_over(world: World, pair: Pair) -> None:
    """Within two seconds of the signal, while messages queue; nothing is lost or repeated."""
    leader, other = pair.starts("--clock-offset=3h")
    queue_up(world)
    told = time.monotonic()
    leader.stops()
    until(lambda: other.leads, seconds=told + HAND_OVER_SECONDS - time.monotonic())
    world.hand_out("moj", days=14, channels=("team",))
    world.all_is_told()
    # The details of the last alert may follow it into its thread: they are the sender's, and nobody else adds them.
    assert leader.last_send < other.first_act + LAST_SECONDS


@pytest.mark.slow
@row(8, "the leader is killed while Slack holds its answers")
def test_a_kill_in_the_middle_of_a_send(world: World, pair: Pair) -> None:
    """The other repeats the two that were in flight when its time comes, and loses nothing."""
    leader, other = pair.starts()
    world.workspace.fail_always(Fault.slow(8))
    world.hand_out("nhs", days=14)
    world.waits_until_told("nhs", "team")
    world.waits_until_told("nhs", "on-call")
    leader.is_killed()
    world.fault_ends()
    world.hand_out("moj", days=5)
    world.all_is_told(within=LEASE_SECONDS + 10, repeats=2)
    assert leader.last_send < other.first_act


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [NEVER_SECONDS, pytest.param(20.0, marks=pytest.mark.soak)])
@row(8, "the leader's renewals hang, while it can still record and send")
def test_a_leader_that_cannot_renew(seconds: float, world: World, pair: Pair) -> None:
    """It stops to send before the other begins, whether its requests arrive late or never; nothing is repeated."""
    leader, other = pair.starts()
    queue_up(world)
    leader.api_server.delay(seconds, when=leases)
    until(lambda: other.leads, seconds=3 * LEASE_SECONDS)
    assert leader.last_send < other.first_act
    world.all_is_told(within=2 * LEASE_SECONDS)
    assert leader.last_send < other.first_act


@pytest.mark.slow
@row(8, "the leader's renewals hang, and Slack takes nine seconds for each message")
def test_a_leader_whose_sends_are_slow(world: World, pair: Pair) -> None:
    """The last send that it starts has ended, too, before the other begins."""
    leader, other = pair.starts()
    queue_up(world)
    world.workspace.fail_always(Fault.slow(9))
    leader.api_server.delay(NEVER_SECONDS, when=leases)
    until(lambda: other.leads, seconds=3 * LEASE_SECONDS)
    first_act = other.first_act
    world.fault_ends()
    world.all_is_told(within=2 * LEASE_SECONDS)
    assert leader.last_send < first_act


@pytest.mark.slow
@pytest.mark.parametrize(("hangs", "repeats"), [(False, 1), pytest.param(True, 3, marks=pytest.mark.soak)])
@row(8, "the leader is cut off from the API server alone, comes back, and leads again")
def test_a_leader_that_is_cut_off(hangs: bool, repeats: int, world: World, pair: Pair) -> None:
    """It adds nothing to what it could not record, and that is all that comes twice. Back again, it repeats nothing."""
    leader, other = pair.starts()
    queue_up(world)
    if hangs:
        leader.api_server.delay(NEVER_SECONDS)
    else:
        leader.api_server.refuse()
    until(lambda: other.leads, seconds=LEASE_SECONDS + 10)
    assert leader.last_send < other.first_act
    world.hand_out("late", days=5, channels=("team",))
    world.all_is_told(within=2 * LEASE_SECONDS, repeats=repeats)
    repeated = world.tally.duplicates
    leader.api_server.recover()
    other.stops()
    until(lambda: leader.leads, seconds=LEASE_SECONDS)
    world.hand_out("later", days=5, channels=("team",))
    world.all_is_told(repeats=repeated)


@pytest.mark.slow
@row(8, "the leader's process stands still for longer than the Lease, and wakes up")
def test_a_leader_that_slept(world: World, pair: Pair) -> None:
    """It finds that its time is over before it sends anything more."""
    leader, other = pair.starts()
    queue_up(world)
    os.kill(leader.operator.process.pid, signal.SIGSTOP)
    until(lambda: other.leads, seconds=LEASE_SECONDS + 10)
    until(lambda: other.slack.writes)
    os.kill(leader.operator.process.pid, signal.SIGCONT)
    world.all_is_told(within=LEASE_SECONDS, repeats=1)
    assert not leader.leads


@row(8, "another leader has recorded more than what was sent here and could not be recorded")
def test_what_another_has_recorded_is_newer() -> None:
    """What was sent here counts until a status says something else of that channel; by no clock."""
    store = Store(lambda _: None)
    store.upsert_certificate(certificate("10", {"team": 20, "pager": 20}))
    record = store.certificates[KEY]
    record.sent = {name: ChannelRecord(name, FINGERPRINT, 19, None) for name in ("team", "pager")}
    store.upsert_certificate(certificate("11", {"team": 18, "pager": 20}))
    assert {each.name: each.stage for each in remembered(record).channels} == {"team": 18, "pager": 19}


def certificate(version: str, stages: dict[str, int]) -> dict[str, Any]:
    """As the API server shows it, with the stage that each channel was told of."""
    told = [{"name": name, "fingerprintSHA256": FINGERPRINT, "stage": stage} for name, stage in stages.items()]
    return {
        "metadata": {
            "namespace": KEY.namespace,
            "name": KEY.name,
            "uid": "0b5a3f3e-0001-4000-8000-000000000001",
            "resourceVersion": version,
            "generation": 1,
            "creationTimestamp": "2026-11-01T00:00:00Z",
        },
        "spec": client_certificate(KEY.name)["spec"],
        "status": {"alerts": {"channels": told}},
    }
