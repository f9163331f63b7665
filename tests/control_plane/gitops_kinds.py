"""The kinds of Argo CD and Flux that deploy/gitops declares, from the Go modules of these projects.

Flux's helm-controller is on the module proxy by its API alone, which has Go types and no CRD.
"""

import re
from pathlib import Path
from typing import Any

from tools.control_plane import ControlPlane
from tools.control_plane.go_module import module_directory

CRDS = {
    "applications.argoproj.io": ("argo-cd", "github.com/argoproj/argo-cd/v3", "manifests/crds/application-crd.yaml"),
    "kustomizations.kustomize.toolkit.fluxcd.io": (
        "flux",
        "github.com/fluxcd/kustomize-controller",
        "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    ),
    "gitrepositories.source.toolkit.fluxcd.io": (
        "flux",
        "github.com/fluxcd/source-controller",
        "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
    ),
}
"""By name: our go.mod, the module, and the file in it. Of Argo CD the module has 27 MB, of Flux less than one each."""
_STRUCT = re.compile(r"^type (\w+) struct \{$(.*?)^\}$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r'^\t(?:\w+ +)?([\w.*\[\]]+) +`json:"(\w+)', re.MULTILINE)

Types = dict[str, dict[str, str]]
"""Of each struct: the type of each field by its name in JSON, without pointers and slices."""


def install_kinds(control_plane: ControlPlane) -> None:
    """Install the CRDs."""
    for go_module, module, path in CRDS.values():
        control_plane.kubectl("apply", "--server-side", "-f", module_directory(go_module, module) / path)
    control_plane.kubectl("wait", "--for=condition=Established", *(f"crd/{name}" for name in CRDS))


def helm_release_types() -> Types:
    """The Go types of HelmRelease v2."""
    return go_types(module_directory("flux", "github.com/fluxcd/helm-controller/api") / "v2")


def go_types(directory: Path) -> Types:
    """The structs of a Go package."""
    text = "\n".join(path.read_text() for path in sorted(directory.glob("*.go")))
    return {
        name: {field: kind.lstrip("*[]") for kind, field in _FIELD.findall(body)}
        for name, body in _STRUCT.findall(text)
    }


def unknown_fields(value: Any, kind: str, types: Types) -> list[str]:
    """The fields that the type of this name does not have, at any depth. Types of other packages may have any."""
    if isinstance(value, list):
        return [field for each in value for field in unknown_fields(each, kind, types)]
    if not isinstance(value, dict) or kind not in types:
        return []
    found = [f"{kind}.{field}" for field in value if field not in types[kind]]
    known = (unknown_fields(value[field], types[kind][field], types) for field in value if field in types[kind])
    return found + [field for each in known for field in each]
