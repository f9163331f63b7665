"""The file of `clientcert backup`: one JSON document in each line. Pure.

    {"format": "clientcert-backup/1", "namespace": null, "time": "2026-11-22T09:00:00Z", "version": "0.1.0"}
    {"apiVersion": "clientcert.dev/v1alpha1", "kind": "CertificatePolicy", "metadata": …, "spec": …, "status": …}
    {"end": 1}

The last line has the number of objects: a file without it was cut off.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

from clientcert import __version__
from clientcert.api.alert_test import TO, VALUE
from clientcert.api.kinds import API_VERSION, CERTIFICATE_POLICY, CERTIFICATE_RENEWAL, KINDS, moment_or_none, timestamp
from clientcert.cli.cluster import Object, is_name
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.git_manifest import git_manifest
from clientcert.cli.table import printable

FORMAT = "clientcert-backup/1"
CONFIG_MAP = "ConfigMap"
LIST_OF_POLICY = ("spec", "contacts", "directoryRef", "name")
"""The path to the name of a policy's client list."""
_KINDS = {(API_VERSION, each.name) for each in KINDS} | {("v1", CONFIG_MAP)}
_SECRETIVE = (("spec", "csr"), ("spec", "proof"), ("status", "ciphertext"), ("status", "issuance", "request"))
"""Of a CertificateRenewal: the consumer's request, which may hold a challenge password, and the encrypted key."""

_LONGEST_LINE = 4 * 2**20
"""Octets; etcd takes objects of 1.5 MiB unless it is told otherwise."""
_NOTES = ("labels", "annotations")
_METADATA = {"name", "namespace", *_NOTES}
_DEEPEST = 64
"""Levels of objects and lists in a line; our kinds have fewer than twenty."""


class Item(NamedTuple):
    """An object of a backup."""

    namespace: str
    kind: str
    name: str


@dataclass(frozen=True)
class BackupFile:
    """A backup whose lines were checked. An object is parsed when it is asked for."""

    time: datetime
    lines: dict[Item, bytes] = field(repr=False)

    def content(self, item: Item) -> Object:
        """The object: a manifest, its status, and the generation of its spec."""
        found: Object = json.loads(self.lines[item])
        return found


def head_line(now: datetime, namespace: str | None) -> bytes:
    """The first line; `namespace` is None for a backup of all."""
    return _line({"format": FORMAT, "time": timestamp(now), "version": __version__, "namespace": namespace})


def end_line(objects: int) -> bytes:
    """The last line."""
    return _line({"end": objects})


def portable_manifest(found: Object) -> Object:
    """The manifest for another cluster: it asks for no test alert, and nobody must be there to remove a finalizer."""
    manifest = git_manifest(found)
    metadata = {name: value for name, value in manifest["metadata"].items() if name in _METADATA}
    if notes := {name: value for name, value in metadata.pop("annotations", {}).items() if name not in {VALUE, TO}}:
        metadata["annotations"] = notes
    return manifest | {"metadata": metadata}


def object_line(found: Object) -> bytes:
    """The line of an object of the cluster."""
    manifest = portable_manifest(found)
    if "generation" in found["metadata"]:
        manifest["metadata"]["generation"] = found["metadata"]["generation"]
    status = {name: value for name, value in (found.get("status") or {}).items() if name != "test"}
    if status:
        manifest["status"] = status
    if found["kind"] == CERTIFICATE_RENEWAL.name:
        for path in _SECRETIVE:
            manifest = _without(manifest, path)
    return _line(manifest)


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. One that is too long for an object comes in pieces, of which the first is refused."""
    return iter(lambda: stream.readline(_LONGEST_LINE), b"")


def text_at(value: Any, *path: str) -> str:
    """The text at this path of an object; empty if there is none, whatever is there."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def parse_backup(lines: Iterable[bytes]) -> BackupFile:
    """Check all lines; raises AnswerIsNo."""
    found: dict[Item, bytes] = {}
    named = set[Item]()
    time, end = None, None
    for number, line in enumerate(lines, start=1):
        document = _document(line, number)
        if time is None:
            time = _time(document)
        elif end is not None:
            raise AnswerIsNo(f"line {number}: the backup goes on after its end: use the file as it was written")
        elif "end" in document:
            end = document["end"]
        else:
            item = _item(document, number)
            found[item] = line
            if item.kind == CERTIFICATE_POLICY.name:
                named.add(Item(item.namespace, CONFIG_MAP, text_at(document, *LIST_OF_POLICY)))
    if time is None or end != len(found):
        raise AnswerIsNo("the backup is cut off, or objects were added or removed: use the file as it was written")
    for item in found:
        if item.kind == CONFIG_MAP and item not in named:
            words = "no policy of the backup has it as its client list: use the file as it was written"
            raise AnswerIsNo(f"ConfigMap {item.name} in namespace {item.namespace}: {words}")
    return BackupFile(time, found)


def _line(content: Object) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _without(value: Any, path: tuple[str, ...]) -> Any:
    first, *rest = path
    if not isinstance(value, dict) or first not in value:
        return value
    kept = {name: each for name, each in value.items() if name != first}
    return kept | {first: _without(value[first], tuple(rest))} if rest else kept


def _document(line: bytes, number: int) -> Object:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not _is_shallow(document, _DEEPEST):
        raise AnswerIsNo(f"line {number}: no JSON object: name a file that clientcert backup has written")
    return document


def _is_shallow(value: Any, levels: int) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(each, levels - 1) for each in parts)


def _time(document: Object) -> datetime:
    written, time = document.get("format"), document.get("time")
    if written != FORMAT:
        known = printable(str(written)) if written else "unknown"
        raise AnswerIsNo(f"the format of the backup is {known}, and this program reads {FORMAT}: use the one of then")
    if not isinstance(time, str) or (found := moment_or_none(time)) is None:
        raise AnswerIsNo("line 1: the backup has no time: use the file as it was written")
    return found


def _item(document: Object, number: int) -> Item:
    try:
        kind, metadata = document["kind"], document["metadata"]
        item = Item(metadata["namespace"], kind, metadata["name"])
        if (document["apiVersion"], kind) not in _KINDS or not all(map(is_name, (item.namespace, item.name))):
            raise ValueError
        shapes = [document.get(part, {}) for part in ("spec", "status", "data", "binaryData")]
        notes = [metadata.get(part, {}) for part in _NOTES]
        texts = [each for part in notes for each in part.values()]
        if not all(isinstance(each, dict) for each in shapes) or not all(isinstance(each, str) for each in texts):
            raise ValueError
        if metadata.keys() - _METADATA - {"generation"} or not isinstance(metadata.get("generation", 0), int):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise AnswerIsNo(f"line {number}: no object of a backup: use the file as it was written") from None
    return item
