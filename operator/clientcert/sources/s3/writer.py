"""Writes a renewed certificate back to its bucket: one object, and `client.csr` beside it."""

import asyncio
from collections.abc import Iterable

from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.observing import withheld
from clientcert.lifecycle.spec import Bucket, ObjectKey, S3Source, SourceRef
from clientcert.sources.interface import Content, WriteOrder
from clientcert.sources.replaceable import CSR_NAME, check_not_encrypted, may_write, may_write_csr
from clientcert.sources.s3.access import IdentityGrant, identity_not_for_writing
from clientcert.sources.s3.calls import StoreCalls
from clientcert.sources.s3.errors import PreconditionFailedError

_ATTEMPTS = 3


class S3Writer:
    """Writes objects only under the condition that they are what was just read (If-Match, If-None-Match)."""

    def __init__(
        self, calls: StoreCalls, identity_write_buckets: Iterable[str] = (), *, observe_only: bool = False
    ) -> None:
        """`calls` are those of the reader.

        `identity_write_buckets` are the entries of CLIENTCERT_IDENTITY_WRITE_BUCKETS; raises SettingsError for an
        invalid one. With `observe_only` nothing is written.
        """
        self._observe_only = observe_only
        self._calls = calls
        variable = "CLIENTCERT_IDENTITY_WRITE_BUCKETS"
        self._grants = tuple(IdentityGrant.parse(each, variable) for each in identity_write_buckets)

    async def write(self, namespace: str, ref: SourceRef, order: WriteOrder) -> str:
        """As `SourceWriter.write`."""
        if self._observe_only:
            raise SourceError(Reason.OBSERVE_ONLY, withheld("nothing is written to the source"))
        source = _object(ref)
        store, bucket = self._bucket(namespace, source, source.key)
        title = f"Key {_shown(source.key)} of bucket {bucket.name}"
        check_not_encrypted(source.password_ref is not None, title)
        await self._write(store, bucket, source.key, order, title)
        if not order.csr_pem or _beside(source.key) == source.key:
            return ""
        try:
            return await self._write_csr(store, bucket, _beside(source.key), order)
        except SourceError as error:
            if error.retryable:
                raise
            return f"The new certificate was written, but not {CSR_NAME} beside it: {error.message}"

    async def read_beside(self, namespace: str, ref: SourceRef) -> bytes | None:
        """As `SourceWriter.read_beside`: the object `client.csr` in the folder of the source."""
        source = _object(ref)
        beside, store = _beside(source.key), ObjectKey(namespace, source.store)
        if beside == source.key:
            return None
        content = await self._read(store, self._calls.bucket(store, beside), beside)
        return content.body if content is not None else None

    def _bucket(self, namespace: str, source: S3Source, key: str) -> tuple[ObjectKey, Bucket]:
        """The store and its bucket, if the object may be read and written. Raises SourceError."""
        store = ObjectKey(namespace, source.store)
        bucket = self._calls.bucket(store, key)
        if not bucket.credentials_secret and not any(each.covers(store, bucket.name, key) for each in self._grants):
            raise identity_not_for_writing(store, bucket.name, key)
        return store, bucket

    async def _write(self, store: ObjectKey, bucket: Bucket, key: str, order: WriteOrder, title: str) -> None:
        for _ in range(_ATTEMPTS):
            content = await self._read(store, bucket, key)
            if content is None and order.old_fingerprint_sha256:
                words = f"{title} does not exist any more: put the new certificate there by hand, if it belongs there."
                raise SourceError(Reason.SOURCE_NOT_FOUND, words)
            body = content.body if content is not None else None
            if not await asyncio.to_thread(may_write, body, order, title):
                return
            if await self._put(store, bucket, key, order.new_pem, content):
                return
        raise _contended(title)

    async def _write_csr(self, store: ObjectKey, bucket: Bucket, key: str, order: WriteOrder) -> str:
        for _ in range(_ATTEMPTS):
            content = await self._read(store, bucket, key)
            body = content.body if content is not None else None
            if body == order.csr_pem:
                return ""
            if not await asyncio.to_thread(may_write_csr, body, order):
                title = f"Key {_shown(key)} of bucket {bucket.name}"
                return f"{title} holds something else than an earlier request, and was left as it is."
            if await self._put(store, bucket, key, order.csr_pem, content):
                return ""
        raise _contended(f"Key {_shown(key)} of bucket {bucket.name}")

    async def _read(self, store: ObjectKey, bucket: Bucket, key: str) -> Content | None:
        """Read an object anew; None if it does not exist."""
        try:
            return await self._calls.call(store, bucket, lambda connection: connection.get(key))
        except SourceError as error:
            if error.reason is Reason.SOURCE_NOT_FOUND:
                return None
            raise

    async def _put(self, store: ObjectKey, bucket: Bucket, key: str, body: bytes, before: Content | None) -> bool:
        """Write the object; return False if it is no longer what it was before."""
        version = before.version if before is not None else ""
        try:
            await self._calls.call(store, bucket, lambda connection: connection.put(key, body, version))
        except PreconditionFailedError:
            return False
        return True


def _object(ref: SourceRef) -> S3Source:
    if not isinstance(ref, S3Source):
        raise TypeError(f"not a reference to a store: {ref}")
    return ref


def _beside(key: str) -> str:
    folder, slash, _ = key.rpartition("/")
    return f"{folder}{slash}{CSR_NAME}"


def _shown(key: str) -> str:
    return key if key.isprintable() else ascii(key)


def _contended(title: str) -> SourceError:
    words = f"{title} is changed again and again while it is written."
    return SourceError(Reason.SOURCE_UNAVAILABLE, words, retryable=True)
