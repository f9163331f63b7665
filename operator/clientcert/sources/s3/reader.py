"""The source of type S3: a GET reads one certificate, a LIST covers a whole store."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from clientcert.fair_queueing import FairSemaphore
from clientcert.lifecycle.spec import Bucket, ObjectKey, S3Source, SourceRef
from clientcert.loop_budget import LoopBudget
from clientcert.network.byte_budget import ByteBudget
from clientcert.network.egress import EgressPolicy
from clientcert.sources.interface import Content, KeyCollector, Listing
from clientcert.sources.s3.calls import StoreCalls
from clientcert.sources.s3.connections import Connections
from clientcert.sources.s3.errors import Fault
from clientcert.sources.s3.limits import SharedLimits
from clientcert.sources.secret import SecretReader

if TYPE_CHECKING:
    from clientcert.sources.s3.connection import Connection

_MOST_PAGES = 1000
_PRIVATE_KEYS_SHOWN = 5


class S3Reader:
    """Reads objects from the buckets of CertificateStores, and lists these buckets."""

    def __init__(
        self,
        bucket_of: Callable[[str, str], Bucket | None],
        secrets: SecretReader,
        egress: EgressPolicy,
        identity_buckets: Iterable[str] = (),
        *,
        deadline: float = 15.0,
        loop_budget: LoopBudget | None = None,
        byte_budget: ByteBudget | None = None,
    ) -> None:
        """`bucket_of` returns a store's bucket by namespace and name.

        `identity_buckets` are the entries of CLIENTCERT_IDENTITY_BUCKETS; raises SettingsError for an invalid one.
        `deadline` is in seconds, for a whole GET or a whole page of a LIST.
        """
        self._limits = SharedLimits(byte_budget or ByteBudget(), loop_budget or LoopBudget())
        self._connections = Connections(secrets, egress, deadline, self._limits)
        self.calls = StoreCalls(bucket_of, self._connections, identity_buckets)
        """For the writer, too."""

    @property
    def requests(self) -> FairSemaphore:
        """The requests at once."""
        return self._limits.requests

    async def read(self, namespace: str, ref: SourceRef) -> Content:
        """Read one object; its version is its ETag without quotes. The key may be outside the store's prefix."""
        if not isinstance(ref, S3Source):
            raise TypeError(f"not a reference to a store: {ref}")
        store = ObjectKey(namespace, ref.store)
        bucket = self.calls.bucket(store, ref.key)
        return await self.calls.call(store, bucket, lambda connection: connection.get(ref.key))

    async def list(
        self, namespace: str, store: str, wanted: AbstractSet[str], others: KeyCollector | None = None
    ) -> Listing:
        """List all pages below the store's prefix and keep the ETags of the `wanted` keys."""
        key = ObjectKey(namespace, store)
        bucket = self.calls.bucket(key, None)
        return await self.calls.call(
            key, bucket, lambda connection: _listing(connection, bucket.prefix, wanted, others)
        )

    async def forget(self, namespace: str, store: str) -> None:
        """Retire the connection of a store that was deleted or whose credentials have changed."""
        await self._connections.forget(ObjectKey(namespace, store))

    async def close(self) -> None:
        """Retire all connections."""
        await self._connections.close()


async def _listing(
    connection: "Connection", prefix: str, wanted: AbstractSet[str], others: KeyCollector | None
) -> Listing:
    """All pages together; only the `wanted` keys are kept, so memory does not grow with the bucket."""
    etags: dict[str, str] = {}
    private_keys: list[str] = []
    objects, token = 0, ""
    if others is not None:
        others.begin()
    for _ in range(_MOST_PAGES):
        page = await connection.page(prefix, token)
        objects += len(page.etags)
        etags.update((key, etag) for key, etag in page.etags if key in wanted)
        if others is not None:
            for key, etag in page.etags:
                if key not in wanted:
                    others.add(key, etag)
        private_keys += page.private_keys[: _PRIVATE_KEYS_SHOWN - len(private_keys)]
        if not page.next_token:
            return Listing(etags, objects, tuple(private_keys), prefix)
        if page.next_token == token:
            raise connection.unlistable(Fault.PARTIAL_LIST)
        token = page.next_token
    raise connection.unlistable(Fault.TOO_LARGE)
