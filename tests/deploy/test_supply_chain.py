"""Only locked packages are installed, each by version and hash, in the image and for development."""

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

LOCKS = sorted((REPOSITORY / "requirements").glob("*.lock"))
_PIP_INSTALL = re.compile(r"^.*?pip install\b.*$", re.MULTILINE)


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
