"""Polls a CertificateStore: one LIST for all its certificates, and a look at those whose ETag has changed."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from clientcert.api.kinds import CERTIFICATE_STORE
from clientcert.api.status import Status, digest, render_conditions
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord, StoreRecord
from clientcert.errors import ClientCertError, KubeError, Reason, SourceError
from clientcert.kube.client import KubeClient
from clientcert.kube.status_writer import patch_status
from clientcert.lifecycle.conditions import READY, carried_over
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.spec import ObjectKey, S3Source
from clientcert.metrics import Metrics
from clientcert.sources.interface import Listing, StoreLister

PRIVATE_KEYS_ABSENT = "PrivateKeysAbsent"
_FIRST_RETRY = timedelta(seconds=5)
_PATIENCE = 3

logger = logging.getLogger(__name__)


class StorePoller:
    """Called by the stores' timer, never for the same store twice at once."""

    def __init__(
        self,
        store: ObjectCache,
        lists: StoreLister,
        client: KubeClient,
        clock: Callable[[], datetime],
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._lists = lists
        self._client = client
        self._clock = clock
        self._metrics = metrics

    async def poll_if_due(self, key: ObjectKey) -> None:
        """Poll the store if its time has come. Never raises for a fault of the bucket or the API server."""
        record = self._store.stores.get(key)
        if record is None or (record.next_poll is not None and self._clock() < record.next_poll):
            return
        try:
            await self._poll(record)
        except KubeError as error:
            logger.warning("CertificateStore %s: its status cannot be written: %s", key, error.message)

    async def _poll(self, record: StoreRecord) -> None:
        if record.bucket is None:
            await self._write(record, None, record.problem)
            record.next_poll = datetime.max.replace(tzinfo=self._clock().tzinfo)
            return
        if record.next_poll is None:
            await self._lists.forget(*record.key)
        record.next_poll = self._clock() + timedelta(seconds=record.bucket.poll_seconds)
        asked = {certificate.key: _object_key(certificate) for certificate in self._certificates(record)}
        try:
            listing = await self._lists.list(*record.key, frozenset(filter(None, asked.values())))
        except SourceError as error:
            await self._failed(record, error)
            return
        self._metrics.store_polls.labels("ok").inc()
        record.poll_failures = 0
        for certificate in self._certificates(record):
            self._compare(certificate, asked.get(certificate.key, ""), listing)
        await self._write(record, listing, None)

    def _compare(self, certificate: CertificateRecord, asked: str, listing: Listing) -> None:
        key = _object_key(certificate)
        if certificate.observation is None or key != asked:
            return  # it was declared or changed since the LIST began, and is about to be read
        # What the prefix leaves out is in no LIST: it costs a GET a poll.
        if not listing.covers(key) or listing.etags.get(key, "") != certificate.observation.version:
            self._store.mark_stale(certificate.key)

    async def _failed(self, record: StoreRecord, error: SourceError) -> None:
        self._metrics.store_polls.labels(error.reason).inc()
        logger.warning("CertificateStore %s: %s: %s", record.key, error.reason, error.message)
        record.poll_failures += 1
        normal = timedelta(seconds=record.bucket.poll_seconds if record.bucket else 0)
        backoff = min(_FIRST_RETRY * 2 ** min(record.poll_failures - 1, 10), max(normal, _FIRST_RETRY))
        if record.next_poll is not None:  # else its credentials have changed since, and it is polled at once
            record.next_poll = self._clock() + backoff
        if not error.retryable or record.poll_failures >= _PATIENCE:
            # Without a LIST each is asked for by its name: some may only get what they know.
            for certificate in self._certificates(record):
                self._store.mark_stale(certificate.key)
            await self._write(record, None, error)

    def _certificates(self, record: StoreRecord) -> list[CertificateRecord]:
        keys = self._store.referring("store", record.key)
        return [self._store.certificates[key] for key in keys]

    async def _write(self, record: StoreRecord, listing: Listing | None, problem: ClientCertError | None) -> None:
        status = self._status(record, listing, problem)
        fresh = digest(status)
        if fresh == record.status_digest or self._store.stores.get(record.key) is not record:
            return
        try:
            record.resource_version = await patch_status(
                self._client, CERTIFICATE_STORE, record.key, record.resource_version, status
            )
        except KubeError as error:
            if error.reason in {Reason.CONFLICT, Reason.NOT_FOUND}:
                return  # its watch tells us of the newer version, and the next poll writes
            raise
        record.status_digest = fresh
        self._metrics.status_writes.labels(CERTIFICATE_STORE.name).inc()

    def _status(self, record: StoreRecord, listing: Listing | None, problem: ClientCertError | None) -> Status:
        ready = Condition(READY, "True", "Polled", "the bucket is listed, and its certificates are read")
        if problem is not None:
            ready = Condition(READY, "False", problem.reason, problem.message)
        found = [ready]
        if listing is not None:
            found.append(_private_keys_absent(listing))
        else:
            found += [condition for condition in record.conditions if condition.type == PRIVATE_KEYS_ABSENT]
        record.conditions = tuple(carried_over(condition, record.conditions, self._clock()) for condition in found)
        record.objects = listing.objects if listing else record.objects
        return {
            "objects": record.objects,
            "certificates": len(self._certificates(record)),
            **render_conditions(record.conditions, record.generation),
        }


def _object_key(certificate: CertificateRecord) -> str:
    """In the bucket; empty if its source is no bucket."""
    source = certificate.declaration.source if certificate.declaration else None
    return source.key if isinstance(source, S3Source) else ""


def _private_keys_absent(listing: Listing) -> Condition:
    if not listing.private_keys:
        return Condition(PRIVATE_KEYS_ABSENT, "True", "NoneFound", "no object has the name of a private key")
    names = ", ".join(listing.private_keys)
    words = f"objects that look like private keys: {names}: whoever may read the bucket has them; remove them"
    return Condition(PRIVATE_KEYS_ABSENT, "False", "PrivateKeysFound", words)
