"""P9: what 100 Secrets of 1 MiB cost that no ClientCertificate refers to.

Three looks at an operator over 1,000 certificates, where nothing else hides it: one that has settled without them;
the same one after they were created before its eyes; and a new one that finds them when it starts. The figures are
the growth of the resident set and of its peak (VmRSS, VmHWM; MB of a million bytes) from the first to the worse of
the other two. The event loop's longest stall is told beside them.
"""

from bench.cold_starts import first_cold_start
from bench.goals import Bound, Figure, Outcome
from bench.operator_run import LONGEST_STALL, Memory, OperatorRun
from bench.scene import Scene

GOAL = "100 unrelated Secrets of 1 MiB add ≤ 10 MB, settled and at the peak"


async def measure(scene: Scene) -> Outcome:
    await first_cold_start(scene, scene.sizes.small)
    count = scene.sizes.unrelated
    scene.say(f"{count} unrelated Secrets of 1 MiB, beside {scene.size} certificates")
    async with scene.operator() as run:
        without, stall_without = await _look(scene, run)
        async with scene.unrelated_secrets(count):
            created, stall_created = await _look(scene, run)
            async with scene.operator() as another:
                found, stall_found = await _look(scene, another)
    resident = max(created.resident, found.resident) - without.resident
    peak = max(created.peak, found.peak) - without.peak
    return Outcome(
        GOAL,
        (
            Figure("settled", max(resident, 0.0), "MB more", Bound.AT_MOST, 10),
            Figure("peak", max(peak, 0.0), "MB more", Bound.AT_MOST, 10),
        ),
        against=f"the same operator without them: {without.resident:.0f} MB, peak {without.peak:.0f} MB",
        details={
            "residentMB": {"without": _mb(without), "createdBeforeItsEyes": _mb(created), "foundAtStart": _mb(found)},
            "longestStallSeconds": {
                "without": stall_without,
                "createdBeforeItsEyes": stall_created,
                "foundAtStart": stall_found,
            },
        },
    )


async def _look(scene: Scene, run: OperatorRun) -> tuple[Memory, float]:
    """Memory when it has settled, and the stalls until then."""
    await run.ready()
    await scene.statuses.quiet(3)
    memory = await run.settled_memory()
    scrape = await run.scrape()
    return memory, round(scrape.own[LONGEST_STALL], 3)


def _mb(memory: Memory) -> list[float]:
    """Resident and peak."""
    return [round(memory.resident, 1), round(memory.peak, 1)]
