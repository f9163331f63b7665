"""Runs `clientcert` in processes forked from one that has imported what it needs: that takes most of a second.

It is for tests that start many. The demo, the bench, and tests about memory or about the end of the process start the
program itself: a forked one has the memory of all tests' libraries, and ends without the interpreter's finalization.
`SSL_CERT_FILE` does not change what a library has read at its import, such as aiohttp's default TLS context.
"""

import atexit
import ctypes
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection, forkserver, util  # noqa: F401  # util: its handler at exit runs after ours
from pathlib import Path
from typing import Any

from clientcert.cli.main import cli
from tools.control_plane.process import ChildProcess

_CONTEXT = multiprocessing.get_context("forkserver")
_LIBRARIES = ("core_v1_api", "custom_objects_api", "authentication_v1_api")
_CONTEXT.set_forkserver_preload(
    [
        __name__,
        "clientcert.__main__",
        "clientcert.app",
        *(f"clientcert.cli.{name.replace('-', '_')}" for name in cli.commands),
        "kubernetes.config.kube_config",
        *(f"kubernetes.client.api.{name}" for name in _LIBRARIES),
    ]
)
_PR_SET_PDEATHSIG = 1
_AT_START_OF_INTERPRETER = ("PYTHONPATH", "PYTHONHASHSEED", "LD_", "MALLOC_")
"""Variables that have no effect later."""
_lock = threading.Lock()
"""An exit code can be read once, and a start reads those of all processes."""
_started: "weakref.WeakSet[Forked]" = weakref.WeakSet()


class Forked:
    """A process that was forked, as `subprocess.Popen` describes one; threads may share it."""

    def __init__(self, run: Callable[..., None], *arguments: Any) -> None:
        """Run this function of a module; its arguments are pickled."""
        self._process = _CONTEXT.Process(target=_enter, args=(run, arguments), daemon=True)
        with _lock:
            self._process.start()
        _started.add(self)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        with _lock:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


@atexit.register
def _kill_all() -> None:
    for each in list(_started):
        each.kill()


def _enter(run: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    # The fork server ends when the last copy of this end of its pipe is closed: only the test worker may keep one.
    alive = forkserver._forkserver._forkserver_alive_fd  # type: ignore[attr-defined]
    os.close(alive)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    gc.freeze()
    run(*arguments)


def become(
    program: Sequence[str], environment: Mapping[str, str], directory: Path, stdin: Path, *outputs: Path
) -> None:
    """Have this process look like a new one of this program. Both outputs, or the only one, are appended to."""
    for number, path in enumerate((stdin, outputs[0], outputs[-1])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        descriptor = os.open(path, flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        open(0, encoding="utf-8"),  # noqa: SIM115
        open(1, "w", buffering=1, encoding="utf-8"),  # noqa: SIM115
        open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace"),  # noqa: SIM115
    )
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    sys.argv = list(program)


def forked_operator(
    command: Sequence[str | Path], *, log_path: Path, env: Mapping[str, str], cwd: Path
) -> ChildProcess:
    """Do what `ChildProcess.start` does; that starts what is not `clientcert run` of this interpreter."""
    python, *program = map(str, command)
    own = python == sys.executable and program[:3] == ["-m", "clientcert", "run"]
    if not own or any(name.startswith(_AT_START_OF_INTERPRETER) for name in env):
        return ChildProcess.start(command, log_path=log_path, env=env, cwd=cwd)
    log_path.touch(mode=0o600)
    forked = Forked(_operator, ("clientcert", *program[2:]), dict(env), cwd, log_path)
    return ChildProcess(log_path.stem, forked, log_path)


def _operator(program: Sequence[str], environment: Mapping[str, str], directory: Path, log_path: Path) -> None:
    os.setsid()
    become(program, environment, directory, Path(os.devnull), log_path)
    from clientcert.__main__ import main

    main()
