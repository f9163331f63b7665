"""Cold starts: P3, P4 and P10 look at the same ones, each at something else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.api_calls import calls_between, calls_so_far
from bench.operator_run import LONGEST_STALL, SECONDS_EACH, STATUS_WRITES, ColdStart, OperatorRun
from bench.scene import Scene


@asynccontextmanager
async def cold_started(
    scene: Scene, size: int, cores: frozenset[int] = frozenset()
) -> AsyncIterator[tuple[OperatorRun, ColdStart]]:
    """Start an operator over so many objects without a status; watch it until it is done, and scrape it once.

    It runs on for the length of the block. Kubernetes Events are on, as always; there is no default channel, as the
    peer has none.
    """
    await scene.grow(size)
    if scene.statuses.written:
        await scene.clear_statuses()
    scene.say(f"cold start of the operator over {size} certificates")
    before = await calls_so_far(scene.kubernetes)
    async with scene.operator(cores=cores) as run:
        last = await scene.statuses.all_written(size, 60 + size * SECONDS_EACH)
        await scene.statuses.quiet(4)
        used = run.cpu_seconds()
        settled = await run.settled_memory()
        calls = calls_between(before, await calls_so_far(scene.kubernetes))
        scrape = await run.scrape()
        after_scrape = await run.settled_memory()
        second = await run.scrape()
        found = ColdStart(
            seconds=last - run.began,
            settled=settled,
            after_scrape=after_scrape,
            cpu_seconds=used,
            calls=calls,
            writes=scrape.own[STATUS_WRITES],
            stall=scrape.own[LONGEST_STALL],
            stall_with_scrape=second.own[LONGEST_STALL],
            scrape=scrape,
        )
        memory = f"{settled.resident:.0f} MB ({after_scrape.resident:.0f} MB after a scrape)"
        scene.say(f"  {found.seconds:.1f} s, {used:.1f} s of a core, {memory}, stall {found.stall * 1000:.0f} ms")
        yield run, found


async def cold_start(scene: Scene, size: int, cores: frozenset[int] = frozenset()) -> ColdStart:
    """One, after which the operator is stopped."""
    async with cold_started(scene, size, cores) as (_, found):
        pass
    if not cores:
        scene.cold_starts.setdefault(size, []).append(found)
    return found


async def first_cold_start(scene: Scene, size: int) -> ColdStart:
    """One that was seen already, or else a new one."""
    known = scene.cold_starts.get(size)
    return known[0] if known else await cold_start(scene, size)
