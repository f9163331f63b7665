"""P4: the duration of a cold start.

Ours: from the start of the operator's process until the administrator's watch has shown the last of 10,000 statuses, on
objects without a status. The peer (`bench/bare_client.py`) makes the same calls and decides nothing: it LISTs the same
objects, GETs 10,000 Secrets, sends 10,000 status patches of the same size and creates as many Events; it is timed by
the same watch from the start of its process, under the same ServiceAccount. The order is ours, peer, peer, ours; in
between, the objects are restored to the state of their creation. The figure is the sum of ours divided by the sum of
the peer's. The API server's own counters show the number of calls of each side.

The peer runs once more, and holds the operator's watches meanwhile: the API server must encode and send each status to
them. Its time is in the details, beside that without.
"""

from statistics import mean

from bench.cold_starts import cold_start, first_cold_start
from bench.goals import Bound, Figure, Outcome
from bench.peer import peer_start, sample_of
from bench.scene import Scene

GOAL = "all statuses written ≤ 1.25 times the time of a bare aiohttp client that does the same reads and writes"


async def measure(scene: Scene) -> Outcome:
    size = scene.sizes.large
    await scene.grow(size)
    ours = [await first_cold_start(scene, size)]
    sample = await sample_of(scene)
    peer = []
    for _ in range(scene.sizes.rounds):
        await scene.clear_statuses()
        peer.append(await peer_start(scene, sample))
    await scene.clear_statuses()
    watching = await peer_start(scene, sample, watches=True)
    ours += [await cold_start(scene, size) for _ in range(1, scene.sizes.rounds)]
    our_seconds, peer_seconds = [start.seconds for start in ours], [start.seconds for start in peer]
    ratio = sum(our_seconds) / sum(peer_seconds)
    return Outcome(
        GOAL,
        (Figure(f"cold start over {size}", ratio, "times the bare client", Bound.AT_MOST, 1.25),),
        against=f"bare aiohttp client: {mean(peer_seconds):.1f} s; ours: {mean(our_seconds):.1f} s",
        details={
            "oursSeconds": [round(seconds, 2) for seconds in our_seconds],
            "peerSeconds": [round(seconds, 2) for seconds in peer_seconds],
            "peerSecondsWithWatches": round(watching.seconds, 2),
            "peerServersCpuSeconds": [dict(each.servers) for each in peer],
            "peerServersCpuSecondsWithWatches": dict(watching.servers),
            "oursServersCpuSeconds": [dict(start.servers) for start in ours],
            "oursCpuSeconds": [round(start.cpu_seconds, 1) for start in ours],
            "oursCalls": dict(ours[-1].calls),
            "peerCalls": dict(peer[-1].calls),
            "statusWrites": ours[-1].writes,
        },
    )
