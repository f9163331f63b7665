"""Runs one program of the release, and explains its failure."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .errors import ReleaseError

_LINES_SHOWN = 20


def run(
    *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None, seconds: float = 600
) -> str:
    """Run it and return its standard output; `environment` is added to ours. Raises ReleaseError."""
    try:
        answer = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise ReleaseError(f"{command[0]} is not on PATH: install it") from None
    except subprocess.TimeoutExpired:
        raise ReleaseError(f"{command[0]} took longer than {seconds:g} s") from None
    if answer.returncode != 0:
        end = "\n".join((answer.stdout + answer.stderr).splitlines()[-_LINES_SHOWN:])
        raise ReleaseError(f"`{' '.join(map(str, command))}` exited with {answer.returncode}:\n{end}")
    return answer.stdout
