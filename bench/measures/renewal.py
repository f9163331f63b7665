"""P7: the time until a renewed certificate is in the status.

From just before the renewed certificate is written to its Secret (a merge patch by the administrator) until the
administrator's watch shows a status with the new fingerprint; 200 Secrets spread over all 10,000, ten a second. If a
certificate was about to expire, its closing message is sent meanwhile. p99 is the 198th of 200 latencies.
"""

import asyncio
import math
import time

from bench import fleet
from bench.goals import Bound, Figure, Outcome
from bench.measures.restart import have_told, looked_at_all
from bench.scene import Scene
from bench.statuses import Seen

GOAL = "renewed Secret → status at 10,000 certificates: p99 ≤ 1 s"
_A_SECOND = 10
_PATIENCE_SECONDS = 30


async def measure(scene: Scene) -> Outcome:
    await have_told(scene)
    count = min(scene.sizes.renewals, scene.size)
    async with scene.operator(env=scene.slack_settings) as run:
        await run.ready()
        await looked_at_all(run, scene.size)
        scene.say(f"renewing {count} certificates in their Secrets, {_A_SECOND} a second")
        latencies = await _renew(scene, count)
    missing = count - len(latencies)
    # A missing status counts as slower than any that was seen.
    ordered = sorted(latencies) + [float(_PATIENCE_SECONDS)] * missing
    return Outcome(
        GOAL,
        (Figure(f"p99 of {count}", _percentile(ordered, 99), "s", Bound.AT_MOST, 1),),
        against="fixed limit",
        details={
            "p50Seconds": round(_percentile(ordered, 50), 3),
            "longestSeconds": round(ordered[-1], 3),
            "neverSeen": missing,
        },
    )


async def _renew(scene: Scene, count: int) -> list[float]:
    step = scene.size // count
    renewed = {index: scene.fleet.certificate(index, years_later=1) for index in range(0, count * step, step)}
    awaited = {
        (fleet.namespace(index), fleet.consumer(index)): issued.fingerprint_sha256 for index, issued in renewed.items()
    }
    sent: dict[tuple[str, str], float] = {}
    latencies: list[float] = []

    def listen(key: tuple[str, str], seen: Seen) -> None:
        if key in sent and awaited.get(key) == seen.fingerprint:
            del awaited[key]
            latencies.append(time.monotonic() - sent[key])

    async def replace(index: int) -> None:
        where = fleet.namespace(index)
        values = scene.fleet.secret_values(renewed[index])
        sent[where, fleet.consumer(index)] = time.monotonic()
        path = f"/api/v1/namespaces/{where}/secrets/{fleet.secret_name(index)}"
        await scene.kubernetes.merge_patch(path, {"data": values})

    scene.statuses.listeners.append(listen)
    try:
        async with asyncio.TaskGroup() as group:
            for index in renewed:
                group.create_task(replace(index))
                await asyncio.sleep(1 / _A_SECOND)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while awaited and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
    finally:
        scene.statuses.listeners.remove(listen)
    return latencies


def _percentile(ordered: list[float], percent: int) -> float:
    """The nearest rank: the smallest value that `percent` percent do not exceed."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
