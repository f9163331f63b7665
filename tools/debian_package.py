"""Unpacks a package of Debian below a directory: no root is needed, and nothing is installed."""

import shutil
import subprocess
from pathlib import Path

_APT_SECONDS = 120.0


class DebianPackageError(Exception):
    """The package cannot be had; the message says why."""


def can_unpack() -> bool:
    """True on Debian and its relatives."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg") is not None


def unpack(package: str, directory: Path) -> Path:
    """Unpack a package in an empty directory; returns its root. Raises DebianPackageError."""
    _download(package, directory)
    [archive] = directory.glob(f"{package}_*.deb")
    _run(package, "dpkg", "-x", archive.name, "root", directory=directory)
    return directory / "root"


def _download(package: str, directory: Path) -> None:
    """Download it, if need be with lists of packages of our own: those of the machine may be missing."""
    try:
        _run(package, "apt-get", "download", package, directory=directory)
    except DebianPackageError:
        options = ("-o", f"Dir::State={directory}/state", "-o", f"Dir::Cache={directory}/cache")
        (directory / "state/lists/partial").mkdir(parents=True)
        (directory / "cache/archives/partial").mkdir(parents=True)
        _run(package, "apt-get", *options, "update", directory=directory)
        _run(package, "apt-get", *options, "download", package, directory=directory)


def _run(package: str, *command: str, directory: Path) -> None:
    try:
        subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True, timeout=_APT_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        printed = getattr(error, "stderr", "") or ""
        words = printed.strip().splitlines()[-1:] or [str(error)]
        raise DebianPackageError(f"Debian's package {package} cannot be unpacked: {command[0]}: {words[0]}") from None
