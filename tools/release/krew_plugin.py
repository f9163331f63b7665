"""`kubectl clientcert` for krew: an archive for each platform, and the manifest that names them.

krew unpacks an archive and makes a link to one file in it. It installs nothing else, so the archive has the wheel and
all packages of the lock, unpacked, for each version of Python that the reader may have.
"""

import gzip
import hashlib
import json
import re
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from .commands import run
from .errors import ReleaseError
from .versions import REPOSITORY

TEMPLATES = Path(__file__).with_name("krew")
LAUNCHER, MANIFEST = "kubectl-clientcert", "clientcert.yaml"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""With extension modules of each; those of several versions have different names, and lie side by side."""
PLATFORMS = {
    "linux/amd64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"),
    "linux/arm64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
    "darwin/arm64": ("macosx_11_0_arm64",),
}
"""By the names that krew has, the tags of the wheels that run there. For a Mac of Intel there is no cryptography."""
LOCK = REPOSITORY / "requirements/run.lock"
NOT_NEEDED = "uvloop"
"""It makes the operator faster; the command line does not use it."""
_SECONDS = 900.0
_MARKER = re.compile(r"^([\w.-]+==\S+) ; .*(?= \\$)", re.MULTILINE)


class Packages(Protocol):
    """The index of the packages in the lock."""

    def unpack(self, platform: str, directory: Path) -> None:
        """Put all of them for a platform into a directory, as Python imports them."""


class LockedPackages:
    """The wheels of the package index that the lock names by hash."""

    def unpack(self, platform: str, directory: Path) -> None:
        """Raises ReleaseError if a package has no wheel for the platform, or one that differs from the lock."""
        with tempfile.TemporaryDirectory() as temporary:
            lock, wheels = Path(temporary, "run.lock"), Path(temporary, "wheels")
            lock.write_text(for_every_python(without(NOT_NEEDED, LOCK.read_text())))
            for python in PYTHONS:
                _download(lock, python, PLATFORMS[platform], wheels)
            for wheel in sorted(wheels.iterdir()):
                unpack_wheel(wheel, directory)


@dataclass(frozen=True)
class Plugin:
    """The version and its source, from which the archives and the manifest are made."""

    version: str
    source_url: str
    epoch: int
    """The time of all files, in seconds since 1970."""

    def write(self, packages: Packages, wheel: Path, directory: Path, platforms: Sequence[str]) -> Path:
        """Write an archive for each platform and the manifest into a directory; returns the manifest."""
        archives = {}
        for platform in platforms:
            with tempfile.TemporaryDirectory() as temporary:
                library = Path(temporary, "lib")
                packages.unpack(platform, library)
                unpack_wheel(wheel, library)
                archives[platform] = self._pack(library, directory / self._name(platform))
        target = directory / MANIFEST
        target.write_text(self._manifest(archives))
        return target

    def _name(self, platform: str) -> str:
        return f"{LAUNCHER}-{self.version}-{platform.replace('/', '-')}.tar.gz"

    def _manifest(self, archives: dict[str, Path]) -> str:
        """The template with this version."""
        text = (TEMPLATES / MANIFEST).read_text()
        fields = {
            "homepage": self.source_url,
            "version": f"v{self.version}",
            "platforms": [self._platform(*each) for each in archives.items()],
        }
        wanted: dict[str, Any] = yaml.safe_load(text)
        wanted["spec"] |= fields
        for name, value in fields.items():
            text = re.sub(rf"^  {name}: .*$", f"  {name}: {json.dumps(value)}", text, count=1, flags=re.MULTILINE)
        if yaml.safe_load(text) != wanted:
            raise ReleaseError(f"{MANIFEST} has no lines {', '.join(f'`{name}:`' for name in fields)} below `spec:`")
        return text

    def _platform(self, platform: str, archive: Path) -> dict[str, Any]:
        system, machine = platform.split("/")
        return {
            "selector": {"matchLabels": {"os": system, "arch": machine}},
            "uri": f"{self.source_url}/releases/download/v{self.version}/{archive.name}",
            "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
            "bin": LAUNCHER,
        }

    def _pack(self, library: Path, target: Path) -> Path:
        """The same content is the same archive."""
        with (
            target.open("wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=self.epoch) as compressed,
            tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for source, name, mode in (
                (TEMPLATES / LAUNCHER, LAUNCHER, 0o755),
                (REPOSITORY / "LICENSE", "LICENSE", 0o644),
                *((path, f"lib/{path.relative_to(library)}", 0o644) for path in sorted(library.rglob("*"))),
            ):
                if source.is_file():
                    member = tarfile.TarInfo(name)
                    member.size, member.mtime, member.mode = source.stat().st_size, self.epoch, mode
                    with source.open("rb") as content:
                        archive.addfile(member, content)
        return target


def without(package: str, lock: str) -> str:
    """A lock with hashes, without one package. Raises ReleaseError if it is not there."""
    before, found, rest = f"\n{lock}".partition(f"\n{package}==")
    if not found:
        raise ReleaseError(f"{LOCK.name} has no {package}: remove it from {Path(__file__).name}, too")
    lines = rest.splitlines(keepends=True)
    end = next((number for number, line in enumerate(lines[1:], 1) if not line.startswith(" ")), len(lines))
    return before.removeprefix("\n") + "\n" + "".join(lines[end:])


def for_every_python(lock: str) -> str:
    """The lock without its markers: `pip download` compares them with the Python that runs it, not with the wanted one.

    The reader's Python ignores what it does not need.
    """
    return _MARKER.sub(r"\1", lock)


def unpack_wheel(wheel: Path, directory: Path) -> None:
    """Unpack a wheel, as an importer reads it. Raises ReleaseError if files of it belong somewhere else."""
    with zipfile.ZipFile(wheel) as archive:
        kept = [name for name in archive.namelist() if ".data/scripts/" not in name]
        outside = [name for name in kept if ".data/" in name or name.startswith("/") or ".." in name.split("/")]
        if outside:
            raise ReleaseError(f"{wheel.name} has files that are not for a library: {', '.join(outside[:3])}")
        archive.extractall(directory, kept)


def _download(lock: Path, python: str, tags: tuple[str, ...], directory: Path) -> None:
    """All wheels of the lock for one version of Python on one platform."""
    abi = f"cp{python.replace('.', '')}"
    platforms = [word for tag in tags for word in ("--platform", tag)]
    versions = ["--python-version", python, "--implementation", "cp", "--abi", abi, "--abi", "abi3", "--abi", "none"]
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    run(sys.executable, "-m", "pip", "download", *options, *platforms, *versions, "--dest", directory, "-r", lock,
        seconds=_SECONDS)  # fmt: skip
