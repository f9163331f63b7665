"""Cold starts: P3, P4 and P10 look at the same ones, each at something else."""

from bench.operator_run import LONGEST_STALL, STATUS_WRITES, ColdStart
from bench.scene import Scene

_SECONDS_EACH = 0.02
"""So long a status may take at the most, before the bench gives up."""


async def cold_start(scene: Scene, size: int, cores: frozenset[int] = frozenset()) -> ColdStart:
    """Start an operator over so many objects without a status; watch it until it is done, and scrape it once.

    Kubernetes Events are on, as always; there is no default channel, as the peer of P4 has none.
    """
    await scene.grow(size)
    if scene.statuses.written:
        await scene.clear_statuses()
    scene.say(f"cold start of the operator over {size} certificates")
    async with scene.operator(cores=cores) as run:
        last = await scene.statuses.all_written(size, 60 + size * _SECONDS_EACH)
        await scene.statuses.quiet(4)
        used = run.cpu_seconds()
        settled = await run.settled_memory()
        scrape = await run.scrape()
        after_scrape = await run.settled_memory()
        second = await run.scrape()
    found = ColdStart(
        seconds=last - run.began,
        settled=settled,
        after_scrape=after_scrape,
        cpu_seconds=used,
        writes=scrape.own[STATUS_WRITES],
        stall=scrape.own[LONGEST_STALL],
        stall_with_scrape=second.own[LONGEST_STALL],
        scrape=scrape,
    )
    memory = f"{settled.resident:.0f} MB ({after_scrape.resident:.0f} MB after a scrape)"
    scene.say(f"  {found.seconds:.1f} s, {used:.1f} s of a core, {memory}, stall {found.stall * 1000:.0f} ms")
    if not cores:
        scene.cold_starts.setdefault(size, []).append(found)
    return found


async def first_cold_start(scene: Scene, size: int) -> ColdStart:
    """One that was seen already, or else a new one."""
    known = scene.cold_starts.get(size)
    return known[0] if known else await cold_start(scene, size)
