"""P10: the longest stall of the operator's event loop with 10,000 certificates.

The operator has a core to itself, and API server, etcd and Slack share the other one (bench/cores.py), so that only
stalls of the loop are measured, and not those of a crowded machine. The figure is the operator's own gauge: over a cold
start; over one scrape of /metrics after it; and over a day. For the day, an operator is started with a clock 24 hours
ahead, so that every status changes and each certificate that expires soon is alerted about again, with a scrape every
three seconds. The gauge is checked from outside: during that day a probe requests /healthz every ten milliseconds, and
the longest response time is reported as well. That time is more than a stall, because it includes the transfer of the
response; the gauge may be less than a stall, by up to the time that it sleeps between two samples.
"""

import asyncio
import time
from contextlib import suppress

from bench.cold_starts import cold_start
from bench.cores import one_kept_free
from bench.goals import Bound, Figure, Outcome
from bench.measures.restart import have_told
from bench.operator_run import LONGEST_STALL, OperatorRun
from bench.probe import HealthProbe
from bench.scene import Scene

GOAL = "the event loop's longest stall over a cold start, a scrape and a day at 10,000 certificates ≤ 100 ms"
_SCRAPE_EVERY_SECONDS = 3
_MS = 1000


async def measure(scene: Scene) -> Outcome:
    with one_kept_free() as cores:
        return await _measure(scene, cores)


async def _measure(scene: Scene, cores: frozenset[int]) -> Outcome:
    cold = await cold_start(scene, scene.sizes.large, cores)
    await have_told(scene)
    scene.say("a day passes: every status changes")
    before = {key: seen.days_remaining for key, seen in scene.statuses.objects.items()}

    def a_day_later() -> bool:
        return not any(seen.days_remaining == before[key] for key, seen in scene.statuses.objects.items())

    async with scene.operator(args=["--clock-offset", "24h"], env=scene.slack_settings, cores=cores) as run:
        with HealthProbe(run.process.url) as probe:
            scraping = asyncio.create_task(_scrape_on(run))
            await scene.statuses.until(a_day_later, 300, "all days remaining to change")
            day = time.monotonic() - run.began
            await scene.statuses.quiet(3)
            scraping.cancel()
            with suppress(asyncio.CancelledError):
                await scraping
        stall = (await run.scrape()).own[LONGEST_STALL]
    stalls = {
        "cold start": cold.stall,
        "cold start and a scrape": cold.stall_with_scrape,
        "a day": stall,
    }
    return Outcome(
        GOAL,
        tuple(Figure(name, seconds * _MS, "ms", Bound.AT_MOST, 100) for name, seconds in stalls.items()),
        against=f"/healthz asked every 10 ms during the day: longest answer {probe.longest * _MS:.0f} ms",
        details={
            "daySeconds": round(day, 1),
            "probes": len(probe.seconds),
            "probeLongestMs": round(probe.longest * _MS, 1),
            "probesOver100Ms": sum(seconds > 0.1 for seconds in probe.seconds),
        },
    )


async def _scrape_on(run: OperatorRun) -> None:
    await run.ready()
    while True:
        await run.scrape()
        await asyncio.sleep(_SCRAPE_EVERY_SECONDS)
