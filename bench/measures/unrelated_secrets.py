"""P9: the cost of 100 Secrets of 1 MiB that no ClientCertificate refers to.

An operator over 1,000 certificates, so that its own memory does not hide the cost, is measured three times: settled
without these Secrets; the same process after they were created; and a new process that finds them at its start. The
figures are the growth of the resident set and of its peak (VmRSS, VmHWM; MB of a million bytes) from the first
measurement to the worse of the other two. The event loop's longest stall is reported as well.
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
    """The memory after it has settled, and the longest stall until then."""
    await run.ready()
    await scene.statuses.quiet(3)
    memory = await run.settled_memory()
    scrape = await run.scrape()
    return memory, round(scrape.own[LONGEST_STALL], 3)


def _mb(memory: Memory) -> list[float]:
    """Resident and peak."""
    return [round(memory.resident, 1), round(memory.peak, 1)]
