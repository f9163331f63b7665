"""Finds a store, checks that the caller may use it, and makes a call to it."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import Bucket, ObjectKey
from clientcert.sources.s3.access import IdentityGrant, identity_not_allowed
from clientcert.sources.s3.connections import Connections
from clientcert.sources.s3.errors import VirtualHostRequiredError

if TYPE_CHECKING:
    from clientcert.sources.s3.connection import Connection

_Answer = TypeVar("_Answer")

_CREDENTIALS_MAY_HAVE_CHANGED = frozenset({Reason.CREDENTIALS_INVALID, Reason.ACCESS_DENIED, Reason.WRITE_NOT_ALLOWED})


class StoreCalls:
    """The calls to all stores, of the reader and of the writer."""

    def __init__(
        self,
        bucket_of: Callable[[str, str], Bucket | None],
        connections: Connections,
        identity_buckets: Iterable[str],
    ) -> None:
        """As the arguments of S3Reader."""
        self._bucket_of = bucket_of
        self._connections = connections
        self._grants = tuple(map(IdentityGrant.parse, identity_buckets))

    def bucket(self, store: ObjectKey, path: str | None) -> Bucket:
        """The store's bucket, if `path` may be read in it (None: the store's prefix). Raises SourceError."""
        bucket = self._bucket_of(*store)
        if bucket is None:
            raise SourceError(
                Reason.STORE_NOT_FOUND,
                f"CertificateStore {store} does not exist: create it, or correct spec.source.s3.storeRef.",
            )
        path = bucket.prefix if path is None else path
        if not bucket.credentials_secret and not any(grant.covers(store, bucket.name, path) for grant in self._grants):
            raise identity_not_allowed(store, bucket.name, path)
        return bucket

    async def call(
        self, store: ObjectKey, bucket: Bucket, operation: Callable[["Connection"], Awaitable[_Answer]]
    ) -> _Answer:
        """Make a call; make it again if the credentials have changed, or the server needs another host name."""
        async with self._connections.connection_to(store, bucket) as connection:
            try:
                return await operation(connection)
            except VirtualHostRequiredError:
                if not await self._connections.use_virtual_host(store, connection):
                    raise
            except SourceError as error:
                if error.reason not in _CREDENTIALS_MAY_HAVE_CHANGED:
                    raise
                if not await self._connections.credentials_changed(store, connection):
                    raise
        async with self._connections.connection_to(store, bucket) as connection:
            return await operation(connection)
