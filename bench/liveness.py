"""Reports the end of a process that is still needed at once: its exit code or signal, and the end of its log.

Otherwise the bench would see only the consequences: a refused connection, a wait that takes too long, or a zombie,
which has no memory in /proc.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tools.control_plane.process import ChildProcess

_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 1.0
"""The connections of a process break before it can be seen to have ended."""


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
        raise ProcessEndedError(process.last_words())

    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            yield
            watching.cancel()
    except ExceptionGroup as errors:
        if not may_end() and await _has_ended(process):
            raise ProcessEndedError(process.last_words()) from errors
        raise errors.exceptions[0] from None


async def _has_ended(process: ChildProcess) -> bool:
    deadline = time.monotonic() + _GRACE_SECONDS
    while process.returncode is None and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_SECONDS)
    return process.returncode is not None
