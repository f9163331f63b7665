"""The operator as a process of this machine.

It runs under its own ServiceAccount, as in a pod, and never as administrator: so the RBAC is tested, too.
"""

import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from .api_server import ControlPlane
from .process import ChildProcess, Launch, free_port, on_free_ports
from .servers import answers

SERVICE_ACCOUNT = ("clientcert-system", "clientcert-operator")
_STOP_SECONDS = 60.0
"""The grace period in the Deployment: the operator finishes pending work, then releases its Lease."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class OperatorProcess:
    """A running `clientcert run`. A context manager: at its end the operator is stopped."""

    url: str
    process: ChildProcess

    @classmethod
    def start(
        cls,
        control_plane: ControlPlane,
        *,
        directory: Path,
        args: Sequence[str] = (),
        env: Mapping[str, str] = _NOTHING,
        service_account: tuple[str, str] = SERVICE_ACCOUNT,
        ready_timeout: float | None = 120,
        program: Sequence[str] = ("clientcert", "run"),
        python: str = sys.executable,
        launch: Launch = ChildProcess.start,
    ) -> Self:
        """Run it with `args`; its environment has only `env`, PATH and the location of its credentials.

        The ServiceAccount must exist, with the RBAC to be tested. Returns when /readyz answers 200, or at once if
        `ready_timeout` is None; raises ControlPlaneError with the end of the log if it does not become ready. `program`
        is a module and its first arguments, and `python` the interpreter that has it. Log and kubeconfig are written to
        `directory`, which several operators may share.
        """
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        name = f"operator-{uuid.uuid4().hex[:8]}"
        kubeconfig = directory / f"{name}.kubeconfig"
        control_plane.service_account_kubeconfig(*service_account, kubeconfig)
        environment = _own_environment(directory, kubeconfig) | dict(env)

        def start() -> tuple[ChildProcess, int]:
            port = free_port()
            command = [python, "-m", *program, "--port", str(port), *args]
            log_path = directory / f"{name}.log"
            process = launch(command, log_path=log_path, env=environment, cwd=directory)
            if ready_timeout is not None:
                process.wait_until(lambda: answers(port, "/readyz", 200), ready_timeout)
            return process, port

        process, port = on_free_ports(start)
        return cls(f"http://127.0.0.1:{port}", process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_text(self) -> str:
        """Standard output and standard error so far."""
        return self.process.log_text()

    def stop(self) -> int:
        """Send SIGTERM, and SIGKILL if it takes longer than a minute. Returns the exit code."""
        return self.process.stop(timeout=_STOP_SECONDS)

    def kill(self) -> None:
        """Send SIGKILL: for all others this is the same as the loss of a node."""
        self.process.kill()


def _own_environment(directory: Path, kubeconfig: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "KUBECONFIG": str(kubeconfig),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
