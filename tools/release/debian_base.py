"""A base for a rehearsal where no registry can be reached: a Debian with Python and pip, made by mmdebstrap."""

import os
import platform
import shutil
from pathlib import Path

from tools.control_plane.components import cache_directory, incomplete
from tools.control_plane.progress import exclusive, report

from .commands import run
from .errors import ReleaseError

SUITE = "trixie"
"""Its Python is that of the Dockerfile's base."""
_PACKAGES = "python3,python3-pip,ca-certificates"
_SECONDS = 1200.0
ENVIRONMENT = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def own_platform() -> str:
    """The platform of this machine, as an image names it."""
    machine = platform.machine()
    return f"linux/{_ARCHITECTURES.get(machine, machine)}"


def debian_root() -> Path:
    """The archive of the base's root, made once."""
    archive = cache_directory() / "base" / SUITE / "root.tar"
    if not archive.is_file():
        with exclusive(cache_directory() / "base.lock"):
            if not archive.is_file():
                _make(archive)
    return archive


def _make(archive: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        raise ReleaseError(
            "mmdebstrap is not on PATH: install it, on Debian and Ubuntu with `apt-get install mmdebstrap`"
        )
    report(f"Making a root of Debian {SUITE} with Python (usually 1 minute, and only once).")
    with incomplete(archive.parent) as temporary:
        made = temporary / archive.name
        options = ["--variant=minbase", f"--include={_PACKAGES}", "--skip=output/dev"]
        environment = {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
        run("mmdebstrap", *options, SUITE, made, environment=environment, seconds=_SECONDS)
        made.replace(archive)
