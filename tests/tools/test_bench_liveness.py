"""The bench reports a process that ends while it is needed: how it ended, and the end of its log."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bench.liveness import ProcessEndedError, must_live
from bench.operator_run import Memory
from tools.control_plane.process import ChildProcess

LIVE = "import time; print('I live', flush=True); time.sleep(60)"


def start(program: str, directory: Path) -> ChildProcess:
    command = [sys.executable, "-c", program]
    return ChildProcess.start(command, log_path=directory / "child.log", env=dict(os.environ), cwd=directory)


async def beside(child: ChildProcess, work: Callable[[], Awaitable[None]]) -> None:
    async with must_live(child):
        await work()


async def test_exit_code_and_log_of_what_ends_are_reported(tmp_path: Path) -> None:
    """A wait for another condition ends at once."""
    child = start("print('the port is taken'); raise SystemExit(3)", tmp_path)
    began = time.monotonic()
    with pytest.raises(ProcessEndedError, match=r"child has ended with exit code 3. The end of its log:\nthe port is"):
        await beside(child, lambda: asyncio.sleep(60))
    assert time.monotonic() - began < 10


async def test_signal_is_reported_by_its_name(tmp_path: Path) -> None:
    """Also without a line in the log."""
    child = start("import time; time.sleep(60)", tmp_path)

    async def killed() -> None:
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.sleep(60)

    with pytest.raises(ProcessEndedError, match=r"was ended by SIGKILL.*\n\(it is empty\)"):
        await beside(child, killed)


async def test_memory_of_a_zombie_is_the_end_of_the_process(tmp_path: Path) -> None:
    """A read that fails because the process has ended is reported as its end."""
    child = start("raise SystemExit(1)", tmp_path)

    async def read_of_a_zombie() -> None:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its parent has not waited for it
        Memory.of(child.pid)

    with pytest.raises(ProcessEndedError, match="exit code 1"):
        await beside(child, read_of_a_zombie)


async def test_error_beside_a_process_that_lives_stays_as_it_is(tmp_path: Path) -> None:
    """The error is no consequence of an end."""
    child = start(LIVE, tmp_path)

    async def too_slow() -> None:
        raise TimeoutError("too slow")

    with pytest.raises(TimeoutError, match="too slow"):
        await beside(child, too_slow)
    child.kill()


async def test_end_on_purpose_is_no_failure(tmp_path: Path) -> None:
    """The bench stops a leader so that another takes over."""
    child, stopped = start(LIVE, tmp_path), False
    async with must_live(child, may_end=lambda: stopped):
        stopped = True
        child.kill()
        await asyncio.sleep(0.3)
    assert child.returncode == -signal.SIGKILL
