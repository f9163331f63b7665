"""Decides what is written about each place that `clientcert import` has looked at."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from clientcert.api.discovery import Found, object_names
from clientcert.api.manifests import Manifest, client_certificate
from clientcert.cli.import_candidate import Candidate, Store
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.import_watched import Watched, source_place
from clientcert.cli.manifest_directory import ManifestDirectory, OwnFile
from clientcert.cli.manifest_text import write_text
from clientcert.lifecycle.spec import CertificateSpec, ObjectKey, SecretSource, Silence
from clientcert.pki import Identity
from clientcert.pki.pem_writer import pem

SECRET_KEY = "tls.crt"  # noqa: S105 - the name of a key


class Result(StrEnum):
    """What has become of a place."""

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
    silence: Silence | None = None


class Planner:
    """Plans one place after the other; each has a name that no other has."""

    def __init__(
        self,
        request: ImportRequest,
        watched: Watched,
        directory: ManifestDirectory,
        taken_secrets: frozenset[str],
        *,
        everywhere: bool,
    ) -> None:
        """With `everywhere`, the names of files begin with the namespace."""
        self._request = request
        self._watched = watched
        self._directory = directory
        self._taken_secrets = taken_secrets
        self._everywhere = everywhere
        self._names = {each.key for each in directory.own.values()} | watched.keys
        self._files = set(directory.own)
        self._sources = {
            source_place(each.key.namespace, each.spec.source): each for each in directory.own.values() if each.spec
        }

    def plan(self, candidate: Candidate) -> Planned:
        """Decide about one place."""
        if candidate.left_out:
            return Planned(candidate, Result.LEFT_OUT, candidate.left_out)
        own = self._directory.find(candidate.namespace, self._request.environment, candidate.origin)
        if own is None and (words := self._watched_already(candidate)):
            return Planned(candidate, Result.LEFT_OUT, words)
        if candidate.found is None:
            problem = candidate.problem
            words = f"{problem.reason}: {problem.message}" if problem else ""
            file, name = (own.file_name, own.key.name) if own else ("", "")
            return Planned(candidate, Result.UNREADABLE, words, file, name=name)
        return self._again(candidate, candidate.found, own) if own else self._new(candidate, candidate.found)

    def _again(self, candidate: Candidate, found: Found, own: OwnFile) -> Planned:
        if own.is_changed:
            return Planned(candidate, Result.KEPT, "somebody has changed the file", own.file_name, b"", own.key.name)
        before = own.spec.silence if own.spec else None
        content, silence = self._content(candidate, found, own.key, before)
        result = Result.UNCHANGED if content == own.content else Result.CHANGED
        return Planned(candidate, result, "", own.file_name, content, own.key.name, silence)

    def _watched_already(self, candidate: Candidate) -> str:
        """The object or the file that watches the same source, in words; empty if none does."""
        if candidate.source is None:
            fingerprint = candidate.found.certificate.fingerprint_sha256 if candidate.found else ""
            name = self._watched.holder_of(candidate.namespace, fingerprint)
            return f"ClientCertificate {name} has this certificate" if name else ""
        place = source_place(candidate.namespace, candidate.source)
        if (name := self._watched.name_of(place)) is not None:
            return f"ClientCertificate {name} watches it"
        if (own := self._sources.get(place)) is not None:
            environment = own.spec.environment if own.spec else ""
            return f"{own.file_name} watches it, in environment {environment}: remove that file if that is wrong"
        return ""

    def _new(self, candidate: Candidate, found: Found) -> Planned:
        names = object_names(found.name, self._request.environment, candidate.origin)
        keys = [ObjectKey(candidate.namespace, each) for each in names]
        key = next((each for each in keys if each not in self._names and self._has_free_secret(candidate, each)), None)
        if key is None:
            return Planned(candidate, Result.UNREADABLE, f"other objects are called {names.usual} and {names.other}")
        self._names.add(key)
        file = f"{key.namespace}.{key.name}.yaml" if self._everywhere else f"{key.name}.yaml"
        file = f"{key.namespace}.{key.name}.yaml" if file in self._files else file
        self._files.add(file)
        content, silence = self._content(candidate, found, key, None)
        return Planned(candidate, Result.NEW, "", file, content, key.name, silence)

    def _has_free_secret(self, candidate: Candidate, key: ObjectKey) -> bool:
        return candidate.source is not None or secret_name(key.name) not in self._taken_secrets

    def _content(
        self, candidate: Candidate, found: Found, key: ObjectKey, before: Silence | None
    ) -> tuple[bytes, Silence | None]:
        """The file, and the silence in it; one that was written before keeps its end, unless the call names one."""
        silence = self._request.silence if self._request.ignores(found.name, found.consumer) else None
        if silence is not None and before is not None and not self._request.has_end:
            silence = replace(silence, until=before.until)
        spec = CertificateSpec(
            consumer=found.consumer,
            environment=self._request.environment,
            source=candidate.source or SecretSource(secret_name(key.name), SECRET_KEY),
            contact=self._request.contact(found.consumer, found.name),
            identity=Identity(found.consumer, found.identity),
            policy=self._request.policy,
            silence=silence,
        )
        secrets = [_secret(key, found)] if candidate.source is None else []
        return write_text(candidate.origin, [*secrets, client_certificate(key, spec)]), silence


def plan_store(store: Store, directory: ManifestDirectory) -> Mapping[str, bytes]:
    """The file of a CertificateStore, unless somebody has changed it."""
    own = directory.find(store.key.namespace, "", store.origin)
    if own is not None and own.is_changed:
        return {}
    name = own.file_name if own else f"certificatestore_{store.key.name}.yaml"
    return {name: write_text(store.origin, [store.manifest])}


def files_of(planned: Iterable[Planned]) -> dict[str, bytes]:
    """The files to write."""
    return {each.file: each.content for each in planned if each.content}


def secret_name(name: str) -> str:
    """The Secret that holds the certificate of a file."""
    return f"{name}-certificate"


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
