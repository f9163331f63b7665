"""The peer of a cold start: its input, and its duration."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench import fleet
from bench.api_calls import Calls, calls_between, calls_so_far
from bench.liveness import ProcessEndedError
from bench.operator_run import SECONDS_EACH, cpu_seconds
from bench.scene import Scene
from bench.servers_cpu import ServersCpu, cpu_between, cpu_so_far
from tools.control_plane.operator_process import SERVICE_ACCOUNT
from tools.control_plane.process import ChildProcess

_EVENTS = "/api/v1/events"
_OWN_FIELDS = ("apiVersion", "kind", "metadata")


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of the operator's writes, so that the peer writes as much."""

    status: Mapping[str, Any]
    """The status of the median size among a hundred."""
    event: Mapping[str, Any]
    """Without its name; empty if there is none."""
    events_each: float
    """The number of Events divided by the number of certificates."""


@dataclass(frozen=True, slots=True)
class PeerStart:
    """The result of the peer."""

    seconds: float
    """From the start of its process until the bench's watch has shown the last status."""
    cpu_seconds: float
    """Its own CPU time."""
    servers: ServersCpu
    calls: Calls


async def sample_of(scene: Scene) -> Sample:
    """Take a sample from an operator that has written all statuses."""
    page = await scene.kubernetes.get(fleet.CERTIFICATES, limit="101")
    statuses = sorted((item["status"] for item in page["items"]), key=lambda status: len(json.dumps(status)))
    first = (await scene.kubernetes.get(_EVENTS, limit="1"))["items"]
    count = len(await scene.kubernetes.items(_EVENTS, metadata_only=True))
    event = {name: value for name, value in first[0].items() if name not in _OWN_FIELDS} if first else {}
    return Sample(statuses[len(statuses) // 2], event, count / scene.size)


async def peer_start(scene: Scene, sample: Sample, *, watches: bool = False) -> PeerStart:
    """Start it over objects without a status, and watch it until it is done. `watches`: it holds the watches, too."""
    kubeconfig = scene.directory / "bare-client.kubeconfig"
    scene.control_plane.service_account_kubeconfig(*SERVICE_ACCOUNT, kubeconfig)
    given = scene.directory / "sample.json"
    events = round(sample.events_each * scene.size)
    asked = {"status": sample.status, "event": sample.event, "events": events, "watches": watches}
    given.write_text(json.dumps(asked))
    scene.say(f"cold start of the bare client over {scene.size} certificates{', with watches' if watches else ''}")
    before, servers = await calls_so_far(scene.kubernetes), cpu_so_far(scene.control_plane)
    began = time.monotonic()
    process = await asyncio.to_thread(
        ChildProcess.start,
        [sys.executable, "-m", "bench.bare_client", kubeconfig, given],
        log_path=scene.directory / "bare-client.log",
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=scene.directory,
    )
    try:
        used = await _finished(process, 60 + scene.size * SECONDS_EACH)
    finally:
        process.kill()
    seconds = await scene.statuses.all_written(scene.size, 60 + scene.size * SECONDS_EACH) - began
    servers = cpu_between(servers, cpu_so_far(scene.control_plane))
    scene.say(f"  {seconds:.1f} s, {used:.1f} s of a core")
    return PeerStart(seconds, used, servers, calls_between(before, await calls_so_far(scene.kubernetes)))


async def _finished(process: ChildProcess, seconds: float) -> float:
    """Wait for its end; returns its CPU time, as it was at most a tenth of a second before."""
    deadline, used = time.monotonic() + seconds, 0.0
    while process.returncode is None:
        with suppress(FileNotFoundError):
            used = cpu_seconds(process.pid) or used  # a process that is not reaped yet has none
        if time.monotonic() > deadline:
            raise TimeoutError(f"the bare client has not finished after {seconds:.0f} s")
        await asyncio.sleep(0.1)
    if process.returncode:
        raise ProcessEndedError(process.last_words())
    return used
