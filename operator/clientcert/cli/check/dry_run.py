"""Send the manifests of a folder to the API server as dry runs: what it refuses, and what it would make of the others.

A manifest changes the fields that it has, and removes those that its applier has set before and that it has no longer,
as `kubectl apply` does: with server-side apply in the name of the applier, else by `last-applied-configuration`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from clientcert.api.kinds import GROUP
from clientcert.cli.api_server import MERGE_PATCH
from clientcert.cli.check.finding import Check, CheckReason, Finding, NotMade, Right
from clientcert.cli.check.known import Declared, Item, Place
from clientcert.cli.check.manifests import Manifest
from clientcert.cli.check.reading import Reader
from clientcert.cli.cluster import Object
from clientcert.cli.errors import AnswerIsNo, Failed, Forbidden, Invalid, NotFound, Unanswered
from clientcert.cli.git_manifest import LAST_APPLIED, OF_THE_SERVER

_APPLY_PATCH = "application/apply-patch+yaml"
_DRY = "?dryRun=All&fieldValidation=Strict&fieldManager="
_MANAGER = "clientcert"
_LONGEST = 500
_REFUSES = "the API server refuses: "
_NOT_TYPED = "failed to create typed patch object"
"""Begins the words of a server-side apply of fields that the kind has not: the status of that answer is 500."""
_NOT_TYPED_FIELD = re.compile(r"(\.[^\s:]+): (field not declared in schema|expected [a-z]+(?: or [a-z]+)*)")
_STRICT = "strict decoding error: "
"""The field of such a cause is the whole patch."""
_QUOTES_A_VALUE = frozenset({"Invalid value", "Unsupported value", "Duplicate value"})


@dataclass(slots=True)
class DryRuns:
    """Sends manifests one by one; collects what was found."""

    reader: Reader
    applied: Mapping[Place, Object]
    """The objects in the cluster, of kinds that may be listed."""
    declared: Declared
    installed: frozenset[str]
    """The plurals of the kinds that are installed: another finding says which are missing."""

    def send(self, manifest: Manifest) -> tuple[Item, Finding | NotMade | None]:
        """The object as it would be, and what is wrong with it.

        If that is not known it is as the folder has it; if it is refused, without its content, in which no other check
        can trust the type of a field.
        """
        applied = self.applied.get((manifest.kind, manifest.key))
        as_it_is = as_declared(manifest, applied)
        if manifest.kind.plural not in self.installed:
            return as_it_is, None
        try:
            found = self._sent(manifest, applied)
        except Unanswered:
            raise
        except (Invalid, Forbidden, NotFound, Failed) as error:
            problem = self._problem(manifest, error)
            if isinstance(problem, Finding):
                return Item(manifest.kind, manifest.key, {}, applied, as_it_is.file, changed=True), problem
            return as_it_is, problem
        return Item(manifest.kind, manifest.key, found, applied, as_it_is.file, _is_changed(found, applied)), None

    def _problem(self, manifest: Manifest, error: AnswerIsNo | Failed) -> Finding | NotMade | None:
        """A refusal, or a dry run that could not be made; None if the missing right is noted."""
        if isinstance(error, Invalid):
            return _refused(manifest, _words(error))
        if isinstance(error, Forbidden):
            return self._forbidden(manifest, error)
        if isinstance(error, NotFound):
            return self._no_namespace(manifest)
        words = error.message.partition(_REFUSES)[2]
        if words.startswith(_NOT_TYPED):
            return _refused(manifest, _untyped(words))
        return NotMade(Check.MANIFESTS, f"{manifest.kind.name} {manifest.key.name}", f"{words[:_LONGEST]}: try again")

    def _sent(self, manifest: Manifest, applied: Object | None) -> Object:
        kind, key = manifest.kind, manifest.key
        content = _sendable(manifest.content, key.namespace)
        collection, item = kind.collection(key.namespace), kind.item(key.namespace, key.name)
        what, send = f"{kind.name} {key.name} in namespace {key.namespace}", self.reader.cluster.send
        is_listed = (kind, key.namespace) not in self.reader.unlisted
        if applied is None and (is_listed or "name" not in content["metadata"]):
            return send("POST", f"{collection}{_DRY}{_MANAGER}", content, what)
        if applied is None or (applier := _applier(applied)):
            manager = applier if applied else _MANAGER
            return send("PATCH", f"{item}{_DRY}{manager}&force=true", content, what, _APPLY_PATCH)
        patch = patch_of(_sendable(_last_applied(applied), key.namespace), content)
        return send("PATCH", f"{item}{_DRY}{_MANAGER}", patch, what, MERGE_PATCH)

    def _forbidden(self, manifest: Manifest, error: Forbidden) -> Finding | None:
        """A missing right of the caller is no fault of the manifest; a refusal of an admission policy is one."""
        kind, namespace = manifest.kind, manifest.key.namespace
        exists, is_listed = (kind, manifest.key) in self.applied, (kind, namespace) not in self.reader.unlisted
        for verb in ("patch",) if exists else ("create",) if is_listed else ("create", "patch"):
            right = Right(verb, GROUP, kind.plural, namespace)
            if not self.reader.may(right):
                self.reader.note(Check.MANIFESTS, right, f"{kind.name} {manifest.key.name}")
                return None
        words = error.message.partition(_REFUSES)[2]
        return _refused(manifest, words, "Correct the manifest; or check it as whoever applies it, with --as.")

    def _no_namespace(self, manifest: Manifest) -> Finding | NotMade:
        namespace = manifest.key.namespace
        if namespace in self.declared.namespaces:
            what = f"{manifest.kind.name} {manifest.key.name}"
            return NotMade(Check.MANIFESTS, what, f"the folder makes namespace {namespace}: apply that first")
        words, action = f"namespace {namespace} does not exist", "Create it, or give -n, or correct metadata.namespace."
        return Finding(Check.MANIFESTS, manifest.subject, CheckReason.NAMESPACE_NOT_FOUND, words, action)


def as_declared(manifest: Manifest, applied: Object | None) -> Item:
    """The object without a dry run: as the folder has it, or as it is, if the folder changes nothing."""
    content = manifest.content
    is_same = applied is not None and _is_part(content.get("spec"), applied.get("spec"))
    known = applied if applied is not None and is_same else content
    return Item(manifest.kind, manifest.key, known, applied, manifest.subject.file, not is_same)


def _sendable(content: Object, namespace: str) -> Object:
    """Without what only the API server writes."""
    found = content.get("metadata")
    metadata = found if isinstance(found, dict) else {}
    kept = {name: value for name, value in metadata.items() if name not in OF_THE_SERVER}
    kept |= {"namespace": namespace, "annotations": metadata.get("annotations") or {}}
    return {name: value for name, value in content.items() if name != "status"} | {"metadata": kept}


def _is_part(declared: Any, found: Any) -> bool:
    """True if the object has everything that is declared; the API server adds defaults."""
    if isinstance(declared, dict) and isinstance(found, dict):
        return all(name in found and _is_part(value, found[name]) for name, value in declared.items())
    if isinstance(declared, list) and isinstance(found, list):
        return len(declared) == len(found) and all(map(_is_part, declared, found))
    return bool(declared == found)


def _refused(manifest: Manifest, words: str, action: str = "Correct the manifest.") -> Finding:
    return Finding(Check.MANIFESTS, manifest.subject, CheckReason.REFUSED, words[:_LONGEST], action)


def _words(error: Invalid) -> str:
    """The fields and what is wrong with them, without their values, which may be addresses of people."""
    if not error.causes:
        words = error.message.partition(_REFUSES)[2]
        return words.partition(_STRICT)[2] or words
    found = ((name, without_value(words)) for name, words in error.causes)
    return "; ".join(dict.fromkeys(words.partition(_STRICT)[2] or f"{name}: {words}" for name, words in found))


def _untyped(words: str) -> str:
    """The fields that the kind has not, or not with this type, without the values, which the answer may quote."""
    fields = dict.fromkeys(f"{name}: {problem}" for name, problem in _NOT_TYPED_FIELD.findall(words))
    return "; ".join(fields) or "its fields are not those of the kind"


def without_value(words: str) -> str:
    """The message of a cause without the value that it quotes."""
    begin, value, rest = words.partition(": ")
    if begin not in _QUOTES_A_VALUE or not value:
        return words
    try:
        _, end = json.JSONDecoder().raw_decode(rest)
    except ValueError:
        return begin
    return rest[end:].removeprefix(": ") or begin


def _is_changed(found: Object, applied: Object | None) -> bool:
    """True if the spec would be another one; the API server counts its generations."""
    return applied is None or found["metadata"].get("generation") != applied["metadata"].get("generation")


def _applier(applied: Object) -> str:
    """The field manager that has applied the spec by server-side apply; empty if none has."""
    for each in applied["metadata"].get("managedFields") or ():
        is_spec = "f:spec" in (each.get("fieldsV1") or {}) and not each.get("subresource")
        if each.get("operation") == "Apply" and is_spec and str(each.get("manager", "")).isascii():
            return quote(each["manager"], safe="")
    return ""


def _last_applied(applied: Object) -> dict[str, Any]:
    try:
        found = json.loads((applied["metadata"].get("annotations") or {})[LAST_APPLIED])
    except (KeyError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def patch_of(before: Any, after: Any) -> Any:
    """The merge patch of an applier who has set `before`, and sets `after`."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    gone: dict[str, Any] = dict.fromkeys(name for name in before if name not in after)
    return gone | {name: patch_of(before.get(name), value) for name, value in after.items()}
