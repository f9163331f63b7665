"""Read crds/, and find the places in documents that a schema describes."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import REPOSITORY

CRDS = REPOSITORY / "crds"
REMOVED = object()
"""The value of an edit that removes a field."""

Steps = tuple[str | int, ...]


@dataclass(frozen=True)
class Field:
    """One field of a schema; `path` is e.g. `spec.alerts.channels[].name`."""

    kind: str
    path: str
    schema: Mapping[str, Any]
    required: bool = False

    @property
    def in_status(self) -> bool:
        return self.path.startswith("status")

    @property
    def rules(self) -> list[Mapping[str, str]]:
        return self.schema.get("x-kubernetes-validations", [])

    def __str__(self) -> str:
        return f"{self.kind}.{self.path}"


@cache
def crds() -> dict[str, dict[str, Any]]:
    """Every CRD in crds/, by kind."""
    documents = [yaml.safe_load(path.read_text()) for path in crd_files()]
    return {document["spec"]["names"]["kind"]: document for document in documents}


def crd_files() -> list[Path]:
    return [CRDS / name for name in yaml.safe_load((CRDS / "kustomization.yaml").read_text())["resources"]]


@cache
def fields() -> list[Field]:
    """Every field of spec and status of every kind, outer fields first."""
    found: list[Field] = []
    for kind, crd in crds().items():
        root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for part in ("spec", "status"):
            found.extend(_walk(kind, part, root["properties"][part], part in root.get("required", ())))
    return found


def _walk(kind: str, path: str, schema: Mapping[str, Any], required: bool) -> Iterator[Field]:
    yield Field(kind, path, schema, required)
    for name, below in schema.get("properties", {}).items():
        yield from _walk(kind, f"{path}.{name}", below, name in schema.get("required", ()))
    if "items" in schema:
        yield from _walk(kind, f"{path}[]", schema["items"], False)


def steps(path: str) -> Steps:
    """`spec.channels.0.name` as a tuple."""
    return tuple(int(step) if step.isdigit() else step for step in path.split("."))


def locate(document: Any, path: str) -> Iterator[Steps]:
    """The places of a schema's path in a document: none, one, or one for each item of a list."""
    yield from _locate(document, path.replace("[]", ".[]").split("."), ())


def _locate(value: Any, rest: list[str], done: Steps) -> Iterator[Steps]:
    if not rest:
        yield done
    elif rest[0] == "[]":
        for index, item in enumerate(value):
            yield from _locate(item, rest[1:], (*done, index))
    elif rest[0] in value:
        yield from _locate(value[rest[0]], rest[1:], (*done, rest[0]))


def read(document: Any, where: Steps) -> Any:
    for step in where:
        document = document[step]
    return document


def edited(document: Mapping[str, Any], edits: Mapping[Steps, Any]) -> dict[str, Any]:
    """A copy with other values in these places."""
    copy = dict(deepcopy(document))
    for where, value in edits.items():
        parent = read(copy, where[:-1])
        if value is REMOVED:
            del parent[where[-1]]
        else:
            parent[where[-1]] = deepcopy(value)
    return copy


def defaulted(schema: Mapping[str, Any], value: Any) -> Any:
    """The value with the defaults of its missing fields."""
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    defaults = {name: below["default"] for name, below in properties.items() if "default" in below}
    return {name: defaulted(properties[name], below) for name, below in (defaults | value).items()}
