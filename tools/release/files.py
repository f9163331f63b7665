"""The wheel, and the checksums of all files of a release."""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from .commands import run
from .versions import REPOSITORY

_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "operator")


def build_wheel(directory: Path, epoch: int) -> Path:
    """Build the wheel of the checkout, with what this environment has; its files have the time `epoch`."""
    with tempfile.TemporaryDirectory() as temporary:
        for name in _SOURCES:
            source, target = REPOSITORY / name, Path(temporary, name)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copyfile(source, target)
        options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(directory)]
        environment = {"SOURCE_DATE_EPOCH": str(epoch), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        run(sys.executable, "-m", "pip", "wheel", *options, ".", cwd=Path(temporary), environment=environment)
    [wheel] = directory.glob("*.whl")
    return wheel


def write_checksums(directory: Path) -> Path:
    """Write `SHA256SUMS`, as sha256sum does, of all files of the directory."""
    target = directory / "SHA256SUMS"
    files = sorted(path for path in directory.iterdir() if path.is_file() and path != target)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in files]
    target.write_text("\n".join(lines) + "\n")
    return target
