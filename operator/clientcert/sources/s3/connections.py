"""One connection for each store, until its spec or its credentials change.

A connection takes a third of a MiB, and a tenant may have any number of stores. So only some that are not in use are
kept, those that were used last; another is made again when it is needed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clientcert.errors import SourceError
from clientcert.lifecycle.spec import Bucket, ObjectKey
from clientcert.network.egress import EgressPolicy
from clientcert.sources.s3.access import Credentials, identity_not_for_endpoint
from clientcert.sources.s3.address import AUTO, Address
from clientcert.sources.s3.circuit_breaker import CircuitBreaker
from clientcert.sources.s3.errors import Request
from clientcert.sources.s3.limits import SharedLimits
from clientcert.sources.secret import SecretReader

if TYPE_CHECKING:
    from clientcert.sources.s3.client import ClientFactory
    from clientcert.sources.s3.connection import Connection

IDLE_CONNECTIONS = 32
"""Kept of all stores together, besides those that are in use."""
_RETRY_SECONDS = 3.0
"""The least time between two attempts to connect, and between two reads of the credentials, of one store."""


@dataclass(slots=True)
class _Slot:
    """The state of one store."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a connection is made, so that all concurrent calls share one connection."""
    connection: "Connection | None" = None
    bucket: Bucket | None = None
    circuit_breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    """About the server of `bucket`."""
    credentials: Credentials | None = None
    compared: float = float("-inf")
    """Loop time of the last comparison of the credentials with those in the Secret."""
    failure: SourceError | None = None
    """The reason why no connection to `bucket` could be made; calls that waited for the lock get the same error."""
    failed: float = 0.0
    """Loop time of `failure`."""
    forgotten: bool = False
    virtual_hosts: bool = False
    """The server of `bucket` has answered that it serves buckets at host names of their own only."""


class Connections:
    """The connections of all stores. No two stores share one: two tenants may differ in their credentials alone."""

    def __init__(self, secrets: SecretReader, policy: EgressPolicy, deadline: float, limits: SharedLimits) -> None:
        self._secrets = secrets
        self._policy = policy
        self._deadline = deadline
        self._slots: dict[ObjectKey, _Slot] = {}
        self._idle: OrderedDict[ObjectKey, Connection] = OrderedDict()
        """Connections that are not in use; the one that was used least recently comes first."""
        self._limits = limits
        self._factory: ClientFactory | None = None
        self._factory_lock = asyncio.Lock()

    @asynccontextmanager
    async def connection_to(self, store: ObjectKey, bucket: Bucket) -> AsyncIterator["Connection"]:
        """The store's connection, kept open within the block. Raises SourceError if it cannot be made."""
        slot = self._slots.setdefault(store, _Slot())
        async with slot.lock:
            connection = slot.connection
            if connection is None or connection.retired or not _same_connection(slot.bucket, bucket):
                connection = await self._connect(slot, store, bucket)
            connection.acquire()
            self._idle.pop(store, None)
            if slot.forgotten:
                await connection.retire()
        try:
            yield connection
        finally:
            await connection.release()
            if slot.connection is connection and connection.is_idle:
                await self._keep(store, connection)

    async def _keep(self, store: ObjectKey, connection: "Connection") -> None:
        """Keep a connection that is not in use, and retire those that were unused for longest."""
        self._idle[store] = connection
        while len(self._idle) > IDLE_CONNECTIONS:
            oldest, unused = self._idle.popitem(last=False)
            if (slot := self._slots.get(oldest)) is not None and slot.connection is unused:
                slot.connection = None
            await unused.retire()

    async def credentials_changed(self, store: ObjectKey, used: "Connection") -> bool:
        """True if a retry is worthwhile: the Secret holds other credentials than the connection that failed."""
        slot = self._slots.get(store)
        if slot is None:
            return False
        async with slot.lock:
            if slot.connection is not used:
                return True
            now = asyncio.get_running_loop().time()
            if slot.credentials is None or slot.bucket is None or now - slot.compared < _RETRY_SECONDS:
                return False
            slot.compared = now
            try:
                fresh = await Credentials.read(self._secrets, store.namespace, slot.bucket.credentials_secret)
            except SourceError as error:
                if error.retryable:
                    return False
                fresh = None
            if fresh == slot.credentials:
                return False
            slot.connection = None
            await used.retire()
            return True

    async def use_virtual_host(self, store: ObjectKey, used: "Connection") -> bool:
        """True if a retry is worthwhile: the next connection uses the host name of the bucket."""
        slot = self._slots.get(store)
        if slot is None:
            return False
        async with slot.lock:
            if slot.connection is not used:
                return True
            if slot.bucket is None or slot.bucket.addressing != AUTO:
                return False
            slot.virtual_hosts, slot.connection = True, None
            await used.retire()
            return True

    async def forget(self, store: ObjectKey) -> None:
        """Retire the store's connection; the next one reads the credentials again."""
        slot = self._slots.pop(store, None)
        self._idle.pop(store, None)
        if slot is not None:
            slot.forgotten = True
            if slot.connection is not None:
                await slot.connection.retire()

    async def close(self) -> None:
        """Retire the connections of all stores."""
        for store in tuple(self._slots):
            await self.forget(store)

    async def _connect(self, slot: _Slot, store: ObjectKey, bucket: Bucket) -> "Connection":
        """Make the slot's connection; fail at once if an attempt failed less than `_RETRY_SECONDS` ago."""
        now = asyncio.get_running_loop().time()
        failure = slot.failure
        if failure is not None and _same_connection(slot.bucket, bucket) and now - slot.failed < _RETRY_SECONDS:
            raise SourceError(failure.reason, failure.message, retryable=failure.retryable)
        old, slot.connection = slot.connection, None
        if old is not None:
            await old.retire()
        slot.virtual_hosts = slot.virtual_hosts and _same_connection(slot.bucket, bucket)
        if not _same_connection(slot.bucket, bucket):
            slot.circuit_breaker = CircuitBreaker()
        slot.bucket, slot.failure = bucket, None
        try:
            connection = await self._open(slot, store, bucket)
        except SourceError as error:
            # Without its traceback, whose frames hold the slot, and all that the caller knows.
            slot.failure = SourceError(error.reason, error.message, retryable=error.retryable)
            slot.failed = asyncio.get_running_loop().time()
            raise
        slot.connection = connection
        return connection

    async def _open(self, slot: _Slot, store: ObjectKey, bucket: Bucket) -> "Connection":
        address = Address.of(bucket, self._policy, virtual_hosts=slot.virtual_hosts)
        slot.credentials = None
        if bucket.credentials_secret:
            slot.credentials = await Credentials.read(self._secrets, store.namespace, bucket.credentials_secret)
        elif bucket.endpoint and not address.is_listed:
            raise identity_not_for_endpoint(store)
        async with self._factory_lock:
            if self._factory is None:
                self._factory = await asyncio.to_thread(_import_and_make_factory)
        from clientcert.sources.s3.connection import Connection, source_errors

        request = _list_request(store, bucket, address)
        with source_errors(request):
            client = await self._factory.create(address, slot.credentials, self._limits.loop)
        return Connection(client, request, self._deadline, self._limits, slot.circuit_breaker)


def _import_and_make_factory() -> "ClientFactory":
    from clientcert.sources.s3.client import ClientFactory
    from clientcert.sources.s3.connection import Connection  # noqa: F401 - imported here, in the thread

    return ClientFactory()


def _same_connection(one: Bucket | None, other: Bucket) -> bool:
    """True if a connection made for one spec serves the other: they may differ in prefix and poll interval."""
    return one is not None and replace(one, prefix=other.prefix, poll_seconds=other.poll_seconds) == other


def _list_request(store: ObjectKey, bucket: Bucket, address: Address) -> Request:
    secret = bucket.credentials_secret
    caller = f"Secret {store.namespace}/{secret}" if secret else "the operator's own identity"
    return Request(store, bucket.name, caller, virtual_host=address.virtual_host)
