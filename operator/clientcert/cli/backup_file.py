"""The file of `clientcert backup`: one JSON document in each line. Pure.

    {"format": "clientcert-backup/1", "namespace": null, "time": "2026-11-22T09:00:00Z", "version": "0.1.0"}
    {"apiVersion": "clientcert.dev/v1alpha1", "kind": "CertificatePolicy", "metadata": …, "spec": …, "status": …}
    {"end": 1}

The last line has the number of objects: a file without it was cut off.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from clientcert import __version__
from clientcert.api.alert_test import TO, VALUE
from clientcert.api.kinds import API_VERSION, CERTIFICATE_RENEWAL, KINDS, moment_or_none, timestamp
from clientcert.cli.cluster import Object, is_name
from clientcert.cli.errors import AnswerIsNo
from clientcert.cli.git_manifest import git_manifest
from clientcert.cli.table import printable

FORMAT = "clientcert-backup/1"
CONFIG_MAP = "ConfigMap"
_KINDS = {(API_VERSION, each.name) for each in KINDS} | {("v1", CONFIG_MAP)}
_SECRETIVE = (("spec", "csr"), ("spec", "proof"), ("status", "ciphertext"), ("status", "issuance", "request"))
"""Of a CertificateRenewal: the consumer's request, which may hold a challenge password, and the encrypted key."""


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
    metadata = manifest["metadata"]
    metadata.pop("finalizers", None)
    if notes := {name: value for name, value in metadata.pop("annotations", {}).items() if name not in {VALUE, TO}}:
        metadata["annotations"] = notes
    return manifest


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


def parse_backup(lines: Iterable[bytes]) -> BackupFile:
    """Check all lines; raises AnswerIsNo."""
    found: dict[Item, bytes] = {}
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
            found[_item(document, number)] = line
    if time is None or end != len(found):
        raise AnswerIsNo("the backup is cut off, or objects were added or removed: use the file as it was written")
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
    if not isinstance(document, dict):
        raise AnswerIsNo(f"line {number}: no JSON object: name a file that clientcert backup has written")
    return document


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
        shapes = [document.get("spec", {}), document.get("status", {}), document.get("data", {})]
        if not all(isinstance(each, dict) for each in shapes) or not isinstance(metadata.get("generation", 0), int):
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise AnswerIsNo(f"line {number}: no object of a backup: use the file as it was written") from None
    return item
