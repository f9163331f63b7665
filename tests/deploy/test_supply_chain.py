"""Only locked packages are installed, each by version and hash, in the image and for development."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY
from tools.lock_wheels import MACHINES, NoWheelError, Wheel, best_wheel, chosen, is_needed, read_wheels

LOCKS = sorted((REPOSITORY / "requirements").glob("*.lock"))
IMAGE_LOCKS = ["run", "apprise"]
_PIP_INSTALL = re.compile(r"^.*?\bpip\b[^\n&|]*? install\b.*$", re.MULTILINE)


def entries(lock: Path) -> list[str]:
    """Each requirement with its lines."""
    return [entry for entry in re.split(r"^(?=[^\s#])", lock.read_text(), flags=re.MULTILINE) if entry.strip()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_each_package_has_one_version_and_its_hashes(lock: Path) -> None:
    """The locks name no index: a hash is valid for every source."""
    loose = [
        entry.splitlines()[0]
        for entry in entries(lock)
        if not re.match(r"[\w.\[\]-]+==\S+", entry) or not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)
    ]
    assert loose == []
    assert "://" not in lock.read_text()


def test_the_image_installs_nothing_else() -> None:
    """Each `pip install` requires hashes, or installs a build of this checkout without an index."""
    installs = _PIP_INSTALL.findall((REPOSITORY / "Dockerfile").read_text())
    assert len(installs) >= 2
    assert [line.strip() for line in installs if "--require-hashes" not in line and "--no-index" not in line] == []


def test_development_installs_nothing_else() -> None:
    """Except the tool that writes the locks."""
    makefile = (REPOSITORY / "Makefile").read_text()
    without_lock = re.sub(r"^lock:.*?(?=^\S)", "", makefile, flags=re.MULTILINE | re.DOTALL)
    installs = _PIP_INSTALL.findall(without_lock)
    assert installs
    allowed = ("--require-hashes", "--no-deps")
    assert [line.strip() for line in installs if not any(option in line for option in allowed)] == []


def locked_for_the_image(lock: str, architecture: str) -> dict[str, tuple[str, set[str]]]:
    """Version and hashes of each package that the image installs there."""
    found = {}
    for entry in entries(REPOSITORY / f"requirements/{lock}.lock"):
        requirement = Requirement(entry.splitlines()[0].removesuffix("\\").strip())
        if is_needed(str(requirement.marker or ""), architecture):
            version = str(requirement.specifier).removeprefix("==")
            found[canonicalize_name(requirement.name)] = (version, set(re.findall(r"sha256:([0-9a-f]{64})", entry)))
    return found


@pytest.mark.parametrize("architecture", MACHINES)
@pytest.mark.parametrize("lock", IMAGE_LOCKS)
def test_the_image_can_be_made_for_each_platform_without_a_compiler(lock: str, architecture: str) -> None:
    """For each locked package there is a wheel that can be installed there, and its hash is in the lock."""
    wheels = {wheel.package: wheel for wheel in read_wheels(REPOSITORY / f"requirements/{lock}.wheels")[architecture]}
    locked = locked_for_the_image(lock, architecture)
    assert {name: wheel.version for name, wheel in wheels.items()} == {name: each[0] for name, each in locked.items()}
    assert [wheel.name for name, wheel in wheels.items() if wheel.sha256 not in locked[name][1]] == []
    assert [wheel.name for wheel in wheels.values() if best_wheel([wheel], architecture) is None] == []


def test_the_package_has_every_file() -> None:
    """Each file that is no module is named in pyproject.toml; else an installed program would miss it."""
    data = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folder = REPOSITORY / "operator"
    named = {
        path
        for package, globs in data.items()
        for each in globs
        for path in folder.joinpath(*package.split(".")).glob(each)
    }
    found = {path for path in (folder / "clientcert").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in found if path.suffix != ".py"} == named


def test_the_list_of_wheels_is_of_the_locks_of_the_image() -> None:
    assert {path.stem for path in (REPOSITORY / "requirements").glob("*.wheels")} == set(IMAGE_LOCKS)


def test_the_image_has_no_other_client_of_kubernetes() -> None:
    """Half of the environment was this package."""
    assert "kubernetes" not in locked_for_the_image("run", "amd64")


def wheel(name: str) -> Wheel:
    return Wheel.parse(name, "0" * 64)


def test_the_chosen_wheel_is_of_the_platform_and_of_the_newest_interface() -> None:
    universal = wheel("package-1-py3-none-any.whl")
    amd64 = wheel("package-1-cp313-cp313-manylinux_2_28_x86_64.whl")
    others = [
        wheel("package-1-cp312-cp312-manylinux_2_28_x86_64.whl"),
        wheel("package-1-cp313-cp313-manylinux_2_41_x86_64.whl"),
        wheel("package-1-cp313-cp313t-manylinux_2_28_x86_64.whl"),
        wheel("package-1-cp313-cp313-musllinux_1_2_x86_64.whl"),
        wheel("package-1-cp313-cp313-win_amd64.whl"),
    ]
    assert best_wheel([universal, amd64, *others], "amd64") == amd64
    assert best_wheel([universal, amd64, *others], "arm64") == universal
    assert best_wheel(others, "amd64") is None


def test_a_package_without_a_wheel_is_an_error() -> None:
    """Of packages for other systems alone, none is asked for."""
    files = [{"url": "x/package-1-py3-none-win_amd64.whl", "hashes": {"sha256": "0" * 64}}]
    package = {"name": "package", "version": "1", "wheels": files}
    assert [*chosen({"packages": [package | {"marker": "sys_platform == 'win32'"}]}, "arm64")] == []
    with pytest.raises(NoWheelError, match="package 1 has no wheel for arm64"):
        [*chosen({"packages": [package]}, "arm64")]
