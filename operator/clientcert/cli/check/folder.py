"""Read the manifests of a folder, a file or standard input, as `kubectl apply -R -f` does.

A kustomization is not built: its files are read as plain manifests. No message quotes a value.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clientcert.api.kinds import GROUP, KINDS
from clientcert.cli.check.finding import Check, CheckReason, Finding, Subject
from clientcert.cli.files import STDIN
from clientcert.cli.table import printable

_ENDINGS = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_LARGEST_FILE = 8 * 1024 * 1024
_LARGEST_DOCUMENT = 4 * 1024 * 1024
"""In bytes of JSON: a few lines of YAML with aliases can be as large as they like."""
_STANDARD_INPUT = "standard input"
_OUR_KINDS = frozenset(kind.name for kind in KINDS)
_TAG = "tag:yaml.org,2002:"
_TWICE = "a key is there twice"
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the faster one, if PyYAML was built with libyaml


@dataclass(frozen=True, slots=True)
class Folder:
    """The documents of a folder, in the order of their files."""

    documents: tuple[tuple[str, dict[str, Any]], ...]
    """Each with the file that it is in."""
    findings: tuple[Finding, ...]
    kustomizations: tuple[str, ...]


class _ManifestError(Exception):
    """A file, or a document of one, that cannot be read; the message is for the user."""


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Those of YAML 1.1, except times, and numbers to the base of 60."""
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for letter, resolvers in _LOADER.yaml_implicit_resolvers.items():  # type: ignore[attr-defined]
        for tag, pattern in resolvers:
            if tag in {f"{_TAG}int", f"{_TAG}float"}:
                without_colon = re.compile(f"(?!.*:){pattern.pattern}", pattern.flags)
                found.setdefault(letter, []).append((tag, without_colon))
            elif tag != f"{_TAG}timestamp":
                found.setdefault(letter, []).append((tag, pattern))
    return found


class _Loader(_LOADER):  # type: ignore[misc]
    """YAML as Kubernetes reads it: times, and numbers with colons, are text; a key that is there twice is an error."""

    yaml_implicit_resolvers = _resolvers()

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping. Raises yaml.YAMLError."""
        keys = [each.value for each, _ in node.value if isinstance(each, yaml.ScalarNode) and each.value != "<<"]
        if len(keys) != len(set(keys)):
            raise yaml.MarkedYAMLError(problem=_TWICE, problem_mark=node.start_mark)
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found


def read_folder(path: str) -> Folder:
    """All documents; what cannot be read is a finding. Directories whose names begin with a dot are left out."""
    documents, findings, kustomizations = list[tuple[str, dict[str, Any]]](), list[Finding](), list[str]()
    for file, name in _files(path):
        if Path(name).name in _KUSTOMIZATIONS:
            kustomizations.append(name)
            continue
        try:
            content = sys.stdin.buffer.read(_LARGEST_FILE + 1) if file is None else _content(file)
            documents += [(name, each) for document in _documents(content) for each in _objects(document)]
        except _ManifestError as error:
            subject = Subject(kind="File", name=printable(name), file=printable(name))
            action = "Correct the file, or keep it outside the folder."
            reason = CheckReason.MANIFEST_UNREADABLE
            findings.append(Finding(Check.MANIFESTS, subject, reason, str(error), action))
    return Folder(tuple(documents), tuple(findings), tuple(kustomizations))


def _files(path: str) -> Iterator[tuple[Path | None, str]]:
    """The files, with their names for messages; None is standard input."""
    if path == STDIN:
        yield None, _STANDARD_INPUT
    elif not Path(path).is_dir():
        yield Path(path), path
    for directory, inner, names in os.walk(path):
        inner[:] = sorted(each for each in inner if not each.startswith("."))
        for name in sorted(names):
            if name in _KUSTOMIZATIONS or (name.endswith(_ENDINGS) and not name.startswith(".")):
                file = Path(directory, name)
                yield file, str(file.relative_to(path))


def _content(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise _ManifestError("it is no file that can be read")
        with file.open("rb") as stream:
            return stream.read(_LARGEST_FILE + 1)
    except OSError:
        raise _ManifestError("it cannot be read") from None


def _documents(content: bytes) -> Iterator[Any]:
    """The YAML documents; JSON is YAML, too. Raises _ManifestError."""
    if len(content) > _LARGEST_FILE:
        raise _ManifestError("it is larger than 8 MiB")
    try:
        yield from yaml.load_all(content, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _ManifestError((_TWICE if error.problem == _TWICE else "it is not YAML") + line) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _ManifestError("it is not YAML") from None


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """The objects in a document; none in the values of a chart, for example. Raises _ManifestError."""
    if not isinstance(document, dict):
        return
    kind, version, items = document.get("kind"), document.get("apiVersion"), document.get("items")
    if _is_too_large(document):
        raise _ManifestError("a document is larger than an object may be, or has a value that JSON does not have")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(items, list):
        for each in items:
            yield from _objects(each)
    elif isinstance(kind, str) and isinstance(version, str):
        yield document
    elif kind in _OUR_KINDS or str(version).startswith(f"{GROUP}/"):
        raise _ManifestError("a document has no apiVersion, or no kind")


def _is_too_large(document: dict[Any, Any]) -> bool:
    size = 0
    try:
        for part in json.JSONEncoder(allow_nan=False).iterencode(document):
            size += len(part)
            if size > _LARGEST_DOCUMENT:
                return True
    except (TypeError, ValueError, RecursionError):
        return True
    return False
