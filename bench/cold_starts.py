"""Cold starts: P3, P4 and P10 use the same ones, each for another figure."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.api_calls import calls_between, calls_so_far
from bench.operator_run import LONGEST_STALL, SECONDS_EACH, STATUS_WRITES, ColdStart, OperatorRun
from bench.scene import Scene
from bench.servers_cpu import cpu_between, cpu_so_far


@asynccontextmanager
async def cold_started(
    scene: Scene, size: int, cores: frozenset[int] = frozenset()
) -> AsyncIterator[tuple[OperatorRun, ColdStart]]:
    """Start an operator over `size` objects without a status, watch it until it has written all, and scrape it once.

    It keeps running until the end of the block. Kubernetes Events are enabled, as always; there is no default channel,
    because the peer has none.
    """
    await scene.grow(size)
    if scene.statuses.written:
        await scene.clear_statuses()
    scene.say(f"cold start of the operator over {size} certificates")
    before, servers = await calls_so_far(scene.kubernetes), cpu_so_far(scene.control_plane)
    async with scene.operator(cores=cores) as run:
        last = await scene.statuses.all_written(size, 60 + size * SECONDS_EACH)
        servers = cpu_between(servers, cpu_so_far(scene.control_plane))
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
            servers=servers,
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
    """Measure one cold start, and stop the operator after it."""
    async with cold_started(scene, size, cores) as (_, found):
        pass
    if not cores:
        scene.cold_starts.setdefault(size, []).append(found)
    return found


async def first_cold_start(scene: Scene, size: int) -> ColdStart:
    """The first cold start of this size; measured now if there is none yet."""
    known = scene.cold_starts.get(size)
    return known[0] if known else await cold_start(scene, size)
