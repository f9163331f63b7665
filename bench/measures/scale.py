"""P11: 100,000 certificates, each in a Secret, on one pod.

Cold start: the bare client (`bench/bare_client.py`), which writes as much as an operator over the first thousand has
written; then the operator; then the bare client again, because the servers become slower while they run, with all that
they keep. The operator is compared with the mean of both. Then the bare client holds the operator's watches as well,
which shows what these cost. Before each of them all objects are put back as they were created, and all are timed as in
P4.

Stalls of the event loop are the operator's own gauge. As in P10 they are those of operators that have a core to
themselves: over another cold start, over a scrape after it, and of a successor over its start, take-over and day.

Take-over: the operator of that cold start leads, and a standby is ready beside it. The leader is killed with SIGKILL;
from then on until the standby leads, has looked at every certificate and nothing waits. The standby must wait for the
end of the Lease first.

A day: the successor's clock is moved by 24 hours, so that every status changes at once, which is the worst case of a
day. The depth of its queue is read every five seconds, until all statuses are written and the queue is empty; the depth
may only fall. All of /metrics is scraped every 30 seconds meanwhile.

Memory: the resident set of an operator's process, once its cold start has settled and one scrape is over, and that of
the successor after the day; the largest of them.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.cold_starts import cold_start, cold_started
from bench.cores import one_kept_free
from bench.goals import Bound, Figure, Outcome
from bench.measures.restart import looked_at_all
from bench.operator_run import (
    LEADER,
    LONGEST_STALL,
    QUEUE_DEPTH,
    SECONDS_EACH,
    STATUS_WRITES,
    ColdStart,
    Memory,
    OperatorRun,
    running,
)
from bench.peer import PeerStart, peer_start, sample_of
from bench.scene import Scene
from bench.set_clock import write_offset
from tools.control_plane.process import ChildProcess

GOAL = (
    "100,000 certificates on one pod: cold start ≤ 1.2 times the bare client, ≤ 500 MB, no stall over 100 ms,"
    " take-over ≤ 4 minutes, a day's statuses without a queue that grows"
)
_DAY = timedelta(days=1)
_SCRAPE_EVERY_SECONDS = 30
_SAMPLE_EVERY_SECONDS = 5.0
"""The interval at full size; with fewer certificates it is shorter."""
_FULL_SIZE = 100_000
_NOISE = 64
"""Keys that a queue may grow by: as many as there are workers."""
_DEPTHS_SHOWN = 50
_MS = 1000


@dataclass(frozen=True, slots=True)
class _TakeOver:
    leads: float
    """Seconds from SIGKILL until the standby leads."""
    judged: float
    """Seconds from SIGKILL until the standby has also reconciled every certificate."""
    writes: float
    """The number of statuses that it wrote meanwhile, although nothing had changed."""
    stall: float


@dataclass(frozen=True, slots=True)
class _Day:
    seconds: float
    """The time from the setting of the clock until the last status was written and the queue was empty."""
    writes: float
    depths: list[int]
    """The depths of the queue, in the order of the samples."""
    stall: float
    """The longest stall of that operator until then."""
    memory: Memory
    scrapes: list[float]
    """The duration of each scrape, in seconds."""

    @property
    def peak(self) -> int:
        return max(self.depths)

    @property
    def growth(self) -> int:
        """The largest growth of the queue, in keys, after its peak."""
        lowest, most = self.peak, 0
        for depth in self.depths[self.depths.index(self.peak) :]:
            lowest = min(lowest, depth)
            most = max(most, depth - lowest)
        return most


@dataclass(frozen=True, slots=True)
class _Seen:
    """All that was measured."""

    creation: float
    """Seconds until all objects were created, from the first thousand on."""
    peers: tuple[PeerStart, PeerStart]
    """Before the operator and after it."""
    watching: PeerStart
    """The bare client with the operator's watches."""
    cold: ColdStart
    """Beside all others on the same cores, as the peer was."""
    alone: ColdStart
    """With a core to itself."""
    taken_over: _TakeOver
    day: _Day

    @property
    def peer_seconds(self) -> float:
        return sum(each.seconds for each in self.peers) / len(self.peers)

    @property
    def resident(self) -> float:
        return max(each.resident for each in (self.cold.after_scrape, self.alone.after_scrape, self.day.memory))

    @property
    def peak(self) -> float:
        return max(each.peak for each in (self.cold.after_scrape, self.alone.after_scrape, self.day.memory))


async def measure(scene: Scene) -> Outcome:
    size = scene.sizes.scale
    await cold_start(scene, min(scene.sizes.small, size))
    sample = await sample_of(scene)
    await scene.clear_statuses()
    began = time.monotonic()
    await scene.grow(size)
    creation = time.monotonic() - began
    await scene.clear_statuses()
    before = await peer_start(scene, sample)
    cold = await cold_start(scene, size)
    await scene.clear_statuses()
    peers = (before, await peer_start(scene, sample))
    await scene.clear_statuses()
    watching = await peer_start(scene, sample, watches=True)
    with one_kept_free() as cores:
        async with cold_started(scene, size, cores) as (leader, alone), _standby(scene, cores) as (successor, clock):
            taken_over = await _take_over(scene, leader, successor)
            day = await _a_day(scene, successor, clock)
    seen = _Seen(creation, peers, watching, cold, alone, taken_over, day)
    return Outcome(
        GOAL,
        (
            Figure("cold start", cold.seconds / seen.peer_seconds, "times the bare client", Bound.AT_MOST, 1.2),
            Figure("resident", seen.resident, "MB", Bound.AT_MOST, 500),
            *_stalls(seen),
            Figure("take-over, until all are judged", taken_over.judged, "s after SIGKILL", Bound.AT_MOST, 240),
            *_queue(day),
        ),
        against=f"bare aiohttp client: {seen.peer_seconds:.0f} s; ours: {cold.seconds:.0f} s; else fixed limits",
        details={
            "certificates": size,
            **_details(seen),
            **_servers(scene),
            "watchBegunAgain": scene.statuses.listed_anew,
        },
    )


def _details(seen: _Seen) -> dict[str, Any]:
    cold, day = seen.cold, seen.day
    return {
        "creationSeconds": round(seen.creation, 1),
        "oursSeconds": round(cold.seconds, 1),
        "oursSecondsWithACoreToItself": round(seen.alone.seconds, 1),
        "oursCpuSeconds": round(cold.cpu_seconds, 1),
        "serversCpuSeconds": dict(cold.servers),
        "oursCalls": dict(cold.calls),
        "peerSeconds": [round(each.seconds, 1) for each in seen.peers],
        "peerCpuSeconds": [round(each.cpu_seconds, 1) for each in seen.peers],
        "peerServersCpuSeconds": [dict(each.servers) for each in seen.peers],
        "peerSecondsWithWatches": round(seen.watching.seconds, 1),
        "peerServersCpuSecondsWithWatches": dict(seen.watching.servers),
        "peerCalls": dict(seen.peers[0].calls),
        "residentMB": round(cold.after_scrape.resident, 1),
        "residentAfterDayMB": round(day.memory.resident, 1),
        "peakMB": round(seen.peak, 1),
        "stallOnSharedCoresMs": round(cold.stall * _MS, 1),
        "scrapeMB": round(cold.scrape.size / 1e6, 1),
        "scrapeSeconds": round(cold.scrape.seconds, 2),
        "longestScrapeOfTheDaySeconds": round(max(day.scrapes, default=0.0), 2),
        "takeOverLeadsSeconds": round(seen.taken_over.leads, 1),
        "takeOverAllJudgedSeconds": round(seen.taken_over.judged, 1),
        "takeOverWrites": seen.taken_over.writes,
        "daySeconds": round(day.seconds, 1),
        "dayWrites": day.writes,
        "dayWritesASecond": round(day.writes / day.seconds, 1),
        "dayPeakQueueDepth": day.peak,
        "dayQueueDepths": day.depths[:: max(1, len(day.depths) // _DEPTHS_SHOWN)],
    }


def _stalls(seen: _Seen) -> tuple[Figure, ...]:
    stalls = {
        "stall, cold start": seen.alone.stall,
        "stall, with a scrape": seen.alone.stall_with_scrape,
        "stall, standby and take-over": seen.taken_over.stall,
        "stall, a day with scrapes": seen.day.stall,
    }
    return tuple(Figure(name, seconds * _MS, "ms", Bound.AT_MOST, 100) for name, seconds in stalls.items())


def _queue(day: _Day) -> tuple[Figure, ...]:
    rate = f"{day.writes / day.seconds:.0f} writes a second"
    return (
        Figure(f"a day's queue, from {day.peak} keys at its peak", day.growth, "keys of growth", Bound.AT_MOST, _NOISE),
        Figure(f"a day's queue in the end, {rate}", day.depths[-1], "keys", Bound.AT_MOST, 0),
    )


@asynccontextmanager
async def _standby(scene: Scene, cores: frozenset[int]) -> AsyncIterator[tuple[OperatorRun, Path]]:
    """Start an operator beside the leader, and wait until it is ready; yields it, and the file that holds its clock."""
    clock = scene.directory / "clock"
    write_offset(clock, timedelta())
    scene.say("a standby starts")
    program = ("bench.set_clock", str(clock))
    async with running(scene.control_plane, scene.directory, cores=cores, program=program) as run:
        seconds = await run.ready(120 + scene.size * SECONDS_EACH)
        scene.say(f"  ready after {seconds:.1f} s")
        yield run, clock


async def _take_over(scene: Scene, leader: OperatorRun, standby: OperatorRun) -> _TakeOver:
    scene.say("the leader is killed")
    began = time.monotonic()
    await leader.kill()
    async with asyncio.timeout(120):
        while not (await standby.own_metrics())[LEADER]:
            await asyncio.sleep(0.1)
    leads = time.monotonic() - began
    await looked_at_all(standby, scene.size, 120 + scene.size * SECONDS_EACH)
    judged = time.monotonic() - began
    own = await standby.own_metrics()
    scene.say(f"  the standby leads after {leads:.1f} s, and has reconciled all after {judged:.1f} s")
    return _TakeOver(leads, judged, own.get(STATUS_WRITES, 0.0), own[LONGEST_STALL])


async def _a_day(scene: Scene, run: OperatorRun, clock: Path) -> _Day:
    scene.say("a day passes: every status changes")
    before = {key: seen.days_remaining for key, seen in scene.statuses.objects.items()}
    written = (await run.own_metrics()).get(STATUS_WRITES, 0.0)
    depths: list[int] = []
    scrapes: list[float] = []
    scraping = asyncio.create_task(_scrape_on(run, scrapes))
    began = time.monotonic()
    write_offset(clock, _DAY)
    try:
        async with asyncio.timeout(120 + scene.size * SECONDS_EACH):
            while any(seen.days_remaining == before[key] for key, seen in scene.statuses.objects.items()) or depths[-1]:
                depths.append(int((await run.own_metrics())[QUEUE_DEPTH]))
                await asyncio.sleep(max(0.2, _SAMPLE_EVERY_SECONDS * scene.size / _FULL_SIZE))
    finally:
        scraping.cancel()
        with suppress(asyncio.CancelledError):
            await scraping
    seconds = time.monotonic() - began
    memory = await run.settled_memory()
    own = await run.own_metrics()
    day = _Day(seconds, own[STATUS_WRITES] - written, depths, own[LONGEST_STALL], memory, scrapes)
    scene.say(f"  {day.writes:.0f} statuses in {seconds:.1f} s; {day.peak} keys waited at the most")
    return day


async def _scrape_on(run: OperatorRun, scrapes: list[float]) -> None:
    while True:
        scrapes.append((await run.scrape()).seconds)
        await asyncio.sleep(_SCRAPE_EVERY_SECONDS)


def _servers(scene: Scene) -> dict[str, Any]:
    """The memory and disk space of API server and etcd at the end, in MB."""
    control_plane = scene.control_plane
    database = control_plane.directory / "etcd" / "member" / "snap" / "db"
    return {
        "apiServerPeakMB": _peak(control_plane.kube_apiserver),
        "etcdPeakMB": _peak(control_plane.etcd),
        "etcdDatabaseMB": round(database.stat().st_size / 1e6),
    }


def _peak(process: ChildProcess) -> int:
    return round(Memory.of(process.pid).peak)
