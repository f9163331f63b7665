"""Child processes are started, waited for and stopped."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tools.control_plane import ControlPlaneError
from tools.control_plane.process import ChildProcess, free_port, on_free_ports


def start(program: str, directory: Path, *arguments: str) -> ChildProcess:
    command = [sys.executable, "-c", program, *arguments]
    return ChildProcess.start(command, log_path=directory / "child.log", env=dict(os.environ), cwd=directory)


def test_pid_is_the_program_itself(tmp_path: Path) -> None:
    """The pid that is measured and signalled belongs to the program, not to a wrapper."""
    child = start("import os, time; print(os.getpid(), flush=True); time.sleep(60)", tmp_path)
    child.wait_until(lambda: child.log_text() != "", timeout=10)
    assert int(child.log_text()) == child.pid
    child.kill()


def test_taken_port_is_tried_again(tmp_path: Path) -> None:
    """If another process takes a port between its choice and its use, another try is made."""
    listen = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
time.sleep(60)
"""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        ports = [taken.getsockname()[1], free_port()]
        tried: list[int] = []

        def try_once() -> ChildProcess:
            tried.append(ports[len(tried)])
            child = start(listen, tmp_path, str(tried[-1]))
            child.wait_until(lambda: "listening" in child.log_text(), timeout=10)
            return child

        on_free_ports(try_once).kill()
    assert tried == ports


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """The stop takes as long as its limit, and no longer."""
    deaf = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
    child = start(deaf, tmp_path)
    child.wait_until(lambda: "deaf" in child.log_text(), timeout=10)
    before = time.monotonic()
    assert child.stop(timeout=0.3) == -signal.SIGKILL
    assert time.monotonic() - before < 5


def test_stopping_twice_does_no_harm(tmp_path: Path) -> None:
    """The exit code of an ended process is kept."""
    child = start("raise SystemExit(3)", tmp_path)
    with pytest.raises(ControlPlaneError, match="exited with 3"):
        child.wait_until(lambda: False, timeout=10)
    assert [child.stop(), child.stop()] == [3, 3]
