"""The health of an object as Argo CD and Flux compute it, with the checks that are shipped in deploy/gitops.

Argo CD runs Lua 5.1 with few libraries, and gives it the object. Flux compares `status.observedGeneration` first, then
evaluates `inProgress`, `failed` and `current` in this order, with the fields of the object as variables; if none of
them is true, the object is in progress. An expression that fails makes Flux wait, too.
"""

import re
from functools import cache
from typing import Any

import yaml
from cel_expr_python import cel
from lupa.lua51 import LuaRuntime

from tests.conftest import REPOSITORY
from tests.deploy.schema import crds
from tests.docs.pages import section
from tests.scenarios import Manifest

PAGE = REPOSITORY / "docs/gitops.md"
ARGO_CD = REPOSITORY / "deploy/gitops/argo-cd/argocd-cm.yaml"
FLUX = REPOSITORY / "deploy/gitops/flux/clientcert.yaml"
KEY = "resource.customizations.health.clientcert.dev_"
IN_PROGRESS = "InProgress"
_ROW = re.compile(r"^\| (.+) \| `(\w+)` \| `(\w+)` \|$", re.MULTILINE)
_OPENED = {"package", "table", "os"}
"""The libraries that Argo CD opens besides the base functions."""
_LIBRARIES = {"coroutine", "debug", "io", "math", "os", "package", "string", "table", "python"}
_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_ENVIRONMENT = cel.NewEnv(variables=dict.fromkeys(_FIELDS, cel.Type.DYN))


def expected_health() -> dict[tuple[str, str], tuple[str, str]]:
    """By kind and state: the health in Argo CD and in Flux, from the tables of the page."""
    return {
        (kind, state): (argo_cd, flux)
        for kind in crds()
        for state, argo_cd, flux in _ROW.findall(section(PAGE, f"### {kind}"))
    }


@cache
def lua_scripts() -> dict[str, str]:
    """By kind."""
    data = yaml.safe_load(ARGO_CD.read_text())["data"]
    return {key.removeprefix(KEY): script for key, script in data.items()}


@cache
def flux_expressions() -> dict[str, dict[str, str]]:
    """By kind, each with `current` and perhaps `failed` and `inProgress`."""
    entries = [
        entry
        for document in yaml.safe_load_all(FLUX.read_text())
        for entry in document["spec"].get("healthCheckExprs", ())
    ]
    assert {entry["apiVersion"] for entry in entries} == {"clientcert.dev/v1alpha1"}
    found = {entry["kind"]: entry for entry in entries}
    assert len(found) == len(entries)
    return found


def argo_cd_health(manifest: Manifest) -> tuple[str, str]:
    """Status and message."""
    lua: Any = LuaRuntime(register_eval=False, register_builtins=False)
    lua.execute("getmetatable('').__index = nil")
    for name in _LIBRARIES - _OPENED:
        lua.globals()[name] = None
    lua.globals().obj = lua.table_from(manifest, recursive=True)
    health = lua.execute(lua_scripts()[manifest["kind"]])
    return health.status, health.message


def flux_health(manifest: Manifest) -> str:
    """InProgress, Failed or Current."""
    status, expressions = manifest.get("status", {}), flux_expressions()[manifest["kind"]]
    observed = status.get("observedGeneration")
    if observed is not None and observed != manifest["metadata"]["generation"]:
        return IN_PROGRESS
    for name, result in (("inProgress", IN_PROGRESS), ("failed", "Failed"), ("current", "Current")):
        if name in expressions and _is_true(expressions[name], manifest):
            return result
    return IN_PROGRESS


def _is_true(expression: str, manifest: Manifest) -> bool:
    """False also if it fails, as it may only if there is no status."""
    data = {name: manifest[name] for name in _FIELDS if name in manifest}
    result = _ENVIRONMENT.compile(expression, disable_check=True).eval(data=data)
    if result.type() == cel.Type.ERROR:
        assert "status" not in manifest, result.value()
        return False
    assert result.type() == cel.Type.BOOL
    return bool(result.value())
