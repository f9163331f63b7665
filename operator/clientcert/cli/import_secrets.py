"""Finds the client certificates in Secrets that cert-manager does not renew."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.import_candidate import Candidate, Findings, is_something_else, without_copies
from clientcert.cli.import_request import ImportRequest
from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import SecretSource
from clientcert.pki import MAX_SIZE

_FIRST_KEY = "tls.crt"
_OF_CERT_MANAGER = "cert-manager.io/certificate-name"
"""The annotation of each Secret that cert-manager writes, with the name of its Certificate."""


@dataclass(frozen=True, slots=True)
class SecretSearch:
    """What `clientcert import secrets` looks for."""

    labels: str
    everywhere: bool

    def find(self, cluster: Cluster, request: ImportRequest) -> Findings:
        """Look at every key of every Secret. Raises AnswerIsNo and Failed."""
        found: list[Candidate] = []
        for secret in cluster.secrets(everywhere=self.everywhere, labels=self.labels):
            found += without_copies(list(self._in_secret(secret, request)))
        return Findings(sorted(found, key=lambda each: each.place))

    def _in_secret(self, secret: Object, request: ImportRequest) -> Iterator[Candidate]:
        """The keys with a certificate, and those with something that should be one."""
        metadata = secret["metadata"]
        renewed_by = (metadata.get("annotations") or {}).get(_OF_CERT_MANAGER)
        data: dict[str, str] = secret.get("data") or {}
        for key in _in_order(data):
            where = f"{metadata['namespace']}/{metadata['name']}" if self.everywhere else metadata["name"]
            candidate = Candidate(
                metadata["namespace"],
                f"Secret {where}, key {key}",
                f"secret {metadata['name']} {key}",
                source=SecretSource(metadata["name"], key),
            )
            if renewed_by:
                if key == _FIRST_KEY:
                    words = f"cert-manager renews it, by Certificate {renewed_by}"
                    yield replace(candidate, left_out=words)
                continue
            read = candidate.read(partial(_decoded, data[key]), request.now, otherwise=metadata["name"])
            if not is_something_else(read, key):
                yield _for_clients(read)


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
    if read.found is None or read.found.is_for_clients:
        return read
    return replace(read, left_out="it is for servers: its extendedKeyUsage lacks clientAuth")
