"""Child processes that never outlive the process that started them, and free ports for them."""

import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Protocol, Self, TypeVar

from .errors import ControlPlaneError, PortTakenError

Started = TypeVar("Started")

_EXEC_WITH_PARENT = Path(__file__).with_name("exec_with_parent.py")
_POLL_SECONDS = 0.03
# Below the range from which the system takes the local ports of outgoing connections. So none of thousands of
# connections of a bench can take a port after it was chosen and before it is used.
_PORTS = range(20_000, 32_000)
_TRIES = 3
_LOG_LINES = 20
_LINE_LENGTH = 500

_Request = tuple[Callable[[], "subprocess.Popen[bytes]"], "Future[subprocess.Popen[bytes]]"]


class Running(Protocol):
    """A process that was started, as `subprocess.Popen` describes it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class Launch(Protocol):
    """Starts a program in the background, as `ChildProcess.start` does."""

    def __call__(
        self, command: Sequence[str | Path], *, log_path: Path, env: Mapping[str, str], cwd: Path
    ) -> "ChildProcess": ...


class ChildProcess:
    """A program that runs in the background, with its output in a log file.

    It is in a session of its own, so that a Ctrl-C in the terminal reaches only this process, which then decides the
    order in which programs are stopped. On Linux the kernel kills it if this process is killed.
    """

    def __init__(self, name: str, process: Running, log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process

    @classmethod
    def start(cls, command: Sequence[str | Path], *, log_path: Path, env: Mapping[str, str], cwd: Path) -> Self:
        """Start it; output is appended to the log file. The environment is exactly `env`."""

        def popen() -> "subprocess.Popen[bytes]":
            wrapped = [sys.executable, "-I", "-S", _EXEC_WITH_PARENT, str(os.getpid()), *command]
            with log_path.open("ab") as log_file:
                return subprocess.Popen(
                    wrapped,
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    cwd=cwd,
                    start_new_session=True,
                )

        return cls(log_path.stem, _in_lasting_thread(popen), log_path)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative if a signal ended it."""
        return self._process.poll()

    def log_text(self) -> str:
        return self.log_path.read_text(errors="replace")

    def last_words(self) -> str:
        """The exit code if it has ended, and the end of its log."""
        return f"{self.name} {_ending(self.returncode)}. The end of its log:\n{self._log_end() or '(it is empty)'}"

    def _log_end(self) -> str:
        return "\n".join(line[:_LINE_LENGTH] for line in self.log_text().splitlines()[-_LOG_LINES:])

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return when `ready`; if it exits before, or after `timeout` seconds, kill it and raise with the log's end."""
        deadline = time.monotonic() + timeout
        while not (ready() and self.returncode is None):
            if self.returncode is not None:
                raise self._failure(f"exited with {self.returncode} before it was ready")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failure(f"was not ready after {timeout:g} s")
            time.sleep(_POLL_SECONDS)

    def _failure(self, what: str) -> ControlPlaneError:
        log = self.log_text()
        kind = PortTakenError if "address already in use" in log.lower() else ControlPlaneError
        return kind(f"{self.name} {what}. The end of {self.log_path}:\n{self._log_end()}")

    def stop(self, timeout: float = 10) -> int:
        """Send SIGTERM, then SIGKILL after `timeout` seconds. Returns the exit code; a second call does no harm."""
        if self.returncode is None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()

    def kill(self) -> None:
        """Send SIGKILL, and wait for its end."""
        self._process.kill()
        self._process.wait()


def _ending(code: int | None) -> str:
    if code is None:
        return "runs on"
    if code >= 0:
        return f"has ended with exit code {code}"
    killed = signal.Signals(-code)
    return f"was ended by {killed.name}{_killed_by_kernel() if killed is signal.SIGKILL else ''}"


def _killed_by_kernel() -> str:
    """The number of processes that the kernel has killed for lack of memory, in words; empty if it is not known."""
    try:
        counters = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return (
            f" (for lack of memory the kernel has killed {counters['oom_kill']} processes since this machine started)"
        )
    except (OSError, KeyError, ValueError):
        return ""


@cache
def _lasting_thread() -> "queue.SimpleQueue[_Request]":
    """The queue of a thread that ends only with the process.

    The kernel's signal to a child is sent when the *thread* that started it ends, so no thread of a pool or of a test
    may start one.
    """
    requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            popen, result = requests.get()
            try:
                result.set_result(popen())
            except BaseException as error:  # noqa: BLE001  # any error is raised in the caller
                result.set_exception(error)

    threading.Thread(target=serve, name="starts child processes", daemon=True).start()
    return requests


def _in_lasting_thread(popen: Callable[[], "subprocess.Popen[bytes]"]) -> "subprocess.Popen[bytes]":
    result: Future[subprocess.Popen[bytes]] = Future()
    _lasting_thread().put((popen, result))
    return result.result()


def free_port() -> int:
    """A port on 127.0.0.1 that no process listens on now."""
    for port in random.sample(_PORTS, k=100):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ControlPlaneError(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def on_free_ports(start: Callable[[], Started]) -> Started:
    """Call `start`, which chooses its ports by `free_port`; call it again if another process took one meanwhile."""
    for _ in range(_TRIES - 1):
        try:
            return start()
        except PortTakenError:
            continue
    return start()
