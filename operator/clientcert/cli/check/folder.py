"""Read the manifests of a folder, a file or standard input, as `kubectl apply -R -f` does.

A kustomization is not built: its files are read as plain manifests.
"""

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clientcert.api.kinds import GROUP, KINDS
from clientcert.cli.check.finding import Check, CheckReason, Finding, Subject
from clientcert.cli.check.yaml_documents import DEEPEST, TOO_DEEP, TOO_LARGE, Unreadable, documents
from clientcert.cli.files import STDIN
from clientcert.cli.table import printable

_ENDINGS = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_LARGEST_FILE = 64 * 1024 * 1024
_LARGEST_OBJECT = 4 * 1024 * 1024
"""About its bytes in JSON."""
_LARGEST_LIST = 2 * _LARGEST_FILE
_SYNTAX = 4
_MOST_OBJECTS = 200_000
_UNREADABLE, _ACTION = CheckReason.MANIFEST_UNREADABLE, "Correct the file, or keep it outside the folder."
_STANDARD_INPUT = "standard input"
_OUR_KINDS = frozenset(kind.name for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Folder:
    """The documents of a folder, in the order of their files."""

    documents: tuple[tuple[str, dict[str, Any]], ...]
    """Each with the file that it is in."""
    findings: tuple[Finding, ...]
    kustomizations: tuple[str, ...]


def read_folder(path: str) -> Folder:
    """All documents; what cannot be read is a finding. Directories whose names begin with a dot are left out."""
    found, findings, kustomizations = list[tuple[str, dict[str, Any]]](), list[Finding](), list[str]()
    for file, name in _files(path):
        if Path(name).name in _KUSTOMIZATIONS:
            kustomizations.append(name)
            continue
        for each in _found_in(file, is_named=name == path):
            if isinstance(each, Unreadable):
                subject = Subject(kind="File", name=printable(name), file=printable(name))
                findings.append(Finding(Check.MANIFESTS, subject, _UNREADABLE, each.words, _ACTION))
            else:
                found.append((name, each))
    return Folder(tuple(found), tuple(findings), tuple(kustomizations))


def _found_in(file: Path | None, *, is_named: bool) -> Iterator[dict[str, Any] | Unreadable]:
    """The objects in a file; None is standard input."""
    try:
        content = sys.stdin.buffer.read(_LARGEST_FILE + 1) if file is None else _content(file, is_named=is_named)
    except OSError:
        yield Unreadable("it cannot be read")
        return
    if len(content) > _LARGEST_FILE:
        yield Unreadable("it is larger than 64 MiB")
        return
    for document in documents(content):
        if isinstance(document, Unreadable):
            yield document
        else:
            yield from _objects(document)


def _files(path: str) -> Iterator[tuple[Path | None, str]]:
    """The files, with their names for messages; None is standard input. Also folders that cannot be read."""
    failed = list[OSError]()
    if path == STDIN:
        yield None, _STANDARD_INPUT
        return
    if not Path(path).is_dir():
        yield Path(path), path
        return
    for directory, inner, names in os.walk(path, onerror=failed.append):
        inner[:] = sorted(each for each in inner if not each.startswith("."))
        for name in sorted(names):
            if name in _KUSTOMIZATIONS or (name.endswith(_ENDINGS) and not name.startswith(".")):
                file = Path(directory, name)
                yield file, str(file.relative_to(path))
    for each in failed:
        yield Path(each.filename), str(Path(each.filename).relative_to(path))


def _content(file: Path, *, is_named: bool) -> bytes:
    """Of a file, or of what the caller names instead of one, such as the output of another process. Raises OSError."""
    if not (is_named or file.is_file()):
        raise OSError
    with file.open("rb") as stream:
        return stream.read(_LARGEST_FILE + 1)


def _objects(document: Any) -> Iterator[dict[str, Any] | Unreadable]:
    """The objects in a document; none in the values of a chart, for example."""
    waiting, most, size = [document], _MOST_OBJECTS, 0
    while waiting:
        each = waiting.pop()
        if not isinstance(each, dict):
            continue
        kind, version, items = each.get("kind"), each.get("apiVersion"), each.get("items")
        if not (isinstance(kind, str) and isinstance(version, str)):
            if _OUR_KINDS.intersection(_texts(kind)) or any(each.startswith(f"{GROUP}/") for each in _texts(version)):
                yield Unreadable("a document has no apiVersion, or no kind")
        elif kind.endswith("List") and isinstance(items, list):
            most -= len(items)
            if most < 0:
                yield Unreadable(f"it has more than {_MOST_OBJECTS} objects")
                return
            waiting += reversed(items)
        else:
            problem, measured = _measured(each)
            size += measured
            if size > _LARGEST_LIST:
                yield Unreadable(TOO_LARGE)
                return
            yield Unreadable(problem) if problem else each


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else ()


def _measured(document: dict[str, Any]) -> tuple[str, int]:
    """The reason why the API server would not read it, and its size. Aliases can make it as large as they like."""
    size, waiting = 0, list[tuple[Any, int]]([(document, 1)])
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict):
            size += sum(len(key) + _SYNTAX for key in value)
            inner = iter(value.values())
        elif isinstance(value, list):
            size += len(value)
            inner = iter(value)
        elif isinstance(value, float) and not math.isfinite(value):
            return "a document has a value that JSON does not have", size
        else:
            size += _SYNTAX + (len(value) if isinstance(value, str) else 0)
            continue
        if depth > DEEPEST:
            return TOO_DEEP, size
        if size > _LARGEST_OBJECT:
            break
        waiting += ((each, depth + 1) for each in inner)
    return TOO_LARGE if size > _LARGEST_OBJECT else "", size
