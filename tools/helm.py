"""Calls the real helm, independent of the user's settings."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHART = Path(__file__).resolve().parent.parent / "deploy/helm/clientcert-operator"
_SECONDS = 120.0
_LINK = "found symbolic link in path"
"""A line about the CRDs, which the chart has from `crds/`."""


class HelmError(Exception):
    """Helm refused, with its standard error."""


@dataclass(frozen=True)
class Helm:
    """One helm, whose caches are in `home`. With a kubeconfig it may install."""

    binary: Path
    home: Path
    kubeconfig: Path = Path(os.devnull)

    def run(self, *arguments: str | Path, values: Mapping[str, Any] | None = None) -> str:
        """Run helm and return its output; `values` are those of the chart. Raises HelmError."""
        command = [str(self.binary), *map(str, arguments)]
        command += ["--values", "-"] if values is not None else []
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
        }
        answer = subprocess.run(
            command,
            input=json.dumps(values or {}),
            capture_output=True,
            text=True,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
        if answer.returncode != 0:
            lines = [line for line in (answer.stderr + answer.stdout).splitlines() if _LINK not in line]
            raise HelmError("\n".join(lines).strip())
        return answer.stdout

    def template(
        self, *arguments: str | Path, release: str, namespace: str, values: Mapping[str, Any] | None = None
    ) -> str:
        """All objects that a release would have, as YAML with comments, without a cluster."""
        return self.run("template", release, CHART, "--namespace", namespace, *arguments, values=values)
