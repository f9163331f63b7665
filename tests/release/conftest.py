"""An environment as the image has it, of this machine's Python with few packages, and a registry on loopback."""

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tools.control_plane.binaries import find_or_build_crane
from tools.release.files import build_wheel
from tools.release.registry import Crane, LoopbackRegistry, loopback_registry

PACKAGES = ["click", "idna"]
"""Copied from the environment of the tests: the command's own help needs no more."""
EPOCH = 1_800_000_000


@dataclass(frozen=True)
class ComposedRoot:
    """A root file system, and the absolute path of the environment in it."""

    directory: Path
    environment: Path


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"), EPOCH)


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of the interpreter that runs the tests, with the operator and few packages."""
    directory = tmp_path_factory.mktemp("image") / "opt/clientcert"
    python = Path(sys.executable)
    subprocess.run([python, "-m", "venv", "--without-pip", directory], check=True)
    [packages] = directory.glob("lib/*/site-packages")
    for name in PACKAGES:
        for found in Path(sysconfig.get_path("purelib")).glob(f"{name}*"):
            shutil.copytree(found, packages / found.name)
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel]
    subprocess.run([python, "-m", "pip", "--python", directory / "bin/python", *install], check=True)
    return directory


@pytest.fixture(scope="session")
def composed(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> ComposedRoot:
    """Composed as in the Dockerfile."""
    root = tmp_path_factory.mktemp("composed") / "root"
    arguments = ["--environment", environment, "--root", root]
    subprocess.run([sys.executable, "-m", "tools.image.root", *arguments], check=True, cwd=REPOSITORY)
    return ComposedRoot(root, environment)


@pytest.fixture(scope="session")
def crane() -> Crane:
    return Crane(find_or_build_crane())


@pytest.fixture
def registry(crane: Crane, tmp_path: Path) -> Iterator[LoopbackRegistry]:
    with loopback_registry(crane, tmp_path / "registry") as running:
        yield running


@pytest.fixture(scope="module")
def module_registry(crane: Crane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackRegistry]:
    with loopback_registry(crane, tmp_path_factory.mktemp("registry")) as running:
        yield running
