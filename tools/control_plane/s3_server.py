"""versitygw: a real S3 server on this machine, which checks signatures and refuses the same requests as AWS.

Objects must be uploaded through its API (`S3Client`): files that are copied in have no ETag. It cannot store keys that
are no path of a file system (`a//b`, a leading `/`).
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .binaries import Binaries, find_or_build
from .process import ChildProcess, free_port, on_free_ports
from .servers import answers

_START_SECONDS = 30.0


@dataclass(frozen=True)
class S3Server:
    """A running S3 server with one user. A context manager: at its end the server is stopped."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str
    process: ChildProcess

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        binaries: Binaries | None = None,
        region: str = "eu-west-2",
        arguments: Sequence[str] = (),
    ) -> Self:
        """Start it; objects and log file are kept in a new `directory`. `arguments` are global flags."""
        binary = (binaries or find_or_build()).versitygw
        directory = directory.resolve()
        objects, metadata = directory / "objects", directory / "metadata"
        for folder in (objects, metadata):
            folder.mkdir(parents=True, exist_ok=True)
        access_key, secret_key = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
        environment = {
            "PATH": os.defpath,
            "HOME": str(directory),
            "ROOT_ACCESS_KEY": access_key,
            "ROOT_SECRET_KEY": secret_key,
        }

        def start() -> tuple[ChildProcess, int]:
            port = free_port()
            # Connections are kept alive, as with AWS.
            flags = ["--region", region, "--port", f"127.0.0.1:{port}", "--quiet", "--keep-alive", *arguments]
            command: list[str | Path] = [binary, *flags, "posix", "--sidecar", metadata, objects]
            log_path = directory / "versitygw.log"
            process = ChildProcess.start(command, log_path=log_path, env=environment, cwd=directory)
            process.wait_until(lambda: answers(port, "/"), _START_SECONDS)
            return process, port

        process, port = on_free_ports(start)
        return cls(f"http://127.0.0.1:{port}", access_key, secret_key, region, process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self.process.stop()
