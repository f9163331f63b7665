"""P5: the writes and messages of a restart without changes.

The certificates that expire soon belong to 80 teams with a policy and a Slack channel each (Slack accepts one message a
second in a channel: in a single channel they would take half an hour). An operator has written all 10,000 statuses and
alerted every channel; it is stopped, and another one is started. When that one is ready, has reconciled each
certificate and has been quiet for ten seconds, these are counted: objects whose resourceVersion has changed
(ClientCertificates and Events), statuses written by its own metric, and calls that arrived at Slack.

Before the count, a second operator is started beside it, as a standby; when the standby is ready, the first one gets
SIGTERM. The times from that moment until the standby leads, and until it has reconciled every certificate, are
measured.
"""

import asyncio
import time
from collections.abc import Mapping

from bench import fleet
from bench.fleet import TEAM_CHANNEL
from bench.goals import Bound, Figure, Outcome
from bench.operator_run import LEADER, QUEUE_DEPTH, RECONCILES, STATUS_WRITES, WAITING, OperatorRun
from bench.scene import Scene

GOAL = "restart over 10,000 unchanged certificates: 0 writes, 0 sends; so a take-over, which takes seconds"
_QUIET_SECONDS = 10
_SECONDS_EACH = 0.05
_COLLECTIONS = {"ClientCertificate": fleet.CERTIFICATES, "Event": "/api/v1/events"}


async def measure(scene: Scene) -> Outcome:
    await have_told(scene)
    scene.say(f"restart over {scene.size} unchanged certificates")
    before, calls = await versions(scene, _COLLECTIONS), len(scene.slack.calls)
    async with scene.operator(env=scene.slack_settings) as run:
        ready = await run.ready()
        await looked_at_all(run, scene.size)
        await asyncio.sleep(_QUIET_SECONDS)
        own = (await run.scrape()).own
        looks, written = own[RECONCILES], own.get(STATUS_WRITES, 0.0)
        leads, looked = await _taken_over(scene, run)
    changed = sum(version != before.get(key) for key, version in (await versions(scene, _COLLECTIONS)).items())
    told = sum(TEAM_CHANNEL in seen.told for seen in scene.statuses.objects.values())
    return Outcome(
        GOAL,
        (
            Figure("objects changed", changed, "writes", Bound.AT_MOST, 0),
            Figure("by its own count", written, "writes", Bound.AT_MOST, 0),
            Figure("to Slack", len(scene.slack.calls) - calls, "sends", Bound.AT_MOST, 0),
            Figure("take-over: the standby leads", leads, "s after SIGTERM", Bound.AT_MOST, 2),
        ),
        against=f"every resourceVersion before; {told} certificates expire soon and were alerted about",
        details={
            "readySeconds": round(ready, 1),
            "looks": looks,
            "certificatesTold": told,
            "takeOverAllLookedAtSeconds": round(looked, 1),
        },
    )


async def _taken_over(scene: Scene, leader: OperatorRun) -> tuple[float, float]:
    """The seconds from SIGTERM until a standby leads, and until it has reconciled every certificate."""
    scene.say(f"a standby takes over {scene.size} certificates")
    async with scene.operator(env=scene.slack_settings) as standby:
        await standby.ready()
        began = time.monotonic()
        stopping = asyncio.create_task(leader.stop())
        async with asyncio.timeout(60):
            while not (await standby.own_metrics())[LEADER]:
                await asyncio.sleep(0.05)
        leads = time.monotonic() - began
        await stopping
        await looked_at_all(standby, scene.size)
        looked = time.monotonic() - began
        await asyncio.sleep(_QUIET_SECONDS)
    scene.say(f"  it leads after {leads:.1f} s, and has reconciled all after {looked:.1f} s")
    return leads, looked


async def have_told(scene: Scene) -> None:
    """Let an operator write all statuses, and alert the teams' channels about all due certificates."""
    await scene.grow(scene.sizes.large)

    def all_told() -> bool:
        soon = [seen for seen in scene.statuses.objects.values() if seen.phase == "ExpiringSoon"]
        return scene.statuses.written == scene.size and bool(soon) and all(TEAM_CHANNEL in seen.told for seen in soon)

    if all_told():
        return
    await scene.form_teams()
    scene.say("an operator tells the teams what is due")
    async with scene.operator(env=scene.slack_settings) as run:
        await run.ready()
        await looked_at_all(run, scene.size)
        await scene.statuses.until(all_told, 120, "an alert about every certificate that expires soon")
        await looked_at_all(run, scene.size)
        await scene.statuses.quiet(3)


async def looked_at_all(run: OperatorRun, size: float, seconds: float | None = None) -> float:
    """Wait for this number of reconciles and an empty queue; returns the number of reconciles.

    By default for as long as 10,000 certificates in a bucket may take, whose server shares a core with all others.
    """
    async with asyncio.timeout(seconds or 180 + size * _SECONDS_EACH):
        while True:
            own = await run.own_metrics()
            if own[RECONCILES] >= size and own[QUEUE_DEPTH] == 0 and own[WAITING] == 0:
                return own[RECONCILES]
            await asyncio.sleep(2)


async def versions(scene: Scene, collections: Mapping[str, str]) -> dict[tuple[str, str, str], str]:
    """The resourceVersion of every object of these collections, given by kind."""
    found = {}
    for kind, path in collections.items():
        for item in await scene.kubernetes.items(path, metadata_only=True):
            metadata = item["metadata"]
            found[kind, metadata["namespace"], metadata["name"]] = metadata["resourceVersion"]
    return found
