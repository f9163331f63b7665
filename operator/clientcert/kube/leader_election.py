"""One leader among the replicas: a `coordination.k8s.io` Lease, held with a fence.

The fence is a deadline on this process's own monotonic clock, counted from *before* each renewal request. Whoever else
wants the Lease must first see it unchanged for its whole duration, counted from *after* the same request. So the
deadline always comes first, however far apart the wall clocks are and however long a request hangs: nothing that
ends before the deadline can meet the next leader's first step (docs/decisions/leader-election.md).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from clientcert.api.kinds import micro_timestamp
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import KubeClient, Object

LEASE_NAME = "clientcert-operator"
LEASE_SECONDS = 30
RENEW_SECONDS = 5.0
RETRY_SECONDS = 1.0
REQUEST_SECONDS = 10.0
"""Longer than a renewal may take to come in time for the next one, and short enough for a second try."""

_LOOK_SECONDS = 1.0
"""So soon after a machine has slept the end of a term is noticed."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is one, a clock that goes on while the machine sleeps: the others' clocks do."""

logger = logging.getLogger(__name__)


class Leads(Protocol):
    """Who may act: polls, writes and sends ask here."""

    @property
    def since(self) -> float:
        """When this replica last came to lead, of time.monotonic()."""

    @property
    def is_leader(self) -> bool:
        """Whether this replica leads just now."""

    def allows(self, seconds: float) -> bool:
        """Whether something that takes up to so long would end before anybody else can lead."""

    def terms(self) -> AsyncIterator[asyncio.Event]:
        """Yields each time this replica has come to lead, with an event that is set when it leads no more."""

    async def run(self) -> None:
        """Stand for leader until cancelled."""

    async def release(self) -> None:
        """Lead no more; after all work has ended."""


class AlwaysLeads:
    """The only replica there is (`--no-leader-election`)."""

    is_leader = True

    def __init__(self) -> None:
        self.since = time.monotonic()

    def allows(self, seconds: float) -> bool:  # noqa: ARG002
        """There is nobody else."""
        return True

    async def terms(self) -> AsyncIterator[asyncio.Event]:
        """One, without end."""
        yield asyncio.Event()

    async def run(self) -> None:
        """Nothing to stand for."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Nothing to give up."""


@dataclass(slots=True)
class _Observed:
    """The Lease as another holds it: what was seen, and when this process first saw it so."""

    holder: str
    version: str
    seconds: float
    since: float


class LeaseLeadership:
    """Whether this process leads, and until when it may act on it."""

    def __init__(
        self, client: KubeClient, namespace: str, identity: str, clock: Callable[[], datetime], name: str = LEASE_NAME
    ) -> None:
        self._client = client
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._clock = clock
        self._observed: _Observed | None = None
        self._missing_since: float | None = None
        """Since when there is no Lease."""
        self._version = ""
        self._deadline = float("-inf")
        self._since = float("-inf")
        self._transitions = 0
        self._changed = asyncio.Condition()
        self._released = False

    @property
    def since(self) -> float:
        """When this replica last came to lead, of time.monotonic()."""
        return self._since

    @property
    def is_leader(self) -> bool:
        """Whether the fence still stands."""
        return _now() < self._deadline

    def allows(self, seconds: float) -> bool:
        """Whether something that takes up to so long would end before anybody else can lead."""
        return _now() + seconds < self._deadline

    async def terms(self) -> AsyncIterator[asyncio.Event]:
        """Yields each time this process has come to lead, with an event that is set when it leads no more."""
        while not self._released:
            async with self._changed:
                await self._changed.wait_for(lambda: self.is_leader or self._released)
            if self._released:
                return
            lost = asyncio.Event()
            watching = asyncio.create_task(self._watch_the_fence(lost))
            try:
                yield lost
            finally:
                watching.cancel()

    async def run(self) -> None:
        """Acquire and renew until cancelled."""
        led = False
        while True:
            try:
                renewed = await self._renew() or await self._acquire()
            except (KubeError, TimeoutError) as error:
                logger.warning("The Lease could not be asked for: %s", _words(error))
                renewed = False
            if self.is_leader != led:
                led = self.is_leader
                logger.info("This replica %s", "leads now" if led else "leads no more")
            # Each time: a term may have ended while the renewal was on its way that has begun the next one.
            await self._announce()
            await asyncio.sleep(RENEW_SECONDS if renewed else RETRY_SECONDS)

    async def release(self) -> None:
        """Give the Lease up, so that the next one need not wait for its end; after all work has ended."""
        self._released = True
        held, self._deadline = self.is_leader, float("-inf")
        await self._announce()
        if held:
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    await self._give_up()
            except (KubeError, TimeoutError) as error:
                logger.warning("The Lease was not given up, and is free when its time is over: %s", _words(error))

    async def _give_up(self) -> None:
        free = {"holderIdentity": None, "leaseDurationSeconds": 1}
        try:
            await self._patch(free)
        except KubeError as error:
            if error.reason is not Reason.CONFLICT:
                raise
            # Our own last renewal was cut off, and has arrived all the same.
            lease = await self._client.get(f"{self._collection}/{self._name}")
            self._version = lease["metadata"]["resourceVersion"]
            if (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                await self._patch(free)

    async def _renew(self) -> bool:
        """One request and no look before it: where each takes seconds, a leader must not need two of them."""
        return self.is_leader and await self._take(again=True)

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
        self._transitions = int(spec.get("leaseTransitions") or 0)
        holder = spec.get("holderIdentity") or ""
        if holder and holder != self._identity and not self._has_run_out(holder, spec):
            self._deadline = float("-inf")  # whoever it is, it is not us
            return False
        return await self._take(again=holder == self._identity)

    def _may_create(self) -> bool:
        """Whether nobody can lead: one whose Lease was deleted does until its next renewal, or the end of its term."""
        if self._missing_since is None:
            self._missing_since = _now()
        return self.is_leader or self._observed is None or _now() - self._missing_since > LEASE_SECONDS

    def _has_run_out(self, holder: str, spec: dict[str, Any]) -> bool:
        """Whether the holder has let its whole term pass before our own eyes."""
        seconds = float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)
        if self._observed is None or (self._observed.holder, self._observed.version) != (holder, self._version):
            self._observed = _Observed(holder, self._version, seconds, _now())
        return _now() - self._observed.since > self._observed.seconds

    async def _create(self) -> bool:
        content = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name},
            "spec": {**self._term(), "acquireTime": micro_timestamp(self._clock()), "leaseTransitions": 0},
        }
        if await self._won(self._client.create(self._collection, content)):
            return True
        self._deadline = float("-inf")  # somebody else has made one
        return False

    async def _take(self, *, again: bool) -> bool:
        spec = self._term()
        if not again:
            spec |= {"acquireTime": micro_timestamp(self._clock()), "leaseTransitions": self._transitions + 1}
        return await self._won(self._patch(spec))

    async def _won(self, writing: Awaitable[Object]) -> bool:
        """Two that write the same version: the API server lets one of them through. Then the fence is moved."""
        before = _now()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                self._version = (await writing)["metadata"]["resourceVersion"]
        except KubeError as error:
            if error.reason in {Reason.CONFLICT, Reason.NOT_FOUND}:
                return False
            raise
        if not self.is_leader:
            self._since = time.monotonic()
        self._deadline = before + LEASE_SECONDS
        return True

    def _term(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": micro_timestamp(self._clock()),
        }

    async def _patch(self, spec: dict[str, Any]) -> Object:
        content = {"metadata": {"resourceVersion": self._version}, "spec": spec}
        return await self._client.merge_patch(f"{self._collection}/{self._name}", content)

    async def _watch_the_fence(self, lost: asyncio.Event) -> None:
        while (left := self._deadline - _now()) > 0:  # noqa: ASYNC110 - each renewal moves the fence
            await asyncio.sleep(min(left, _LOOK_SECONDS))
        lost.set()

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _now() -> float:
    return time.clock_gettime(_CLOCK)


def _words(error: KubeError | TimeoutError) -> str:
    return error.message if isinstance(error, KubeError) else "no answer in time"
