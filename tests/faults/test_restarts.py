"""Restarts inside the process, lost credentials, and stops while Slack is slow."""

import os
import signal
import time
import urllib.request

import pytest
from aiohttp import web

from tests.control_plane.waiting import until
from tests.faults.proxy import watches, writes
from tests.faults.scenario import World, row
from tools.slack_server import Fault

OURS = "/apis/clientcert.dev/"
KINDS = ("clientcertificates", "certificatepolicies", "certificatestores")
LONGEST_STOP_SECONDS = 12.0
"""Ten for the sends in progress, and some for closing the rest."""


def refusals(world: World, kind: str) -> int:
    return sum(f"/{kind}?" in each.path and each.status == 410 for each in world.api_server.passages)


def watches_of_ours(request: web.Request) -> bool:
    return watches(request) and OURS in request.path


@row(2, "the watches of our kinds are refused with 410; objects are made, deleted, and made anew meanwhile")
def test_changes_while_the_watches_are_refused(world: World) -> None:
    """Each collection is listed again, with all state kept; missed changes are found by comparison."""
    for name in ("stays", "goes", "comes-back"):
        world.hand_out(name, days=14)
    operator = world.operator_starts()
    world.all_is_delivered()
    world.api_server.answer(410, when=watches_of_ours)
    world.api_server.end_watches()
    until(lambda: {kind for kind in KINDS if refusals(world, kind) >= 2}, lambda refused: refused == set(KINDS))
    for name in ("goes", "comes-back"):
        world.team.delete("ClientCertificate", name)
        world.forget(name)
    for name in ("comes", "comes-back"):
        world.hand_out(name, days=7)
    world.fault_ends()
    world.all_is_delivered(within=10)
    until(lambda: not operator.series("clientcert_certificate_info", name="goes"))
    assert operator.process.process.returncode is None
    assert sum("/secrets/stays-cert" in each.path for each in world.api_server.passages) == 1


@row(9, "the operator's own login cannot be read for a while, and the API server wants a new one")
def test_missing_credentials(world: World) -> None:
    """No part of the process ends, and all continue as soon as there are credentials."""
    operator = world.operator_starts()
    world.hand_out("nhs", days=14)
    world.all_is_delivered()
    [kubeconfig] = world.directory.glob("*.kubeconfig")
    moved = kubeconfig.rename(kubeconfig.with_suffix(".away"))
    world.api_server.answer(401)
    world.api_server.end_watches()
    until(lambda: "credentials cannot be read again" in operator.process.log_text())
    moved.rename(kubeconfig)
    world.fault_ends()
    world.hand_out("moj", days=7)
    world.all_is_delivered(within=10)
    assert operator.process.process.returncode is None


def test_a_stalled_process_answers_no_probe(world: World) -> None:
    """So the kubelet ends it; a process that continues in time stays healthy."""
    operator = world.operator_starts()
    os.kill(operator.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(f"{operator.process.url}/healthz", timeout=1)
    finally:
        os.kill(operator.process.pid, signal.SIGCONT)
    assert operator.get("/healthz") == (200, "ok\n")


@row(7, "SIGTERM while Slack takes five seconds to answer")
def test_a_stop_finishes_the_send_in_progress(world: World) -> None:
    """It is sent once, and recorded before the process exits with 0."""
    world.operator_starts()
    world.workspace.fail_always(Fault.slow(5))
    world.hand_out("nhs", days=14)
    world.waits_until_notified("nhs", "team")
    world.waits_until_notified("nhs", "on-call")
    world.operator_stops()
    world.fault_ends()
    world.all_is_delivered(within=1)
    world.operator_starts().settle()
    world.nothing_is_repeated()


@pytest.mark.parametrize("status", [409, 500, 503])
@row(7, "SIGTERM while Slack takes two seconds to answer; the API server refuses the first writes of the status then")
def test_a_stop_records_what_was_sent_although_the_first_writes_fail(status: int, world: World) -> None:
    """Before the process exits with 0: the next one repeats nothing."""
    world.operator_starts()
    world.workspace.fail_always(Fault.slow(2))
    world.hand_out("nhs", days=14, channels=("team",))
    world.waits_until_notified("nhs", "team")
    world.api_server.answer(status, when=lambda request: writes(request) and request.path.endswith("/status"), times=4)
    world.operator_stops()
    world.fault_ends()
    world.operator_starts()
    world.all_is_delivered()
    assert world.notified("nhs", "team") == 1


@pytest.mark.slow
@row(7, "SIGTERM while Slack takes a minute to take a message")
def test_a_stop_has_a_time_limit(world: World) -> None:
    """A message that could not be sent stays due: it is sent after the restart."""
    operator = world.operator_starts()
    world.slack.delay(60)
    world.hand_out("nhs", days=14)
    until(lambda: world.team.channel("nhs", "events"))
    began = time.monotonic()
    assert operator.process.process.stop(timeout=2 * LONGEST_STOP_SECONDS) == 0
    assert time.monotonic() - began < LONGEST_STOP_SECONDS
    world.operator_stops()
    world.slack.end_watches()  # the waiting request is never forwarded
    world.fault_ends()
    world.operator_starts()
    world.all_is_delivered()
    assert [world.notified("nhs", channel) for channel in ("team", "on-call")] == [1, 1]
