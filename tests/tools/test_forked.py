"""Forked processes behave as others do: their exit codes, their signals, and their end with the test worker."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.control_plane.waiting import until
from tests.forked import Forked

LONG = 600.0
WORKER = f"""
import sys, time
from tests.forked import Forked
print(Forked(time.sleep, {LONG}).pid, Forked(time.sleep, {LONG}).pid, flush=True)
sys.stdin.read()
"""


def lives(pid: int) -> bool:
    """False for a process that has ended, also while nobody has waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code(code: int) -> None:
    forked = Forked(sys.exit, code)
    assert (forked.wait(LONG), forked.poll()) == (code, code)


def test_the_signal_that_ended_it() -> None:
    """Also if another thread waits for its end meanwhile."""
    for end, number in ((Forked.terminate, signal.SIGTERM), (Forked.kill, signal.SIGKILL)):
        forked = Forked(time.sleep, LONG)
        assert forked.poll() is None
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(forked.wait, LONG)
            end(forked)
            assert waiting.result() == -number
        forked.kill()
        assert forked.poll() == -number


def test_a_wait_has_an_end() -> None:
    forked = Forked(time.sleep, LONG)
    with pytest.raises(subprocess.TimeoutExpired):
        forked.wait(0.01)
    forked.kill()


def test_no_exit_code_is_lost_among_threads() -> None:
    """Each start looks at all processes, and each code can be read once."""
    codes: list[int] = []

    def run() -> None:
        codes.extend(Forked(sys.exit, code).wait(LONG) for code in range(1, 11))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == sorted(4 * list(range(1, 11)))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_that_started_it(end: signal.Signals) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    pids = [int(each) for each in worker.stdout.readline().split()]
    assert [lives(pid) for pid in pids] == [True, True]
    worker.send_signal(end)
    worker.communicate()
    until(lambda: not any(lives(pid) for pid in pids))
