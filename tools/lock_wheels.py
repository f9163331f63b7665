"""Writes requirements/*.wheels: the file that each platform of the image installs for each locked package.

`make lock` runs it: `python -m tools.lock_wheels PYLOCK…`, each a lock in the standard format (PEP 751), which names
files and not only hashes. A package without a wheel for one of the platforms ends it: the image has no compiler.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

REPOSITORY = Path(__file__).resolve().parent.parent
REQUIREMENTS = REPOSITORY / "requirements"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""The platforms of the image, and what Python calls them."""
_OLDEST_GLIBC = (2, 17)
_GLIBC = (2, 36)
"""The version of Debian 12, the oldest base."""


class NoWheelError(Exception):
    """A package has no file that can be installed there without a compiler."""


@dataclass(frozen=True, order=True)
class Wheel:
    """A file of the package index."""

    package: str
    version: str
    name: str
    sha256: str

    @classmethod
    def parse(cls, name: str, sha256: str) -> Self:
        """Raises ValueError if it is not the name of a wheel."""
        package, version, _, _ = parse_wheel_filename(name)
        return cls(package, str(version), name, sha256)

    def tags(self) -> frozenset[Tag]:
        """The Python versions and platforms that can install it."""
        return parse_wheel_filename(self.name)[3]


def python_of_the_image() -> tuple[int, int]:
    """The version of Python that the Dockerfile's base has."""
    found = re.search(r"^ARG BASE=\S*python:(\d+)\.(\d+)-", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise LookupError("the base of the Dockerfile names no version of Python")
    return int(found[1]), int(found[2])


def tags_of(architecture: str) -> list[Tag]:
    """The tags of files that can be installed in the image, the best first."""
    machine, version = MACHINES[architecture], python_of_the_image()
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(_GLIBC[1], _OLDEST_GLIBC[1] - 1, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    interpreter = f"cp{version[0]}{version[1]}"
    return [*cpython_tags(version, platforms=platforms), *compatible_tags(version, interpreter, platforms)]


def is_needed(marker: str, architecture: str) -> bool:
    """True if the image installs a requirement with this marker."""
    version = ".".join(map(str, python_of_the_image()))
    image = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": MACHINES[architecture],
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
    }
    return not marker or Marker(marker).evaluate(image)


def best_wheel(wheels: list[Wheel], architecture: str) -> Wheel | None:
    """The file that pip chooses; None if none can be installed."""
    order = {tag: place for place, tag in enumerate(tags_of(architecture))}
    ranked = [
        (min(order[tag] for tag in wheel.tags() if tag in order), wheel) for wheel in wheels if _fits(wheel, order)
    ]
    return min(ranked)[1] if ranked else None


def _fits(wheel: Wheel, order: Mapping[Tag, int]) -> bool:
    return not order.keys().isdisjoint(wheel.tags())


def chosen(pylock: Mapping[str, Any], architecture: str) -> Iterator[Wheel]:
    """The file of each package. Raises NoWheelError."""
    for package in pylock["packages"]:
        if "version" not in package or not is_needed(package.get("marker", ""), architecture):
            continue
        wheels = [_wheel(each) for each in package.get("wheels", [])]
        best = best_wheel(wheels, architecture)
        if best is None:
            raise NoWheelError(
                f"{canonicalize_name(package['name'])} {package['version']} has no wheel for {architecture}"
            )
        yield best


def _wheel(entry: Mapping[str, Any]) -> Wheel:
    name = entry.get("name") or entry["url"].rpartition("/")[2]
    return Wheel.parse(name, entry["hashes"]["sha256"])


def read_wheels(path: Path) -> dict[str, list[Wheel]]:
    """The files of each platform."""
    found: dict[str, list[Wheel]] = {architecture: [] for architecture in MACHINES}
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            architecture, name, sha256 = line.split()
            found[architecture].append(Wheel.parse(name, sha256.removeprefix("sha256:")))
    return found


def write_wheels(pylock: Path, target: Path) -> None:
    """Write the files of each platform."""
    content = tomllib.loads(pylock.read_text())
    lines = ["# Written by `make lock`: what the image installs on each platform."]
    for architecture in MACHINES:
        lines += [f"{architecture} {each.name} sha256:{each.sha256}" for each in sorted(chosen(content, architecture))]
    target.write_text("\n".join(lines) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.lock_wheels", description=__doc__)
    parser.add_argument("pylock", type=Path, nargs="+", help="pylock.NAME.toml, which becomes NAME.wheels")
    for pylock in parser.parse_args().pylock:
        try:
            write_wheels(pylock, REQUIREMENTS / f"{pylock.name.removeprefix('pylock.').removesuffix('.toml')}.wheels")
        except NoWheelError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
