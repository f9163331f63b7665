"""Finds the files of a Go module that is pinned by a go.mod and go.sum of ours, and downloads it once."""

import json
import subprocess
from pathlib import Path

from .components import GO_MODULES, required_version
from .errors import ControlPlaneError
from .go_toolchain import find_go, go_environment

_DOWNLOAD_SECONDS = 300


def module_directory(go_module: str, path: str) -> Path:
    """The directory of the module `path`, verified by `go/<go_module>/go.sum`. Raises ControlPlaneError."""
    wanted = f"{path}@v{required_version(go_module, path)}"
    command: list[str | Path] = [find_go(), "mod", "download", "-json", wanted]
    answer = subprocess.run(
        command,
        cwd=GO_MODULES / go_module,
        env=go_environment(),
        capture_output=True,
        text=True,
        timeout=_DOWNLOAD_SECONDS,
        check=False,
    )
    found = json.loads(answer.stdout or "{}")
    if answer.returncode != 0 or "Dir" not in found:
        raise ControlPlaneError(f"{wanted} could not be downloaded: {found.get('Error') or answer.stderr.strip()}")
    return Path(found["Dir"])
