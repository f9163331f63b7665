"""The objects of buckets, by the ClientCertificates that watch them."""

from collections.abc import Mapping

from clientcert.cache.lazy_index import LazyIndex
from clientcert.cache.objects import CertificateRecord
from clientcert.lifecycle.spec import ObjectKey, S3Source

_Place = tuple[str, str]
"""Namespace and key."""


class WatchedObjects:
    """Only discovery needs it. Await `fill` before each look-up."""

    def __init__(self, certificates: Mapping[ObjectKey, CertificateRecord]) -> None:
        self._certificates = certificates
        self.index = LazyIndex[_Place]()
        """While it is not used, no change needs to be taken over."""

    async def fill(self) -> None:
        """Read all certificates, the first time."""
        await self.index.fill(self._certificates, lambda key: _place(self._certificates.get(key)))

    def stores(self, namespace: str, key: str) -> set[str]:
        """The names of the CertificateStores by which ClientCertificates name this key."""
        found = (self._certificates.get(each) for each in self.index.objects((namespace, key)))
        return {each.spec.source.store for each in found if each and isinstance(each.spec.source, S3Source)}

    def change(self, before: CertificateRecord | None, after: CertificateRecord | None) -> None:
        """Take over a change of one object; None: it is not there."""
        if before is not None:
            self.index.discard(_place(before), before.key)
        if after is not None:
            self.index.add(_place(after), after.key)


def _place(record: CertificateRecord | None) -> _Place | None:
    source = record.spec.source if record is not None else None
    return (record.key.namespace, source.key) if record and isinstance(source, S3Source) else None
