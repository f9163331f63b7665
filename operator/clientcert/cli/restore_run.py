"""One run of `clientcert restore`.

In each namespace: client lists, policies, revocations and stores, and then each certificate with its status. A
certificate is created with an annotation by which the operator does nothing about it before it has a status
(`api/restored.py`). So when the operator looks at it first, it has its policy, its store and its status.

A store that creates certificates by itself comes after all certificates, and their statuses after it: it must find that
its keys are watched already.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

import click

from clientcert.api.kinds import (
    CERTIFICATE_POLICY,
    CERTIFICATE_REVOCATION,
    CERTIFICATE_STORE,
    CLIENT_CERTIFICATE,
    GROUP,
    timestamp,
)
from clientcert.api.restored import HOLD, RESTORED
from clientcert.cli.api_server import MERGE_PATCH
from clientcert.cli.backup_file import CONFIG_MAP, LIST_OF_POLICY, BackupFile, Item, text_at
from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import AlreadyExists, AnswerIsNo, Conflict, Failed, NotFound, Unanswered
from clientcert.cli.git_manifest import merged
from clientcert.cli.output import name_of
from clientcert.cli.restored_status import for_generation, status_change
from clientcert.cli.write_options import PlanLine

_WITH_STATUS = {each.name: each for each in (CERTIFICATE_POLICY, CLIENT_CERTIFICATE, CERTIFICATE_STORE)}
_KINDS = _WITH_STATUS | {CERTIFICATE_REVOCATION.name: CERTIFICATE_REVOCATION}
_ORDER = (
    CONFIG_MAP,
    CERTIFICATE_POLICY.name,
    CERTIFICATE_REVOCATION.name,
    CERTIFICATE_STORE.name,
    CLIENT_CERTIFICATE.name,
)
_CREATE = "Create"
_CONTENTS = ("spec", "data", "binaryData")
_REVIEW = "authorization.k8s.io/v1"
_ROLE = "clientcert-restorer"
_TRIES = 5
_MOST_UNANSWERED = 3
"""Calls without an answer, one after the other, that end the run."""
IN_TIME = (
    f"call again within {int(HOLD.total_seconds() // 60)} minutes, or alerts about what was created without its status"
    " are sent as about new certificates"
)


class _Differs(AnswerIsNo):
    """The object exists, with another content."""


@dataclass(frozen=True, slots=True)
class _Restored:
    """An object that exists now, or would after a dry run."""

    content: Object
    is_new: bool

    @property
    def status(self) -> Object:
        """Empty if it has none."""
        return self.content.get("status") or {}

    def without_spec(self) -> "_Restored":
        """The part that the write of its status needs: the specs of a whole namespace would fill the memory."""
        known = {"resourceVersion", "generation", "name", "namespace"}
        metadata = {name: value for name, value in self.content["metadata"].items() if name in known}
        kept = {name: value for name, value in self.content.items() if name in {"apiVersion", "kind", "status"}}
        return _Restored(kept | {"metadata": metadata}, self.is_new)


class Restore:
    """A problem is on standard error as soon as it is known."""

    def __init__(self, cluster: Cluster, backup: BackupFile, wanted: Sequence[Item], *, is_dry: bool) -> None:
        """`wanted` are the objects that are restored; renewals among them are left out."""
        self._cluster = cluster
        self._backup = backup
        self._wanted = [each for each in wanted if each.kind in _ORDER]
        self._is_dry = is_dry
        self.problems: dict[Item, type[click.ClickException]] = {}
        """The objects that are not as in the backup, and the class of the reason: an error would hold its frames."""
        self._unanswered = 0

    def lines(self) -> Iterator[str]:
        """Restore each namespace; a line for each object. Raises Failed if the API server no longer answers."""
        ordered = sorted(self._wanted, key=lambda each: (each.namespace, _ORDER.index(each.kind)))
        for namespace, found in groupby(ordered, key=lambda each: each.namespace):
            cluster, items = self._cluster.within(namespace), [*found]
            if self._has_rights(cluster, items):
                yield from self._namespace(cluster, items)

    def _has_rights(self, cluster: Cluster, items: Sequence[Item]) -> bool:
        with self._noting(items):
            _check_rights(cluster, {each.kind for each in items})
            return True
        return False

    def _namespace(self, cluster: Cluster, items: Sequence[Item]) -> Iterator[str]:
        late = [each for each in items if self._creates_certificates(each)]
        waiting: dict[Item, _Restored] = {}
        for item in [*(each for each in items if each not in late), *late]:
            with self._noting([item]):
                restored = self._restored(cluster, item)
                if late and item.kind == CLIENT_CERTIFICATE.name:
                    waiting[item] = restored.without_spec()
                else:
                    yield self._with_status(cluster, item, restored)
        for item, restored in waiting.items():
            with self._noting([item]):
                yield self._with_status(cluster, item, restored)

    def _creates_certificates(self, item: Item) -> bool:
        if item.kind != CERTIFICATE_STORE.name:
            return False
        return text_at(self._backup.content(item), "spec", "discovery", "mode") == _CREATE

    @contextmanager
    def _noting(self, items: Sequence[Item]) -> Iterator[None]:
        """Note a problem of these objects, and go on with the others."""
        try:
            yield
        except (AnswerIsNo, Failed) as error:
            self._unanswered = self._unanswered + 1 if isinstance(error, Unanswered) else 0
            if self._unanswered >= _MOST_UNANSWERED:
                raise Failed(f"{error.message}; {IN_TIME}") from None
            self.problems |= dict.fromkeys(items, type(error))
            click.echo(f"Error: {error.message}", err=True)
        else:
            self._unanswered = 0

    def _restored(self, cluster: Cluster, item: Item) -> _Restored:
        """Create the object, or take the one that exists with the same content."""
        wanted = self._backup.content(item)
        self._check_references(item, wanted)
        new = _manifest(wanted, timestamp(self._backup.time))
        try:
            made = cluster.create(_KINDS[item.kind], new) if item.kind in _KINDS else cluster.create_config_map(new)
            return _Restored(made, is_new=True)
        except AlreadyExists:
            found = _read(cluster, item)
        except NotFound as error:
            words = f"there is no namespace {item.namespace}, or the kind is not installed: create it, or apply crds/"
            raise AnswerIsNo(f"{error.message.partition(':')[0]}: {words}") from None
        if any(merged(found.get(part), wanted.get(part) or {}) != (found.get(part) or {}) for part in _CONTENTS):
            words = "exists with another content, and is left as it is: change it, or delete it and call again"
            raise _Differs(f"{_called(item)}: {words}")
        if item.kind in _KINDS:
            cluster.leave(_KINDS[item.kind], found)
        return _Restored(found, is_new=False)

    def _check_references(self, item: Item, wanted: Object) -> None:
        """Raise AnswerIsNo if the object would do something else without another one that was not restored."""
        names = {
            CERTIFICATE_POLICY.name: text_at(wanted, "spec", "policyRef", "name"),
            CONFIG_MAP: text_at(wanted, *LIST_OF_POLICY),
        }
        for kind, name in names.items():
            problem = self.problems.get(Item(item.namespace, kind, name)) if name else None
            if problem is not None and problem is not _Differs:
                raise AnswerIsNo(f"{_called(item)}: {kind} {name}, which it needs, was not restored: call again then")
        if self._creates_certificates(item) and self._lacks_certificates(item.namespace):
            words = "it would create certificates anew that were not restored: call again when they can be"
            raise AnswerIsNo(f"{_called(item)}: {words}")

    def _lacks_certificates(self, namespace: str) -> bool:
        return any(
            (each.namespace, each.kind) == (namespace, CLIENT_CERTIFICATE.name) and problem is not _Differs
            for each, problem in self.problems.items()
        )

    def _with_status(self, cluster: Cluster, item: Item, restored: _Restored) -> str:
        """Restore the status; returns the line about the object."""
        name = f"{item.namespace} {name_of(restored.content)}"
        if self._is_dry:
            return (
                PlanLine(f"{name}: its status would be restored")
                if self._change(item, restored)
                else f"{name} unchanged"
            )
        try:
            is_written = self._write_status(cluster, item, restored)
        except (AnswerIsNo, Failed) as error:
            created = "it was created, and its status was not restored: " if restored.is_new else ""
            kind = next(each for each in (Unanswered, Failed, AnswerIsNo) if isinstance(error, each))
            raise kind(f"{error.message}; {created}{IN_TIME}") from None
        if restored.is_new:
            return f"{name} created{', with its status' if is_written else ''}"
        return f"{name} {'exists, and its status is restored' if is_written else 'unchanged'}"

    def _write_status(self, cluster: Cluster, item: Item, restored: _Restored) -> bool:
        """False if there is nothing to write."""
        for _ in range(_TRIES):
            if not (change := self._change(item, restored)):
                return False
            path = _KINDS[item.kind].status(item.namespace, item.name) + "?fieldManager=clientcert"
            version = {"resourceVersion": restored.content["metadata"]["resourceVersion"]}
            try:
                cluster.send("PATCH", path, {"metadata": version, "status": change}, _called(item), MERGE_PATCH)
            except Conflict:
                restored = _Restored(_read(cluster, item), restored.is_new)
            else:
                return True
        raise Failed(f"{_called(item)}: it was changed by others during each attempt")

    def _change(self, item: Item, restored: _Restored) -> Object:
        """The merge patch of the status; empty if there is nothing to write."""
        if item.kind not in _WITH_STATUS:
            return {}
        wanted = self._backup.content(item)
        generations = wanted["metadata"].get("generation", 0), restored.content["metadata"].get("generation", 1)
        return status_change(restored.status, for_generation(wanted.get("status") or {}, *generations))


def _check_rights(cluster: Cluster, kinds: set[str]) -> None:
    """Raise AnswerIsNo if a status could not be written: the alerts about what is created would be repeated."""
    for kind in (each for each in _WITH_STATUS.values() if each.name in kinds):
        right = {"group": GROUP, "resource": kind.plural, "subresource": "status", "verb": "patch"}
        review = {
            "apiVersion": _REVIEW,
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": right | {"namespace": cluster.namespace}},
        }
        path = f"/apis/{_REVIEW}/selfsubjectaccessreviews"
        found = cluster.send("POST", path, review, "the question what you may do")
        if not (found.get("status") or {}).get("allowed"):
            raise AnswerIsNo(
                f"namespace {cluster.namespace}: nothing is restored, because you may not write statuses of"
                f" {kind.plural}, and alerts would be repeated: have the ClusterRole {_ROLE} bound to you"
            )


def _manifest(wanted: Object, time: str) -> Object:
    """The object to create. One whose status follows says so to the operator."""
    metadata = {name: value for name, value in wanted["metadata"].items() if name != "generation"}
    if wanted["kind"] == CLIENT_CERTIFICATE.name and wanted.get("status"):
        metadata["annotations"] = (metadata.get("annotations") or {}) | {RESTORED: time}
    return {name: value for name, value in wanted.items() if name != "status"} | {"metadata": metadata}


def _read(cluster: Cluster, item: Item) -> Object:
    return cluster.get(_KINDS[item.kind], item.name) if item.kind in _KINDS else cluster.whole_config_map(item.name)


def _called(item: Item) -> str:
    return f"{item.kind} {item.name} in namespace {item.namespace}"
