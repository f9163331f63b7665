"""Decides what is written about each place that `clientcert import` has looked at."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from clientcert.api.discovery import Found, object_names
from clientcert.api.manifests import Manifest, client_certificate
from clientcert.cli.import_candidate import Candidate
from clientcert.cli.import_names import FreeNames, secret_name
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.import_watched import Watched
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.cli.manifest_text import write_text
from clientcert.cli.own_manifest import OwnFile
from clientcert.lifecycle.source_place import SourcePlace
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey, SecretSource, Silence, SourceRef
from clientcert.pki.identity import Identity
from clientcert.pki.pem_writer import pem

SECRET_KEY = "tls.crt"  # noqa: S105 - the name of a key
_OWN = 0
"""The rank of a place with a manifest in the directory; one with an object in the cluster is next."""


class Result(StrEnum):
    """The result for one place."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    LEFT_OUT = "left out"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Planned:
    """One place, and what is written about it."""

    candidate: Candidate
    result: Result
    words: str = ""
    """Why, if nothing is written."""
    file: str = ""
    content: bytes = field(default=b"", repr=False)
    name: str = ""
    """Of the ClientCertificate."""
    spec: CertificateSpec | None = None
    """The declaration in its manifest."""
    changes: tuple[str, ...] = ()
    """The fields that differ from the manifest of an earlier import."""

    @property
    def silence(self) -> Silence | None:
        """The silence in its manifest."""
        return self.spec.silence if self.spec else None


class Planner:
    """Plans all places; each new object has a name that no other has."""

    def __init__(
        self,
        request: ImportRequest,
        watched: Watched,
        directory: ManifestDirectory,
        names: FreeNames,
        *,
        everywhere: bool,
    ) -> None:
        """With `everywhere`, the names of files begin with the namespace."""
        self._request = request
        self._watched = watched
        self._directory = directory
        self._names = names
        self._everywhere = everywhere
        self._sources = {
            watched.place(each.key.namespace, each.spec.source): each
            for each in directory.own.values()
            if each.key and each.spec
        }

    def plan(self, candidates: Iterable[Candidate]) -> list[Planned]:
        """Decide about each place, in this order."""
        return [self._planned(each) for each in self._without_copies(list(candidates))]

    def _without_copies(self, candidates: list[Candidate]) -> list[Candidate]:
        """Leave out the copies of a certificate in one group: the place that has an object already is not one."""
        chosen: dict[tuple[str, ...], Candidate] = {}
        for each in sorted(candidates, key=self._rank):
            if copy := _copied(each):
                chosen.setdefault(copy, each)
        result = []
        for each in candidates:
            first = chosen[copy] if (copy := _copied(each)) else each
            is_copy = first is not each and self._rank(each) > _OWN
            result.append(
                replace(each, left_out=f"it is the same certificate as in {first.place}") if is_copy else each
            )
        return result

    def _rank(self, candidate: Candidate) -> int:
        if self._own(candidate) is not None:
            return _OWN
        is_watched = candidate.source and self._watched.name_of(self._place(candidate.namespace, candidate.source))
        return _OWN + 1 if is_watched else _OWN + 2

    def _planned(self, candidate: Candidate) -> Planned:
        if candidate.left_out:
            return Planned(candidate, Result.LEFT_OUT, candidate.left_out)
        own = self._own(candidate)
        if own is None and (words := self._watched_already(candidate)):
            return Planned(candidate, Result.LEFT_OUT, words)
        if candidate.found is None:
            problem = candidate.problem
            words = f"{problem.reason}: {problem.message}" if problem else ""
            return _as_it_is(candidate, Result.UNREADABLE, words, own)
        return self._again(candidate, candidate.found, own) if own else self._new(candidate, candidate.found)

    def _own(self, candidate: Candidate) -> OwnFile | None:
        return self._directory.find(candidate.namespace, self._request.environment, candidate.origin)

    def _place(self, namespace: str, source: SourceRef) -> SourcePlace:
        return self._watched.place(namespace, source)

    def _again(self, candidate: Candidate, found: Found, own: OwnFile) -> Planned:
        if own.key is None or own.spec is None:
            words = "somebody has changed the file, and it cannot be read any more: correct or remove it"
            return _as_it_is(candidate, Result.KEPT, words, own)
        if own.is_changed:
            return _as_it_is(candidate, Result.KEPT, "somebody has changed the file", own)
        if candidate.source is None and (own.spec.consumer, own.spec.identity) != _declared(found):
            words = "is about a certificate with another name: if this one replaces it, remove that file"
            return _as_it_is(candidate, Result.UNREADABLE, f"{own.file_name} {words}", own)
        spec = self._spec(candidate, found, own.key, own.spec)
        content = _content(candidate, found, own.key, spec)
        result = Result.UNCHANGED if content == own.content else Result.CHANGED
        changes = _changes(own.spec, spec) if result is Result.CHANGED else ()
        return Planned(candidate, result, "", own.file_name, content, own.key.name, spec, changes)

    def _watched_already(self, candidate: Candidate) -> str:
        """The object or the file that watches the same source, in words; empty if none does."""
        if candidate.source is None:
            fingerprint = candidate.found.certificate.fingerprint_sha256 if candidate.found else ""
            name = self._watched.holder_of(candidate.namespace, fingerprint)
            return f"ClientCertificate {name} has this certificate" if name else ""
        place = self._place(candidate.namespace, candidate.source)
        if (name := self._watched.name_of(place)) is not None:
            return f"ClientCertificate {name} watches it"
        if (own := self._sources.get(place)) is not None:
            environment = own.spec.environment if own.spec else ""
            return f"{own.file_name} watches it, in environment {environment}: remove that file if that is wrong"
        return ""

    def _new(self, candidate: Candidate, found: Found) -> Planned:
        names = object_names(found.name, self._request.environment, candidate.source or candidate.origin)
        keys = [ObjectKey(candidate.namespace, each) for each in names]
        key = self._names.object(keys, with_secret=candidate.source is None)
        if key is None:
            return Planned(candidate, Result.UNREADABLE, f"other objects are called {names.usual} and {names.other}")
        plain, full = f"{key.name}.yaml", f"{key.namespace}_{key.name}.yaml"
        file = self._names.file(full) if self._everywhere else self._names.file(plain, full)
        spec = self._spec(candidate, found, key, None)
        return Planned(candidate, Result.NEW, "", file, _content(candidate, found, key, spec), key.name, spec)

    def _spec(
        self, candidate: Candidate, found: Found, key: ObjectKey, before: CertificateSpec | None
    ) -> CertificateSpec:
        """The declaration; each field that the call does not set is as before."""
        request, names, (consumer, identity) = self._request, (found.name, found.consumer), _declared(found)
        return CertificateSpec(
            consumer=consumer,
            environment=request.environment,
            source=candidate.source or SecretSource(secret_name(key.name), SECRET_KEY),
            contact=request.contact_of(before, *names),
            identity=identity,
            policy=request.policy_of(before),
            silence=request.silence_of(before, *names),
        )


def _copied(candidate: Candidate) -> tuple[str, ...]:
    """Equal for copies; empty if it has none."""
    if candidate.found is None or candidate.left_out or not candidate.group:
        return ()
    return candidate.namespace, candidate.group, candidate.found.certificate.fingerprint_sha256


def _declared(found: Found) -> tuple[str, Identity]:
    """The consumer and the identity that its manifest declares."""
    return found.consumer, Identity.declared(found.consumer, dict(found.identity))


def _as_it_is(candidate: Candidate, result: Result, words: str, own: OwnFile | None) -> Planned:
    """Nothing is written, and a manifest that is there stays."""
    if own is None:
        return Planned(candidate, result, words)
    return Planned(candidate, result, words, own.file_name, name=own.key.name if own.key else "", spec=own.spec)


def _changes(before: CertificateSpec, after: CertificateSpec) -> tuple[str, ...]:
    """The fields of the spec that differ; if none does, the certificate in the Secret."""
    names = [each.name for each in fields(CertificateSpec) if getattr(before, each.name) != getattr(after, each.name)]
    return tuple(names) or ("certificate",)


def _content(candidate: Candidate, found: Found, key: ObjectKey, spec: CertificateSpec) -> bytes:
    """The file."""
    secrets = [_secret(key, found)] if candidate.source is None else []
    return write_text(candidate.origin, [*secrets, client_certificate(key, spec)])


def names_taken(watched: Watched, directory: ManifestDirectory, secrets: Iterable[str]) -> FreeNames:
    """The names that no new object or file may have."""
    own = {each.key for each in directory.own.values() if each.key and each.spec}
    return FreeNames(own | watched.keys, directory.own, secrets)


def files_of(planned: Iterable[Planned]) -> dict[str, bytes]:
    """The files to write."""
    return {each.file: each.content for each in planned if each.content}


def _secret(key: ObjectKey, found: Found) -> Manifest:
    """A Secret with the certificate and its chain, and never with the private key."""
    text = "".join(pem("CERTIFICATE", each) for each in (found.leaf.der, *found.leaf.chain_ders))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(key.name), "namespace": key.namespace},
        "type": "Opaque",
        "data": {SECRET_KEY: base64.b64encode(text.encode()).decode()},
    }
