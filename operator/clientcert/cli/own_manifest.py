"""A file that `clientcert import` has written, as it is today: a person may have changed anything in it."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from clientcert.api.client_certificate import parse_bucket, parse_spec
from clientcert.api.kinds import API_VERSION, CERTIFICATE_STORE, CLIENT_CERTIFICATE
from clientcert.api.manifests import Manifest
from clientcert.cli.manifest_text import WrittenText, documents
from clientcert.errors import ClientCertError
from clientcert.lifecycle.spec import Bucket, CertificateSpec, ObjectKey

_OURS = (CLIENT_CERTIFICATE.name, CERTIFICATE_STORE.name)
"""The kinds that an import writes, one object in each file."""


class Place(NamedTuple):
    """The subject of a file. The first two fields are empty if it cannot be read."""

    namespace: str
    environment: str
    """Empty for a CertificateStore."""
    origin: str


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A manifest that an import has written."""

    file_name: str
    origin: str
    """As in its first line."""
    is_changed: bool
    content: bytes = field(repr=False)
    key: ObjectKey | None = None
    """Of its object; None if somebody has changed the file so that it has none that can be read.

    Its namespace is empty if somebody has removed it.
    """
    spec: CertificateSpec | None = None
    """Of a ClientCertificate."""
    bucket: Bucket | None = None
    """Of a CertificateStore."""

    @property
    def place(self) -> "Place":
        """The subject of the file."""
        if self.key is None:
            return Place("", "", self.origin)
        return Place(self.key.namespace, self.spec.environment if self.spec else "", self.origin)

    def applied_in(self, namespace: str) -> "OwnFile":
        """The same, with this namespace if it names none."""
        if self.key is None or self.key.namespace:
            return self
        return replace(self, key=ObjectKey(namespace, self.key.name))


def read_own(file_name: str, written: WrittenText, content: bytes) -> OwnFile:
    """Read the object in it."""
    try:
        found = _object(written.body)
        metadata, is_store = found["metadata"], found["kind"] == CERTIFICATE_STORE.name
        key = ObjectKey(str(metadata.get("namespace") or ""), str(metadata["name"]))
        spec = None if is_store else parse_spec(found["spec"])
        bucket = parse_bucket(found["spec"]) if is_store else None
    except (ClientCertError, ValueError, LookupError, TypeError, AttributeError):
        return OwnFile(file_name, written.origin, written.is_changed, content)
    return OwnFile(file_name, written.origin, written.is_changed, content, key, spec, bucket)


def _object(body: str) -> Manifest:
    """The object that an import has written; other objects are of people. Empty if it is gone."""
    ours = [each for each in documents(body) if each.get("apiVersion") == API_VERSION and each.get("kind") in _OURS]
    return min(ours, key=lambda each: _OURS.index(each["kind"])) if ours else {}
