"""The plugin for kubectl: unpacked and linked as krew does it, it runs; its manifest names the archives."""

import ast
import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.release.conftest import EPOCH, PACKAGES
from tools.control_plane.binaries import find_or_build
from tools.release.errors import ReleaseError
from tools.release.krew_plugin import (
    LAUNCHER,
    LOCK,
    MANIFEST,
    NOT_NEEDED,
    PLATFORMS,
    PYTHONS,
    TEMPLATES,
    Plugin,
    for_every_python,
    unpack_wheel,
    without,
)

URL = "https://repository.example/clientcert-operator"
PLUGIN = Plugin("0.1.0", URL, EPOCH)


class InstalledPackages:
    """The few packages of this environment that `--help` needs, instead of all of the index."""

    def unpack(self, platform: str, directory: Path) -> None:
        for name in PACKAGES:
            for found in Path(sysconfig.get_path("purelib")).glob(f"{name}*"):
                shutil.copytree(found, directory / found.name, ignore=shutil.ignore_patterns("__pycache__"))


@dataclass(frozen=True)
class Installed:
    """One archive as krew installs it: a folder for the version, and a link on the PATH."""

    links: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.links}:{Path(sys.executable).parent}:/usr/bin:/bin"
        environment = {"PATH": path, "HOME": str(self.links.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def written(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("plugin")
    assert PLUGIN.write(InstalledPackages(), wheel, directory, [*PLATFORMS]).name == MANIFEST
    return directory


@pytest.fixture(scope="module")
def manifest(written: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((written / MANIFEST).read_text())
    return found


@pytest.fixture(scope="module")
def installed(written: Path, manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home, platform = tmp_path_factory.mktemp("krew"), manifest["spec"]["platforms"][0]
    store = home / "store" / manifest["metadata"]["name"] / manifest["spec"]["version"]
    with tarfile.open(written / platform["uri"].rpartition("/")[2]) as archive:
        archive.extractall(store, filter="data")
    (home / "bin").mkdir()
    (home / "bin" / f"kubectl-{manifest['metadata']['name']}").symlink_to(store / platform["bin"])
    return Installed(home / "bin")


def test_kubectl_runs_it(installed: Installed) -> None:
    ran = installed.run(str(find_or_build().kubectl), "clientcert", "version", "--client", "-o", "json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert '"0.1.0"' in ran.stdout


def test_nothing_of_the_reader_is_used(installed: Installed) -> None:
    """With another `clientcert` for their Python, it is still that of the archive."""
    code = "import clientcert; print(clientcert.__file__)"
    launcher = (installed.links / LAUNCHER).resolve()
    shown = f"import runpy, sys; sys.argv = ['{LAUNCHER}', '--version']\ntry: runpy.run_path('{launcher}')\n"
    ran = installed.run("python3", "-c", f"{shown}except SystemExit: pass\n{code}")
    assert ran.stdout.splitlines()[-1].startswith(str(launcher.parent / "lib"))


def test_the_link_for_completion(installed: Installed, manifest: dict[str, Any]) -> None:
    """The command of the caveat makes it, also after an upgrade, and what it is called by decides."""
    [command] = re.findall(r"^ +(ln -sf .*)$", manifest["spec"]["caveats"], re.MULTILINE)
    for _ in range(2):
        assert installed.run("sh", "-c", command).returncode == 0
    ran = installed.run("kubectl_complete-clientcert", "stat")
    assert ran.stdout.startswith("status")


@pytest.mark.parametrize("version", [(3, 9), (3, 99)])
def test_another_python_is_named(installed: Installed, version: tuple[int, int]) -> None:
    """Before anything is imported that it could not read."""
    text = (TEMPLATES / LAUNCHER).read_text()
    assert f"OLDEST, NEWEST = ({PYTHONS[0].replace('.', ', ')}), ({PYTHONS[-1].replace('.', ', ')})" in text
    ast.parse(text, feature_version=(3, 6))
    other = installed.links / "other"
    other.write_text(text.replace("import sys\n", f"import sys\nsys.version_info = {version}\n", 1))
    ran = installed.run("python3", str(other))
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert ran.stderr.startswith(f"kubectl clientcert needs Python {PYTHONS[0]} to {PYTHONS[-1]} as python3")
    assert "which is {}.{}\n".format(*version) in ran.stderr


def test_the_manifest_names_each_archive_with_its_hash(written: Path, manifest: dict[str, Any]) -> None:
    spec = manifest["spec"]
    assert (spec["version"], spec["homepage"]) == ("v0.1.0", URL)
    found = {}
    for platform in spec["platforms"]:
        address, _, name = platform["uri"].rpartition("/")
        assert address == f"{URL}/releases/download/v0.1.0"
        assert platform["sha256"] == hashlib.sha256((written / name).read_bytes()).hexdigest()
        assert platform["bin"] == LAUNCHER
        labels = platform["selector"]["matchLabels"]
        found[f"{labels['os']}/{labels['arch']}"] = name
    assert set(found) == set(PLATFORMS)
    assert sorted([*found.values(), MANIFEST]) == sorted(path.name for path in written.iterdir())


def test_the_manifest_is_as_krew_wants_it(manifest: dict[str, Any]) -> None:
    """The file is called as the plugin, the version begins with a letter, and the short description is short."""
    assert (manifest["apiVersion"], manifest["kind"]) == ("krew.googlecontainertools.github.com/v1alpha2", "Plugin")
    assert f"{manifest['metadata']['name']}.yaml" == MANIFEST
    assert set(manifest["spec"]) == {"homepage", "version", "shortDescription", "description", "caveats", "platforms"}
    assert len(manifest["spec"]["shortDescription"]) <= 50
    assert re.fullmatch(r"v\d+\.\d+\.\d+", manifest["spec"]["version"])


def test_the_same_files_are_the_same_archive(written: Path, wheel: Path, tmp_path: Path) -> None:
    PLUGIN.write(InstalledPackages(), wheel, tmp_path, ["linux/amd64"])
    name = f"{LAUNCHER}-0.1.0-linux-amd64.tar.gz"
    assert (tmp_path / name).read_bytes() == (written / name).read_bytes()


def test_it_supports_what_the_package_does() -> None:
    required = re.search(r'requires-python = ">=([\d.]+)"', (REPOSITORY / "pyproject.toml").read_text())
    assert required is not None
    assert required[1] == PYTHONS[0]


def test_one_package_is_left_out_of_the_lock() -> None:
    lock = LOCK.read_text()
    rest = without(NOT_NEEDED, lock)
    names = [set(re.findall(r"^([\w-]+)==", text, re.MULTILINE)) for text in (lock, rest)]
    assert names[0] - names[1] == {NOT_NEEDED}
    assert all(line in lock.splitlines() for line in rest.splitlines())
    with pytest.raises(ReleaseError, match=r"run\.lock has no nothing: remove it"):
        without("nothing", lock)


def test_a_package_that_one_python_needs_is_for_all_of_them() -> None:
    """pip would leave it out where a newer Python makes the release."""
    lock = LOCK.read_text()
    names = re.findall(r"^[\w-]+==", lock, re.MULTILINE)
    assert "python_full_version <" in lock
    rest = for_every_python(lock)
    assert re.findall(r"^([\w-]+==)\S+ \\$", rest, re.MULTILINE) == names
    assert re.findall("--hash=.*", rest) == re.findall("--hash=.*", lock)


def test_a_wheel_that_writes_elsewhere_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a-1.data/data/etc/a.conf", "")
    with pytest.raises(ReleaseError, match="not for a library"):
        unpack_wheel(wheel, tmp_path / "lib")
