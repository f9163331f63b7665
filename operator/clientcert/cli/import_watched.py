"""The ClientCertificates that a cluster has already, by what they watch."""

from collections.abc import Iterable
from dataclasses import dataclass

from clientcert.api.client_certificate import parse_spec
from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cli.cluster import Cluster, Object
from clientcert.cli.errors import NotFound
from clientcert.errors import ClientCertError
from clientcert.lifecycle.source_place import SourcePlace, Stores, source_place
from clientcert.lifecycle.spec import ObjectKey, SourceRef


@dataclass(frozen=True, slots=True)
class Watched:
    """All of one namespace, or of every namespace."""

    keys: frozenset[ObjectKey]
    stores: Stores
    """The CertificateStores by which sources are compared."""
    _by_source: dict[SourcePlace, str]
    _by_fingerprint: dict[tuple[str, str], str]

    @classmethod
    def of(cls, cluster: Cluster, stores: Stores, *, everywhere: bool) -> "Watched":
        """Ask the cluster; there are none where the kind is not installed yet."""
        try:
            return cls.among(cluster.list(CLIENT_CERTIFICATE, everywhere=everywhere), stores)
        except NotFound:
            return cls.among((), stores)

    @classmethod
    def among(cls, objects: Iterable[Object], stores: Stores) -> "Watched":
        """Of these objects; a spec that cannot be used watches nothing."""
        keys, by_source, by_fingerprint = set(), dict[SourcePlace, str](), dict[tuple[str, str], str]()
        for each in objects:
            key = ObjectKey(each["metadata"]["namespace"], each["metadata"]["name"])
            keys.add(key)
            fingerprint = ((each.get("status") or {}).get("certificate") or {}).get("fingerprintSHA256")
            if fingerprint:
                by_fingerprint.setdefault((key.namespace, fingerprint), key.name)
            try:
                source = parse_spec(each["spec"]).source
            except ClientCertError:
                continue
            by_source.setdefault(source_place(key.namespace, source, stores), key.name)
        return cls(frozenset(keys), stores, by_source, by_fingerprint)

    def place(self, namespace: str, source: SourceRef) -> SourcePlace:
        """See `source_place`."""
        return source_place(namespace, source, self.stores)

    def name_of(self, place: SourcePlace) -> str | None:
        """The object that watches this source."""
        return self._by_source.get(place)

    def holder_of(self, namespace: str, fingerprint_sha256: str) -> str | None:
        """The object whose source has held this certificate when the operator last read it."""
        return self._by_fingerprint.get((namespace, fingerprint_sha256))
