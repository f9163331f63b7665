"""Leader election among the replicas: a `coordination.k8s.io` Lease, held with a fence.

The fence is a deadline on this process's own monotonic clock. It is counted from *before* each renewal request. Another
replica takes the Lease only after it has seen it unchanged for the whole lease duration, counted from *after* the same
request. The deadline therefore always comes first, however far apart the wall clocks are and however long a request
hangs: work that ends before the deadline never overlaps with the next leader (docs/decisions/leader-election.md).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clientcert import __version__
from clientcert.api.kinds import micro_timestamp
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.versions import VERSION_KEY

_LEASE_NAME = "clientcert-operator"
LEASE_SECONDS = 30
RENEW_SECONDS = 5.0
RETRY_SECONDS = 1.0
REQUEST_SECONDS = 10.0
"""Timeout of one request to the Lease; it leaves time for a second attempt within the lease duration."""

_FENCE_CHECK_SECONDS = 1.0
"""The end of a term is noticed within this time after the machine was suspended."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that also counts while the machine is suspended, if there is one: the other replicas' clocks run on."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _ObservedLease:
    """The Lease as held by another replica, and when this process first saw it in this state."""

    holder: str
    version: str
    duration_seconds: float
    since: float


class LeaderElector:
    """Acquires and renews the Lease; knows whether this process is the leader, and until when it may act as one."""

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        identity: str,
        clock: Callable[[], datetime],
        name: str = _LEASE_NAME,
        own_version: str = __version__,
    ) -> None:
        """`name` is that of the Lease; `own_version` is written into it when this replica becomes the leader."""
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._clock = clock
        self._own_version = own_version
        self._leader_version: str | None = None
        self._observed: _ObservedLease | None = None
        self._missing_since: float | None = None
        """The time since which the Lease has been missing."""
        self._version = ""
        self._deadline = float("-inf")
        self._since = float("-inf")
        self._transitions = 0
        self._changed = asyncio.Condition()
        self._resigned = False
        self._released = False
        self._is_unanswered = False
        """True if the last write may have been applied although no answer came."""

    @property
    def since(self) -> float:
        """The time when this replica last became the leader, by time.monotonic()."""
        return self._since

    @property
    def is_leader(self) -> bool:
        """True until the deadline of the current term has passed."""
        return _now() < self._deadline

    @property
    def leader_version(self) -> str | None:
        """The version of the replica that leads or led last, as the Lease says it."""
        return self._leader_version

    def allows(self, seconds: float) -> bool:
        """True if work that takes up to `seconds` would end before another replica can become the leader."""
        return not self._resigned and _now() + seconds < self._deadline

    def resign(self) -> None:
        """Allow no more work, and begin no other term: the process is about to end."""
        self._resigned = True

    async def terms(self) -> AsyncIterator[asyncio.Event]:
        """Yield at the start of each term of this process, with an event that is set when the term ends."""
        while not self._resigned:
            async with self._changed:
                await self._changed.wait_for(lambda: self.is_leader or self._released)
            if self._resigned or self._released:
                return
            lost = asyncio.Event()
            watching = asyncio.create_task(self._watch_fence(lost))
            try:
                yield lost
            finally:
                watching.cancel()

    async def run(self) -> None:
        """Acquire and renew until cancelled."""
        was_leader = False
        while True:
            try:
                held = await self._renew() or await self._acquire()
            except (KubeError, TimeoutError) as error:
                logger.warning("The Lease could not be acquired or renewed: %s", _message(error))
                held = False
            if self.is_leader != was_leader:
                was_leader = self.is_leader
                logger.info("This replica is %s", "the leader now" if was_leader else "no longer the leader")
            # On each pass: one term may have ended, and the next one begun, during a single slow renewal.
            await self._notify()
            await asyncio.sleep(RENEW_SECONDS if held else RETRY_SECONDS)

    async def release(self) -> None:
        """Release the Lease, so that the next leader need not wait for its expiry; call it after all work has ended."""
        self._released = True
        may_hold, self._deadline = self.is_leader or self._is_unanswered, float("-inf")
        await self._notify()
        if may_hold:
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    await self._clear_holder()
            except (KubeError, TimeoutError) as error:
                logger.warning("The Lease was not released, and is free after it expires: %s", _message(error))

    async def _clear_holder(self) -> None:
        # Read first: the API server may have applied our last write though its answer never came.
        lease = await self._client.get(f"{self._collection}/{self._name}")
        if (lease.get("spec") or {}).get("holderIdentity") == self._identity:
            self._version = lease["metadata"]["resourceVersion"]
            await self._patch({"holderIdentity": None, "leaseDurationSeconds": 1})

    async def _renew(self) -> bool:
        """Renew with one request and no read before it: a leader must not need two requests that take seconds each."""
        return self.is_leader and await self._take(is_holder=True)

    async def _acquire(self) -> bool:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                lease = await self._client.get(f"{self._collection}/{self._name}")
        except KubeError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return self._may_create() and await self._create()
        self._missing_since = None
        spec = lease.get("spec") or {}
        self._version = lease["metadata"]["resourceVersion"]
        self._leader_version = (lease["metadata"].get("annotations") or {}).get(VERSION_KEY, "")
        self._transitions = int(spec.get("leaseTransitions") or 0)
        holder = spec.get("holderIdentity") or ""
        if holder and holder != self._identity and not self._has_expired(holder, spec):
            self._deadline = float("-inf")  # another replica is the leader
            return False
        return await self._take(is_holder=holder == self._identity)

    def _may_create(self) -> bool:
        """True if no other replica can be the leader: the holder of a deleted Lease may be, until its term ends."""
        if self._missing_since is None:
            self._missing_since = _now()
        return self.is_leader or self._observed is None or _now() - self._missing_since > LEASE_SECONDS

    def _has_expired(self, holder: str, spec: dict[str, Any]) -> bool:
        """True if this process has seen the Lease unchanged for its whole duration."""
        duration_seconds = float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)
        if self._observed is None or (self._observed.holder, self._observed.version) != (holder, self._version):
            self._observed = _ObservedLease(holder, self._version, duration_seconds, _now())
        return _now() - self._observed.since > self._observed.duration_seconds

    async def _create(self) -> bool:
        content = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "annotations": {VERSION_KEY: self._own_version}},
            "spec": {**self._renewal(), "acquireTime": micro_timestamp(self._clock()), "leaseTransitions": 0},
        }
        if await self._write(self._client.create(self._collection, content)):
            self._leader_version = self._own_version
            return True
        self._deadline = float("-inf")  # another replica has created it
        return False

    async def _take(self, *, is_holder: bool) -> bool:
        spec = self._renewal()
        if is_holder:
            return await self._write(self._patch(spec))
        spec |= {"acquireTime": micro_timestamp(self._clock()), "leaseTransitions": self._transitions + 1}
        taken = await self._write(self._patch(spec, {VERSION_KEY: self._own_version}))
        if taken:
            self._note_predecessor()
        return taken

    def _note_predecessor(self) -> None:
        before, self._leader_version = self._leader_version, self._own_version
        if before != self._own_version:
            words = "This replica has version %s, and the leader before it had version %s"
            logger.info(words, self._own_version, before or "unknown")

    async def _write(self, request: Awaitable[Object]) -> bool:
        """Move the fence if the request succeeds. Of two writes to one version the API server accepts only one."""
        before, self._is_unanswered = _now(), True
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                self._version = (await request)["metadata"]["resourceVersion"]
        except KubeError as error:
            if error.reason in {Reason.CONFLICT, Reason.NOT_FOUND}:
                self._is_unanswered = False
                return False
            raise
        self._is_unanswered = False
        if not self.is_leader:
            self._since = time.monotonic()
        self._deadline = before + LEASE_SECONDS
        return True

    def _renewal(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": micro_timestamp(self._clock()),
        }

    async def _patch(self, spec: dict[str, Any], annotations: dict[str, str] | None = None) -> Object:
        metadata = {"resourceVersion": self._version, **({"annotations": annotations} if annotations else {})}
        content = {"metadata": metadata, "spec": spec}
        return await self._client.merge_patch(f"{self._collection}/{self._name}", content)

    async def _watch_fence(self, lost: asyncio.Event) -> None:
        while (left := self._deadline - _now()) > 0:  # noqa: ASYNC110 - each renewal moves the fence
            await asyncio.sleep(min(left, _FENCE_CHECK_SECONDS))
        lost.set()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _now() -> float:
    return time.clock_gettime(_CLOCK)


def _message(error: KubeError | TimeoutError) -> str:
    return error.message if isinstance(error, KubeError) else "no answer in time"
