"""Reads one object of a bucket, and makes its ClientCertificate."""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial

from clientcert.api.discovery import Found, read_found
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import StoreRecord
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.store_discovery.candidates import Candidate, is_watched
from clientcert.controllers.store_discovery.decisions import free_key
from clientcert.controllers.store_discovery.fenced_writer import FencedWriter
from clientcert.controllers.store_discovery.passes import MADE, WATCHED, WOULD_MAKE, Pass, Verdict, basis_of, unreadable
from clientcert.errors import CertificateError, KubeError, Reason, SourceError, where
from clientcert.lifecycle.source_place import bucket_place
from clientcert.lifecycle.spec import ObjectKey, S3Source
from clientcert.metrics import Metrics
from clientcert.sources.interface import Source

_OF_THE_CONTENT = frozenset({Reason.TOO_LARGE})
"""The failures of a read that only other content changes."""
_BY_A_WEBHOOK = "admission webhook "
"""An answer with these words is about one object, and not about a right."""
_REFUSED = frozenset({Reason.FORBIDDEN, Reason.OBSERVE_ONLY})

logger = logging.getLogger(__name__)


class Maker:
    """Used by the reconciler; never raises for what is wrong with one object."""

    def __init__(
        self,
        cache: ObjectCache,
        buckets: Source,
        sources: SourceCache,
        writer: FencedWriter,
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        self._cache = cache
        self._buckets = buckets
        self._sources = sources
        self._writer = writer
        self._clock = clock
        self._metrics = metrics
        self._making: set[tuple[str, ...]] = set()
        """Objects of buckets whose ClientCertificate is being made."""

    async def make(self, record: StoreRecord, current: Pass, candidate: Candidate) -> Verdict:
        """Read the object; make its ClientCertificate, if the pass does. Raises KubeError."""
        try:
            found = await self._read(record.key, candidate)
        except SourceError as error:
            return unreadable(error, self._clock(), by_content=error.reason in _OF_THE_CONTENT)
        except CertificateError as error:
            return unreadable(error, self._clock(), by_content=True)
        except Exception as error:  # noqa: BLE001 - one object must not keep the others from being looked at
            logger.error("CertificateStore %s: unexpected %s", record.key, where(error))  # noqa: TRY400
            return Verdict(Reason.INTERNAL_ERROR)
        if not current.makes or record.bucket is None:
            return WOULD_MAKE
        place = (record.key.namespace, *bucket_place(record.bucket), candidate.key)
        if place in self._making:
            return WATCHED
        self._making.add(place)
        try:
            if current.has_made:
                return await self._make(record, current, candidate, found)
            async with current.first:
                if not current.makes:
                    return WOULD_MAKE
                return await self._make(record, current, candidate, found)
        finally:
            self._making.discard(place)

    async def _read(self, store: ObjectKey, candidate: Candidate) -> Found:
        content = await self._buckets.read(store.namespace, S3Source(store.name, candidate.key))
        reading = partial(read_found, content.body, candidate.folder, now=self._clock())
        return await self._sources.in_turn(store.namespace, content.body, reading)

    async def _make(self, record: StoreRecord, current: Pass, candidate: Candidate, found: Found) -> Verdict:
        taken = set[ObjectKey]()
        while self._is_current(record) and not is_watched(self._cache, record, candidate.key):
            key = free_key(
                candidate, record.key, current.discovery, lambda each: each in self._cache.certificates or each in taken
            )
            if key is None:
                return Verdict(Reason.NAME_TAKEN, until=self._clock())
            try:
                made = await self._writer.create(
                    current.discovery.manifest(key, S3Source(record.key.name, candidate.key), found)
                )
            except KubeError as error:
                if error.reason is Reason.CONFLICT:  # another object has the name, which no watch has reported yet
                    taken.add(key)
                    await self._take_over(key)
                    continue
                return self._refused(record, current, candidate, error)
            self._cache.upsert_certificate(made)
            self._metrics.discovery.labels("created").inc()
            logger.info("CertificateStore %s: discovery has made ClientCertificate %s", record.key, key.name)
            current.was_made()
            return MADE
        return WATCHED

    def _is_current(self, record: StoreRecord) -> bool:
        """False if the spec or the credentials have changed since the turn began: the bucket is listed again then."""
        found = self._cache.stores.get(record.key)
        return found is not None and basis_of(found) == basis_of(record)

    async def _take_over(self, key: ObjectKey) -> None:
        try:
            body, _ = await self._writer.get(key)
        except KubeError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
        else:
            self._cache.upsert_certificate(body)

    def _refused(self, record: StoreRecord, current: Pass, candidate: Candidate, error: KubeError) -> Verdict:
        """Raises the error if the same write may succeed soon."""
        is_about_it = error.reason is Reason.UNPROCESSABLE or _BY_A_WEBHOOK in error.message
        if error.reason in _REFUSED and not is_about_it:
            current.refuse("create", error)
            return WOULD_MAKE
        if error.reason in _REFUSED or is_about_it:
            logger.warning("CertificateStore %s: %r is refused: %s", record.key, candidate.key, error.message)
            return unreadable(error, self._clock(), by_content=False)
        raise error
