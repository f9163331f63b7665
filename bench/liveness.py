"""Reports the end of a process that is still needed at once: its exit code or signal, and the end of its log.

Otherwise the bench would see only the consequences: a refused connection, a wait that takes too long, or a zombie,
which has no memory in /proc.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tools.control_plane.process import ChildProcess

_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 1.0
"""The time after which the end of a process is visible; its connections break earlier."""
_LOG_LINES = 20
_LINE_LENGTH = 500


class ProcessEndedError(RuntimeError):
    """A process that was needed has ended; the message contains its exit code or signal."""


@asynccontextmanager
async def must_live(process: ChildProcess, *, may_end: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
    """A block that is cancelled when the process ends; it then raises ProcessEndedError.

    Any other error of the block becomes ProcessEndedError, too, if the process has ended: it is only a consequence.
    `may_end` returns True if the bench itself has stopped the process on purpose.
    """

    async def watch() -> None:
        while may_end() or process.returncode is None:
            await asyncio.sleep(_LOOK_SECONDS)
        raise ProcessEndedError(last_words(process))

    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            yield
            watching.cancel()
    except ExceptionGroup as errors:
        if not may_end() and await _has_ended(process):
            raise ProcessEndedError(last_words(process)) from errors
        raise errors.exceptions[0] from None


def last_words(process: ChildProcess) -> str:
    """The state of a process, with its exit code or signal, and the end of its log."""
    log = process.log_text().splitlines()[-_LOG_LINES:]
    shown = "\n".join(line[:_LINE_LENGTH] for line in log) or "(it is empty)"
    return f"{process.name} {_ending(process.returncode)}. The end of its log:\n{shown}"


async def _has_ended(process: ChildProcess) -> bool:
    deadline = time.monotonic() + _GRACE_SECONDS
    while process.returncode is None and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_SECONDS)
    return process.returncode is not None


def _ending(code: int | None) -> str:
    if code is None:
        return "runs on"
    if code >= 0:
        return f"has ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"was ended by {name}{_killed_by_kernel()}" if name == "SIGKILL" else f"was ended by {name}"


def _killed_by_kernel() -> str:
    """The number of processes that the kernel has killed for lack of memory since this machine was started."""
    try:
        counters = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return (
            f" (for lack of memory the kernel has killed {counters['oom_kill']} processes since this machine started)"
        )
    except (OSError, KeyError, ValueError):
        return ""
