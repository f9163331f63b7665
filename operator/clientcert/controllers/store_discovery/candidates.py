"""The keys of a LIST for which a ClientCertificate may have to be made. Pure."""

import hashlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from clientcert.api.discovery import KeyPattern
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import StoreRecord
from clientcert.lifecycle.source_place import bucket_place
from clientcert.lifecycle.spec import ObjectKey


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """The most keys without a ClientCertificate that are looked at; a key has up to 1 KiB.

    LISTs that run at the same time do not count each other: eight of them may pass `in_all` until their next polls, by
    at most 160,000.
    """

    in_a_namespace: int = 20_000
    in_all: int = 100_000


LIMITS = KeyLimits()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One object of the bucket that no ClientCertificate watched at the time of the LIST."""

    key: str
    folder: str
    etag: str

    @property
    def fingerprint(self) -> bytes:
        """Differs if the key or the content differs."""
        text = f"{self.etag}\0{self.key}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, digest_size=16).digest()


@dataclass(slots=True)
class MatchingKeys:
    """The keys of a LIST that match the pattern, in its order; a KeyCollector."""

    pattern: KeyPattern
    prefix: str
    watched: AbstractSet[str]
    """Keys that ClientCertificates read through other CertificateStores of the bucket."""
    asked: AbstractSet[str]
    """Keys that ClientCertificates read through this one: only of these the LIST tells whether they are there."""
    most: int
    """Keys that are kept."""
    candidates: list[Candidate] = field(default_factory=list)
    left_out: int = 0
    """Keys beyond."""

    def begin(self) -> None:
        """As `KeyCollector.begin`."""
        self.candidates, self.left_out = [], 0

    def add(self, key: str, etag: str) -> None:
        """As `KeyCollector.add`."""
        folder = self.pattern.folder(self.pattern.below(self.prefix, key))
        if folder is None or key in self.watched:
            return
        if len(self.candidates) < self.most:
            self.candidates.append(Candidate(key, folder, etag))
        else:
            self.left_out += 1

    def matches_any(self, listed: Iterable[str]) -> bool:
        """True if a key of the bucket matches; `listed` are those that ClientCertificates watch."""
        below = (self.pattern.below(self.prefix, key) for key in listed)
        return bool(self.candidates) or self.left_out > 0 or any(map(self.pattern.folder, below))


def stores_of_bucket(stores: Mapping[ObjectKey, StoreRecord], record: StoreRecord) -> tuple[str, ...]:
    """The names of the CertificateStores of the same namespace and bucket, with its own."""
    if record.bucket is None:
        return ()
    place = bucket_place(record.bucket)
    return tuple(
        key.name
        for key, each in stores.items()
        if key.namespace == record.key.namespace and each.bucket is not None and bucket_place(each.bucket) == place
    )


def is_watched(cache: ObjectCache, record: StoreRecord, key: str) -> bool:
    """True if a ClientCertificate reads this object, by whatever CertificateStore; `cache.watched` must be filled.

    A store that is not there, or cannot be used, may be of the same bucket: what names it may have come before it.
    """
    if record.bucket is None:
        return False
    place, namespace = bucket_place(record.bucket), record.key.namespace
    stores = (cache.stores.get(ObjectKey(namespace, each)) for each in cache.watched.stores(namespace, key))
    return any(each is None or each.bucket is None or bucket_place(each.bucket) == place for each in stores)


def room_for(store: ObjectKey, sizes: Mapping[ObjectKey, int], limits: KeyLimits) -> int:
    """The keys that the next LIST of this store may keep; `sizes` are those that each store keeps now.

    Its namespace has at most half of what other namespaces leave: so there is room for one more, and namespaces that
    all want more come to equal shares with their next polls.
    """
    others = sum(size for key, size in sizes.items() if key.namespace != store.namespace)
    share = min(limits.in_a_namespace, (limits.in_all - others) // 2)
    beside = sum(size for key, size in sizes.items() if key.namespace == store.namespace and key != store)
    return max(share - beside, 0)
