"""Finds the client certificates in Secrets that cert-manager does not renew."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from clientcert.api.discovery import origin_of
from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import Forbidden, NotFound
from clientcert.cli.import_candidate import Candidate, Findings, is_usual_name
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import SecretSource
from clientcert.pki.parsing import MAX_SIZE

_FIRST_KEY = "tls.crt"
_OF_CERT_MANAGER = "cert-manager.io/certificate-name"
"""The annotation of each Secret that cert-manager writes, with the name of its Certificate."""


@dataclass(frozen=True, slots=True)
class SecretSearch:
    """The search of `clientcert import secrets`."""

    labels: str
    everywhere: bool

    def find(self, cluster: Cluster, request: ImportRequest, directory: ManifestDirectory) -> Findings:
        """Look at every key of every Secret. Raises AnswerIsNo and Failed."""
        del directory
        renewers = _Renewers(cluster)
        secrets = cluster.secrets(everywhere=self.everywhere, labels=self.labels)
        return Findings([found for each in secrets for found in self._in_secret(each, renewers.of(each), request)])

    def _in_secret(self, secret: Object, renewed_by: str, request: ImportRequest) -> Iterator[Candidate]:
        """The keys with a certificate, and those with something that should be one."""
        metadata = secret["metadata"]
        data: dict[str, str] = secret.get("data") or {}
        for key in _in_order(data):
            where = f"{metadata['namespace']}/{metadata['name']}" if self.everywhere else metadata["name"]
            source = SecretSource(metadata["name"], key)
            candidate = Candidate(
                metadata["namespace"],
                f"Secret {where}, key {key}",
                origin_of(source),
                group=f"secret {metadata['name']}",
                source=source,
            )
            if renewed_by:
                if key == _FIRST_KEY:
                    words = f"cert-manager renews it, by Certificate {renewed_by}"
                    yield replace(candidate, left_out=words)
                continue
            read = candidate.read(partial(_decoded, data[key]), request.now, otherwise=metadata["name"])
            read = read.unless_something_else(key)
            if not read.left_out or is_usual_name(key):
                yield _for_clients(read)


class _Renewers:
    """The Certificates of cert-manager: a Secret keeps the annotation when its Certificate is deleted."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[str, frozenset[str] | None] = {}

    def of(self, secret: Object) -> str:
        """The Certificate that renews a Secret; empty if none does."""
        metadata = secret["metadata"]
        name: str = (metadata.get("annotations") or {}).get(_OF_CERT_MANAGER) or ""
        if not name:
            return ""
        namespace = metadata["namespace"]
        if namespace not in self._known:
            self._known[namespace] = self._names(namespace)
        known = self._known[namespace]
        return name if known is None or name in known else ""

    def _names(self, namespace: str) -> frozenset[str] | None:
        """None if the caller may not list them; the annotation is all that is known then."""
        try:
            return frozenset(self._cluster.within(namespace).names(_certificates_path))
        except NotFound:  # cert-manager is not installed
            return frozenset()
        except Forbidden:
            return None


def _certificates_path(namespace: str) -> str:
    return f"/apis/cert-manager.io/v1/namespaces/{namespace}/certificates"


def _in_order(data: Iterable[str]) -> list[str]:
    """The usual key first: of two keys with the same certificate, it is the source."""
    return sorted(data, key=lambda key: (key != _FIRST_KEY, key))


def _decoded(encoded: str) -> bytes:
    if len(encoded) > 2 * MAX_SIZE:
        raise SourceError(Reason.TOO_LARGE, "it is larger than 1 MiB")
    try:
        return base64.b64decode(encoded)
    except binascii.Error:
        raise SourceError(Reason.SOURCE_UNAVAILABLE, "it is not base64") from None


def _for_clients(read: Candidate) -> Candidate:
    if read.left_out or read.found is None or read.found.is_for_clients:
        return read
    return replace(read, left_out="it is for servers: its extendedKeyUsage lacks clientAuth")
