"""Writes the go.mod and go.sum by which the API server of any version of Kubernetes is built.

Kubernetes' own go.mod cannot be required by another module: it replaces its staging modules by directories. They are
published under v0.x.y for Kubernetes v1.x.y.
"""

import json
import re
import subprocess
from pathlib import Path

from .errors import ControlPlaneError
from .go_toolchain import find_go, go_environment
from .progress import report

_SECONDS = 900
_STAGING_MODULE = re.compile(r"^\s*(?:replace )?(k8s\.io/\S+) => \./staging/", re.MULTILINE)


def write_kubernetes_module(version: str, directory: Path, package: str) -> None:
    """Write both files for a build of `package`; go checks each hash with its checksum database.

    Raises ControlPlaneError if there is no such version, or the modules cannot be downloaded.
    """
    report(f"Resolving the modules of Kubernetes v{version} (usually 1 minute).")
    directory.mkdir(parents=True, exist_ok=True)
    answer = _go("mod", "download", "-json", f"k8s.io/kubernetes@v{version}", directory=directory)
    own = Path(json.loads(answer)["GoMod"]).read_text()
    (directory / "go.mod").write_text(go_mod(version, own, package))
    (directory / "go.sum").unlink(missing_ok=True)
    _go("mod", "tidy", directory=directory)


def go_mod(version: str, own: str, package: str) -> str:
    """A go.mod without indirect requirements; `own` is that of Kubernetes itself."""
    staging = f"v0.{version.partition('.')[2]}"
    replaced = "\n".join(f"\t{path} => {path} {staging}" for path in _STAGING_MODULE.findall(own))
    return (
        "module clientcert.dev/tools/kubernetes\n\n"
        "go 1.26.0\n\n"
        f"replace (\n{replaced}\n)\n\n"
        f"tool {package}\n\n"
        f"require k8s.io/kubernetes v{version} // indirect\n"
    )


def _go(*arguments: str, directory: Path) -> str:
    """Run go where it may change go.mod and go.sum, and return its output."""
    environment = go_environment() | {"GOFLAGS": "-mod=mod -buildvcs=false"}
    answer = subprocess.run(
        [find_go(), *arguments],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if answer.returncode != 0:
        end = "\n".join((answer.stderr or answer.stdout).strip().splitlines()[-10:])
        raise ControlPlaneError(f"`go {' '.join(arguments)}` failed:\n{end}")
    return answer.stdout
