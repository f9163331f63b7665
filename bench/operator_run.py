"""One process of the operator, and the figures that are read from it from outside."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.api_calls import Calls
from bench.cores import confine
from bench.liveness import ProcessEndedError, must_live
from tools.control_plane import ControlPlane, OperatorProcess

LONGEST_STALL = "clientcert_event_loop_longest_stall_seconds"
RECONCILES = "clientcert_reconcile_duration_seconds_count"
STATUS_WRITES = "clientcert_status_writes_total"
QUEUE_DEPTH = "clientcert_queue_depth"
WAITING = "clientcert_notifications_waiting"
LEADER = "clientcert_leader"

SECONDS_EACH = 0.02
"""The longest time for one status, after which the bench gives up."""

_REPOSITORY = Path(__file__).resolve().parents[1]
_SOURCES = os.pathsep.join(str(path) for path in (_REPOSITORY / "operator", _REPOSITORY))
"""The bench always measures the code beside it, even if another version is installed."""
_OWN_SERIES = re.compile(r"^(clientcert_[a-z_]+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_OWN_BYTES = 64 * 1024
"""More than the size of the operator's own metrics, which come first."""
_KIB = 1024
_IDLE_SECONDS = 35
"""aiohttp looks every 15 s for connections that were unused for as long."""
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of the whole process, from /proc, in MB of a million bytes."""

    resident: float
    peak: float

    @classmethod
    def of(cls, pid: int) -> "Memory":
        values = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if "VmRSS" not in values:
            raise ProcessLookupError(f"process {pid} has no memory: it has ended, and is only not reaped yet")
        resident, peak = (int(values[name].split()[0]) * _KIB / _MB for name in ("VmRSS", "VmHWM"))
        return cls(resident, peak)


def cpu_seconds(pid: int) -> float:
    """User and system time of a whole process since its start (proc(5), fields 14 and 15)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Scrape:
    """One GET of /metrics. Its values were true at its beginning."""

    own: Mapping[str, float]
    """The operator's own metrics; those with labels are summed up."""
    seconds: float
    size: int


@dataclass(frozen=True, slots=True)
class ColdStart:
    """The figures of an operator that was started over objects without a status."""

    seconds: float
    """From the start of the process until the bench's watch has shown the last status."""
    settled: Memory
    """The memory after all work was done, before the first request for metrics."""
    after_scrape: Memory
    """The memory after one scrape."""
    cpu_seconds: float
    """The CPU time until it had settled."""
    servers: Mapping[str, float]
    """The CPU time of each server until the last status was written, in seconds."""
    calls: Calls
    """Its API calls until then."""
    writes: float
    """The number of statuses that it wrote, by its own count."""
    stall: float
    """The longest stall of its event loop by its own gauge, in seconds, until the first scrape began."""
    stall_with_scrape: float
    """The same, that scrape included."""
    scrape: Scrape


@dataclass(slots=True)
class OperatorRun:
    """A running operator."""

    process: OperatorProcess
    began: float
    """The start time of its process, by time.monotonic."""
    may_end: bool = False
    """True if the bench itself has stopped it."""

    def memory(self) -> Memory:
        return Memory.of(self.process.pid)

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    async def stop(self) -> None:
        """Send SIGTERM; returns when it has ended."""
        self.may_end = True
        code = await asyncio.to_thread(self.process.stop)
        if code:
            print(f"It was told to stop: {self.process.process.last_words()}", flush=True)

    async def kill(self) -> None:
        """Send SIGKILL; returns when it has ended."""
        self.may_end = True
        await asyncio.to_thread(self.process.kill)

    async def is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.process.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def ready(self, seconds: float = 120) -> float:
        """Wait for /readyz; returns the time since the start of the process."""
        while not await self.is_ready():
            if time.monotonic() - self.began > seconds:
                raise TimeoutError(f"the operator was not ready after {seconds:.0f} s")
            await asyncio.sleep(0.1)
        return time.monotonic() - self.began

    async def scrape(self) -> Scrape:
        """All of /metrics, as Prometheus reads it."""
        before = time.monotonic()
        head, size = b"", 0
        async with aiohttp.ClientSession() as session, session.get(f"{self.process.url}/metrics") as answer:
            async for piece in answer.content.iter_any():
                size += len(piece)
                if len(head) < _OWN_BYTES:
                    head += piece
        return Scrape(_own_metrics(head), time.monotonic() - before, size)

    async def own_metrics(self) -> Mapping[str, float]:
        """Only the operator's own metrics: the series of the certificates, which come after them, are not read."""
        head = b""
        async with aiohttp.ClientSession() as session, session.get(f"{self.process.url}/metrics") as answer:
            async for piece in answer.content.iter_any():
                head += piece
                if len(head) >= _OWN_BYTES:
                    break
            answer.close()
        return _own_metrics(head)

    async def settled_memory(self, seconds: float = 30) -> Memory:
        """Wait until it changes by at most one percent in three seconds; at most `seconds` seconds."""
        deadline, before = time.monotonic() + seconds, self.memory()
        while True:
            await asyncio.sleep(3)
            now = self.memory()
            if abs(now.resident - before.resident) <= before.resident / 100 or time.monotonic() > deadline:
                return now
            before = now

    async def quiet_memory(self, seconds: float = 30) -> Memory:
        """Wait until the connections that nobody uses are closed, and then as in `settled_memory`."""
        await asyncio.sleep(_IDLE_SECONDS)
        return await self.settled_memory(seconds)


def _own_metrics(head: bytes) -> dict[str, float]:
    own: dict[str, float] = {}
    for name, value in _OWN_SERIES.findall(head.decode(errors="replace")):
        own[name] = own.get(name, 0.0) + float(value)
    return own


@asynccontextmanager
async def running(
    control_plane: ControlPlane,
    directory: Path,
    *,
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cores: frozenset[int] = frozenset(),
    program: Sequence[str] = ("clientcert", "run"),
) -> AsyncIterator[OperatorRun]:
    """Start it, under its own ServiceAccount and with the shipped RBAC, and stop it at the end.

    With `cores` it runs on these alone. The call does not wait until it is ready: a cold start is measured from the
    start of the process. Raises ProcessEndedError if it ends before it is stopped.
    """
    began = time.monotonic()
    process = await asyncio.to_thread(
        OperatorProcess.start,
        control_plane,
        directory=directory,
        args=args,
        env={"PYTHONPATH": _SOURCES, **(env or {})},
        ready_timeout=None,
        program=program,
    )
    confine(process.pid, cores)
    run = OperatorRun(process, began)
    try:
        async with must_live(process.process, may_end=lambda: run.may_end):
            yield run
    except ProcessEndedError:
        run.may_end = True  # it has got SIGTERM already
        raise
    except Exception as error:
        error.add_note(process.process.last_words())
        raise
    finally:
        if not run.may_end:
            await run.stop()
