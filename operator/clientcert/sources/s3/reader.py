"""The source of type S3: one object for one certificate, one LIST for a whole store."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING, TypeVar

from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import Bucket, ObjectKey, S3Source, SourceRef
from clientcert.loop_budget import LoopBudget
from clientcert.network.egress import EgressPolicy
from clientcert.sources.interface import Content, Listing
from clientcert.sources.s3.access import IdentityGrant, identity_not_allowed
from clientcert.sources.s3.connections import Connections
from clientcert.sources.s3.errors import Fault
from clientcert.sources.secret import SecretReader

if TYPE_CHECKING:
    from clientcert.sources.s3.connection import Connection

_Answer = TypeVar("_Answer")

_MOST_PAGES = 1000
_PRIVATE_KEYS_SHOWN = 5
_CREDENTIALS_MAY_HAVE_CHANGED = frozenset({Reason.CREDENTIALS_INVALID, Reason.ACCESS_DENIED})


class S3Reader:
    """Reads objects and lists buckets by the CertificateStores that name them."""

    def __init__(
        self,
        bucket_of: Callable[[str, str], Bucket | None],
        secrets: SecretReader,
        egress: EgressPolicy,
        identity_buckets: Iterable[str] = (),
        *,
        deadline: float = 15.0,
        loop_budget: LoopBudget | None = None,
    ) -> None:
        """`bucket_of` knows the stores by namespace and name.

        `identity_buckets` are entries of CLIENTCERT_IDENTITY_BUCKETS; raises SettingsError for a bad one. `deadline`
        is in seconds, for a whole GET or a whole page of a LIST.
        """
        self._bucket_of = bucket_of
        self._grants = tuple(map(IdentityGrant.parse, identity_buckets))
        self._connections = Connections(secrets, egress, deadline, loop_budget or LoopBudget())

    async def read(self, namespace: str, ref: SourceRef) -> Content:
        """Read one object; its version is its ETag without quotes. The store's prefix is no limit to it."""
        if not isinstance(ref, S3Source):
            raise TypeError(f"not in a store: {ref}")
        store = ObjectKey(namespace, ref.store)
        bucket = self._bucket(store, path=ref.key)
        return await self._call(store, bucket, lambda connection: connection.get(ref.key))

    async def list(self, namespace: str, store: str, wanted: Collection[str]) -> Listing:
        """Go through all pages of what is below the store's prefix, and keep the ETags that were asked for."""
        key = ObjectKey(namespace, store)
        bucket = self._bucket(key, path=None)
        return await self._call(key, bucket, lambda connection: _listing(connection, bucket.prefix, wanted))

    async def forget(self, namespace: str, store: str) -> None:
        """The store is gone, or its credentials have changed: end its connection when nobody uses it any more."""
        await self._connections.forget(ObjectKey(namespace, store))

    async def close(self) -> None:
        """End all connections."""
        await self._connections.close()

    def _bucket(self, store: ObjectKey, *, path: str | None) -> Bucket:
        """The store's bucket, if a key, or without one all below the prefix, may be read in it. Raises SourceError."""
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

    async def _call(
        self, store: ObjectKey, bucket: Bucket, operation: Callable[["Connection"], Awaitable[_Answer]]
    ) -> _Answer:
        async with self._connections.lease(store, bucket) as connection:
            try:
                return await operation(connection)
            except SourceError as error:
                if error.reason not in _CREDENTIALS_MAY_HAVE_CHANGED:
                    raise
                if not await self._connections.credentials_changed(store, connection):
                    raise
        async with self._connections.lease(store, bucket) as connection:
            return await operation(connection)


async def _listing(connection: "Connection", prefix: str, wanted: Collection[str]) -> Listing:
    """Only what was asked for is kept, however much the bucket holds."""
    keys = frozenset(wanted)
    etags: dict[str, str] = {}
    private_keys: list[str] = []
    objects, token = 0, ""
    for _ in range(_MOST_PAGES):
        page = await connection.page(prefix, token)
        objects += len(page.etags)
        etags.update((key, etag) for key, etag in page.etags if key in keys)
        private_keys += page.private_keys[: _PRIVATE_KEYS_SHOWN - len(private_keys)]
        if not page.next_token:
            return Listing(etags, objects, tuple(private_keys), prefix)
        if page.next_token == token:
            raise connection.unlistable(Fault.NOT_S3)
        token = page.next_token
    raise connection.unlistable(Fault.TOO_LARGE)
