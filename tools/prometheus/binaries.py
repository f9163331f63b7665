"""Finds prometheus and promtool, or unpacks them once from Debian's package into the cache."""

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.control_plane.components import cache_directory, incomplete
from tools.control_plane.progress import exclusive, report
from tools.debian_package import DebianPackageError, can_unpack, unpack

_PACKAGE = "prometheus"
_NAMES = ("prometheus", "promtool")


class PrometheusMissingError(Exception):
    """The programs are not here, and cannot be unpacked; the message says why."""


@dataclass(frozen=True)
class PrometheusBinaries:
    """The path of each program."""

    prometheus: Path
    promtool: Path


@cache
def find_or_unpack() -> PrometheusBinaries:
    """Find both programs, or unpack them: this takes seconds the first time. Raises PrometheusMissingError.

    Any number of processes may call this at the same time: one unpacks, the others wait for it.
    """
    directory = cache_directory() / "prometheus"
    found = _find(directory)
    if found is None:
        with exclusive(cache_directory() / "prometheus.lock"):
            found = _find(directory) or _unpack(directory)
    return found


def _find(directory: Path) -> PrometheusBinaries | None:
    on_path = [shutil.which(name) for name in _NAMES]
    if all(on_path):
        return PrometheusBinaries(*map(Path, filter(None, on_path)))
    if all((directory / name).is_file() for name in _NAMES):
        return PrometheusBinaries(*(directory / name for name in _NAMES))
    return None


def _unpack(directory: Path) -> PrometheusBinaries:
    if not can_unpack():
        raise PrometheusMissingError("prometheus and promtool are not on PATH, and this is no Debian to get them from")
    report("Unpacking Debian's package prometheus for its tests (usually 5 s).")
    with incomplete(directory) as temporary:
        try:
            root = unpack(_PACKAGE, temporary)
        except DebianPackageError as error:
            raise PrometheusMissingError(str(error)) from None
        for name in _NAMES:
            (root / "usr/bin" / name).replace(directory / name)
    return PrometheusBinaries(*(directory / name for name in _NAMES))
