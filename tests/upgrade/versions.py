"""The version of this checkout, and the version before it: its code, kinds and manifests, from git, in the cache."""

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY
from tools.control_plane import ControlPlane
from tools.control_plane.components import cache_directory, incomplete
from tools.control_plane.progress import exclusive, report

_PARTS = ("operator", "crds", "deploy", "requirements", "pyproject.toml")
_LOCK = "requirements/run.lock"


@dataclass(frozen=True)
class Version:
    """One version of the operator, in a directory with the layout of a checkout."""

    name: str
    root: Path
    python: str
    """The interpreter that has its dependencies."""

    @property
    def environment(self) -> dict[str, str]:
        """Of its processes: its own package comes before one that is installed."""
        return {"PYTHONPATH": str(self.root / "operator")}

    def install_kinds(self, control_plane: ControlPlane) -> None:
        """`kubectl apply -k crds`."""
        control_plane.apply_kustomize(self.root / "crds")

    def install_operator(self, control_plane: ControlPlane) -> None:
        """Apply its rights, roles and admission policies; the operator is a process of the test."""
        control_plane.apply_kustomize(self.root / "deploy/kustomize/base")

    def imported_from(self) -> Path:
        """The directory of the package that its processes import."""
        command = [self.python, "-c", "import clientcert; print(clientcert.__file__)"]
        ran = subprocess.run(command, env=self.environment, cwd="/", capture_output=True, text=True, check=True)
        return Path(ran.stdout.strip()).parent


def this_version() -> Version:
    """That of the checkout, with what is not committed yet."""
    return Version("this version", REPOSITORY, sys.executable)


def reference_before(repository: Path = REPOSITORY, wanted: str | None = None) -> tuple[str, str]:
    """The commit to compare with, and why it is this one. Raises ValueError outside of a checkout.

    `wanted`, by default $FROM, or the newest tag of a version that is not on this commit. Without either, this commit
    is compared with itself, which still shows that an upgrade as such loses and repeats nothing.
    """
    wanted = os.environ.get("FROM", "") if wanted is None else wanted
    if wanted:
        return wanted, f"the version before is {wanted}, by FROM"
    here = set(_git(repository, "tag", "--points-at", "HEAD").split())
    merged = _git(repository, "tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname").split()
    older = [tag for tag in merged if tag not in here]
    if older:
        return older[0], f"the version before is {older[0]}, the newest tag before this commit"
    return "HEAD", "there is no tag of a version before: this commit is compared with itself (FROM=… names another)"


def version_before() -> Version:
    """The version of that commit; it is unpacked once, and kept in the cache."""
    reference, _ = reference_before()
    commit = _git(REPOSITORY, "rev-parse", "--verify", f"{reference}^{{commit}}").strip()
    versions = cache_directory() / "versions"
    root = versions / commit
    with exclusive(cache_directory() / "versions.lock"):
        if not root.is_dir():
            with incomplete(versions) as temporary:
                _unpack(commit, temporary / commit)
                (temporary / commit).rename(root)
        return Version(reference, root, _interpreter(root, versions / f"{commit}-dependencies"))


def _unpack(commit: str, directory: Path) -> None:
    answer = subprocess.run(
        ["git", "archive", "--format=tar", commit, *_PARTS], cwd=REPOSITORY, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as archive:
        archive.extractall(directory, filter="data")


def _interpreter(root: Path, environment: Path) -> str:
    """This interpreter if it has the same dependencies; else that of a new environment with the locked ones."""
    if (root / _LOCK).read_bytes() == (REPOSITORY / _LOCK).read_bytes():
        return sys.executable
    python, done = environment / "bin/python", environment / ".done"
    if not done.exists():
        report(f"Installing the dependencies of the version before into {environment}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", root / _LOCK], check=True)
        done.touch()
    return str(python)


def _git(repository: Path, *arguments: str) -> str:
    answer = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise ValueError(f"git {' '.join(arguments)}: {answer.stderr.strip()}")
    return answer.stdout
