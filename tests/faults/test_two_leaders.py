"""Row 8: two replicas. Whatever happens to the leader, the other continues, and never do both send."""

import os
import signal
import time
from typing import Any

import pytest
from aiohttp import web

from clientcert.alerting.outbox import Outbox
from clientcert.cache.object_cache import ObjectCache
from clientcert.lifecycle.delivery_log import DeliveryLog
from clientcert.lifecycle.recorded_status import ChannelStatus
from clientcert.lifecycle.spec import ObjectKey
from clientcert.notifiers.slack.thread_details import LAST_SECONDS
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import NOW
from tests.control_plane.waiting import until
from tests.faults.replicas import Pair
from tests.faults.scenario import World, row
from tests.scenarios import client_certificate
from tools.slack_server import Fault

LEASE_SECONDS = 30
HAND_OVER_SECONDS = 2.0
QUEUE = [f"consumer-{number}" for number in range(10)]
"""With one alert every two seconds, these keep a channel busy for longer than any fault here takes."""
NEVER_SECONDS = 600.0
KEY, FINGERPRINT = ObjectKey("team", "nhs"), "ab" * 32


def leases(request: web.Request) -> bool:
    return "/leases" in request.path


def queue_up(world: World) -> None:
    """Alerts for half a minute, all to one channel; the first has arrived."""
    world.policy("team")
    for name in QUEUE:
        world.hand_out(name, days=14, channels=("team",))
    until(lambda: sum(world.notified(name, "team") for name in QUEUE) >= 2)


@pytest.mark.slow
@row(8, "the leader gets SIGTERM; the other's clock is three hours ahead")
def test_a_stop_hands_over(world: World, pair: Pair) -> None:
    """Within two seconds of the signal, while messages are queued; nothing is lost or repeated."""
    leader, other = pair.starts("--clock-offset=3h")
    queue_up(world)
    notified = time.monotonic()
    leader.stops()
    until(lambda: other.leads, seconds=notified + HAND_OVER_SECONDS - time.monotonic())
    world.hand_out("moj", days=14, channels=("team",))
    world.all_is_delivered()
    # The details of the last alert may follow it into its thread: only their sender posts them.
    assert leader.last_send < other.first_act + LAST_SECONDS


@pytest.mark.slow
@row(8, "the leader is killed while Slack holds its answers")
def test_a_kill_in_the_middle_of_a_send(world: World, pair: Pair) -> None:
    """The other replica repeats the two messages in flight after the expiry of the Lease, and loses nothing."""
    leader, other = pair.starts()
    world.workspace.fail_always(Fault.slow(8))
    world.hand_out("nhs", days=14)
    world.waits_until_notified("nhs", "team")
    world.waits_until_notified("nhs", "on-call")
    leader.is_killed()
    world.fault_ends()
    world.hand_out("moj", days=5)
    world.all_is_delivered(within=LEASE_SECONDS + 10, repeats=2)
    assert leader.last_send < other.first_act


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [NEVER_SECONDS, pytest.param(20.0, marks=pytest.mark.soak)])
@row(8, "the leader's renewals hang, while it can still record and send")
def test_a_leader_that_cannot_renew(seconds: float, world: World, pair: Pair) -> None:
    """It stops sending before the other begins, whether its requests are slow or never arrive; nothing is repeated."""
    leader, other = pair.starts()
    queue_up(world)
    leader.api_server.delay(seconds, when=leases)
    until(lambda: other.leads, seconds=3 * LEASE_SECONDS)
    assert leader.last_send < other.first_act
    world.all_is_delivered(within=2 * LEASE_SECONDS)
    assert leader.last_send < other.first_act


@pytest.mark.slow
@row(8, "the leader's renewals hang, and Slack takes nine seconds for each message")
def test_a_leader_whose_sends_are_slow(world: World, pair: Pair) -> None:
    """Its last send has also ended before the other begins."""
    leader, other = pair.starts()
    queue_up(world)
    world.workspace.fail_always(Fault.slow(9))
    leader.api_server.delay(NEVER_SECONDS, when=leases)
    until(lambda: other.leads, seconds=3 * LEASE_SECONDS)
    first_act = other.first_act
    world.fault_ends()
    world.all_is_delivered(within=2 * LEASE_SECONDS)
    assert leader.last_send < first_act


@pytest.mark.slow
@pytest.mark.parametrize(("hangs", "repeats"), [(False, 1), pytest.param(True, 3, marks=pytest.mark.soak)])
@row(8, "the leader is cut off from the API server alone, comes back, and leads again")
def test_a_leader_that_is_cut_off(hangs: bool, repeats: int, world: World, pair: Pair) -> None:
    """It sends nothing more after sends that it could not record; only those are repeated. After its return, nothing
    is.
    """
    leader, other = pair.starts()
    queue_up(world)
    if hangs:
        leader.api_server.delay(NEVER_SECONDS)
    else:
        leader.api_server.refuse()
    until(lambda: other.leads, seconds=LEASE_SECONDS + 10)
    assert leader.last_send < other.first_act
    world.hand_out("late", days=5, channels=("team",))
    world.all_is_delivered(within=2 * LEASE_SECONDS, repeats=repeats)
    repeated = world.audit.duplicates
    leader.api_server.recover()
    other.stops()
    until(lambda: leader.leads, seconds=LEASE_SECONDS)
    world.hand_out("later", days=5, channels=("team",))
    world.all_is_delivered(repeats=repeated)


@pytest.mark.slow
@row(8, "the leader's process stands still for longer than the Lease, and wakes up")
def test_a_leader_that_was_suspended(world: World, pair: Pair) -> None:
    """It notices the expiry of its Lease before it sends anything more."""
    leader, other = pair.starts()
    queue_up(world)
    os.kill(leader.operator.process.pid, signal.SIGSTOP)
    until(lambda: other.leads, seconds=LEASE_SECONDS + 10)
    until(lambda: other.slack.writes)
    os.kill(leader.operator.process.pid, signal.SIGCONT)
    world.all_is_delivered(within=LEASE_SECONDS, repeats=1)
    assert not leader.leads


@row(8, "another leader has recorded more than what was sent here and could not be recorded")
def test_a_newer_status_replaces_the_local_record() -> None:
    """A local record of a send is kept until a newer status has one for the channel; no clock is compared."""
    cache, outbox = ObjectCache(WorkQueue(lambda: NOW)), Outbox()
    cache.upsert_certificate(certificate("10", {"team": 20, "pager": 20}))
    for name in ("team", "pager"):
        outbox.record_delivery(cache.certificates[KEY], ChannelStatus(name, FINGERPRINT, 19, None), DeliveryLog())
    cache.upsert_certificate(certificate("11", {"team": 18, "pager": 20}))
    log = outbox.log(cache.certificates[KEY], ())
    assert {each.name: each.stage for each in log.channels} == {"team": 18, "pager": 19}


def certificate(version: str, stages: dict[str, int]) -> dict[str, Any]:
    """As the API server returns it, with the recorded stage of each channel."""
    notified = [{"name": name, "fingerprintSHA256": FINGERPRINT, "stage": stage} for name, stage in stages.items()]
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
        "status": {"alerts": {"channels": notified}},
    }
