"""P4: how long a cold start takes.

Ours: from the start of the operator's process until the administrator's watch has shown the last of 10,000 statuses,
on objects that have none; it GETs 10,000 Secrets on the way, and writes an Event for each certificate that expires
soon. The peer (`bench/bare_client.py`) only does the same LISTs and sends 10,000 status patches of the same size; it
is timed by the same watch from the start of its process, under the same ServiceAccount. Ours, peer, peer, ours; in
between the objects are put back as they were created. The figure is the sum of ours by the sum of the peer's.
"""

import asyncio
import json
import os
import sys
import time
from statistics import mean
from typing import Any

from bench import fleet
from bench.cold_starts import cold_start, first_cold_start
from bench.goals import Bound, Figure, Outcome
from bench.scene import Scene
from tools.control_plane.operator_process import SERVICE_ACCOUNT

GOAL = "all statuses written ≤ 1.5 times the time of a bare aiohttp client that does the same LISTs and PATCHes"


async def measure(scene: Scene) -> Outcome:
    size = scene.sizes.large
    await scene.grow(size)
    ours = [(await first_cold_start(scene, size)).seconds]
    sample = await _median_status(scene)
    peer = []
    for _ in range(scene.sizes.rounds):
        await scene.clear_statuses()
        peer.append(await _bare_client(scene, sample))
    ours += [(await cold_start(scene, size)).seconds for _ in range(1, scene.sizes.rounds)]
    return Outcome(
        GOAL,
        (Figure(f"cold start over {size}", sum(ours) / sum(peer), "times the bare client", Bound.AT_MOST, 1.5),),
        against=f"bare aiohttp client: {mean(peer):.1f} s; ours: {mean(ours):.1f} s",
        details={
            "oursSeconds": [round(seconds, 2) for seconds in ours],
            "peerSeconds": [round(seconds, 2) for seconds in peer],
            "oursCpuSeconds": [round(start.cpu_seconds, 1) for start in scene.cold_starts[size]],
            "statusWrites": scene.cold_starts[size][-1].writes,
        },
    )


async def _median_status(scene: Scene) -> dict[str, Any]:
    """A status of the middle size among some that the operator has written."""
    page = await scene.kubernetes.get(fleet.CERTIFICATES, limit="101")
    statuses = sorted((item["status"] for item in page["items"]), key=lambda status: len(json.dumps(status)))
    median: dict[str, Any] = statuses[len(statuses) // 2]
    return median


async def _bare_client(scene: Scene, sample: dict[str, Any]) -> float:
    """Seconds until all its statuses were seen."""
    kubeconfig = scene.directory / "bare-client.kubeconfig"
    scene.control_plane.service_account_kubeconfig(*SERVICE_ACCOUNT, kubeconfig)
    status = scene.directory / "status.json"
    status.write_text(json.dumps(sample))
    scene.say(f"cold start of the bare client over {scene.size} certificates")
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.bare_client",
        str(kubeconfig),
        str(status),
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if await process.wait():
        raise RuntimeError(f"the bare client failed with {process.returncode}")
    seconds = await scene.statuses.all_written(scene.size, 60) - began
    scene.say(f"  {seconds:.1f} s")
    return seconds
