"""Polls CertificateStores: one LIST for all certificates of one, and one GET for each whose ETag has changed.

A page of a LIST takes up to 8 MiB of memory, and as long as the server wants: so only some polls run at once, and few
of one namespace.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from clientcert.api.kinds import CERTIFICATE_STORE
from clientcert.api.status import Status, digest, render_conditions
from clientcert.api.store_discovery import NOTHING, Discovery, Outcome, render_outcome
from clientcert.backoff import Backoff
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord, StoreRecord
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.store_discovery.decisions import DISCOVERED, unusable
from clientcert.controllers.store_discovery.passes import Result
from clientcert.controllers.store_discovery.reconciler import StoreDiscovery
from clientcert.errors import ClientCertError, KubeError, Reason, SourceError, where
from clientcert.fair_queueing import FairSemaphore, served_namespace
from clientcert.garbage_collection import unscanned
from clientcert.kube.client import KubeClient
from clientcert.kube.status_writer import StatusWriter, Target
from clientcert.lifecycle.conditions import READY, carried_over
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.spec import ObjectKey, S3Source
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.sources.interface import Listing, StoreLister

PRIVATE_KEYS_ABSENT = "PrivateKeysAbsent"
_OF_POLLS = (READY, PRIVATE_KEYS_ABSENT)
POLLS_AT_ONCE = 8
"""One namespace alone has half of them."""
_CHECK_SECONDS = 1.0
"""The time between two looks for stores that are due."""
_FIRST_RETRY_SECONDS = 5.0
_WRITE_BACKOFF = Backoff(1.0, 60.0)
_REPORTED_AFTER = 3
"""Failed polls in a row after which a transient failure is written into the status."""
_BEGINNING = datetime.min.replace(tzinfo=UTC)

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _PollState:
    """The state of one store's polls."""

    uid: str
    configuration: int
    discovery: Discovery | None
    next_poll: datetime
    failures: int = 0
    objects: int | None = None
    """The number of objects in the bucket at the last LIST."""
    unwritten: tuple[Condition, ...] = ()
    """The result of the last poll, until the status has it."""
    failed_writes: int = 0
    next_write: datetime = _BEGINNING

    def is_poll_due(self, now: datetime) -> bool:
        return now >= self.next_poll

    def is_write_due(self, now: datetime, *, is_news: bool) -> bool:
        return (is_news or bool(self.unwritten)) and now >= self.next_write


class StorePoller:
    """Polls each store when it is due, never the same one twice at once."""

    def __init__(
        self,
        cache: ObjectCache,
        sources: SourceCache,
        lists: StoreLister,
        discovery: StoreDiscovery,
        client: KubeClient,
        statuses: StatusWriter,
        clock: Callable[[], datetime],
        metrics: Metrics,
        loop_budget: LoopBudget,
    ) -> None:
        self._cache = cache
        self._sources = sources
        self._lists = lists
        self._discovery = discovery
        self._client = client
        self._statuses = statuses
        self._clock = clock
        self._metrics = metrics
        self._loop_budget = loop_budget
        self._states: dict[ObjectKey, _PollState] = {}
        self._polls: dict[ObjectKey, asyncio.Task[None]] = {}
        """The polls that run, or wait for their turn."""
        self.slots = FairSemaphore(POLLS_AT_ONCE)

    async def run(self, is_leader: Callable[[], bool]) -> None:
        """Poll the stores that are due while this replica leads, until cancelled."""
        led = False
        try:
            while True:
                for key in self._states.keys() - self._cache.stores.keys():
                    await self.forget(key)
                leads = is_leader()
                if leads and not led:
                    self._begin_term()
                led = leads
                for key in tuple(self._cache.stores) if leads else ():
                    if key not in self._polls and self._is_due(key):
                        self._polls[key] = asyncio.create_task(self._poll_in_turn(key, is_leader))
                await asyncio.sleep(_CHECK_SECONDS)
        finally:
            for poll in self._polls.values():
                poll.cancel()

    def _begin_term(self) -> None:
        """Drop the results of an earlier term, and poll again: another replica has polled since."""
        self._discovery.end_term()
        for state in self._states.values():
            state.unwritten, state.next_poll = (), self._clock()

    def _is_due(self, key: ObjectKey) -> bool:
        record, state = self._cache.stores[key], self._states.get(key)
        if state is None or (state.uid, state.configuration) != (record.uid, record.configuration):
            return True
        now = self._clock()
        is_news = self._discovery.is_news(key)
        needs_list = state.discovery != record.discovery or self._discovery.needs_list(key)
        return needs_list or state.is_poll_due(now) or state.is_write_due(now, is_news=is_news)

    async def _poll_in_turn(self, key: ObjectKey, is_leader: Callable[[], bool]) -> None:
        try:
            served_namespace.set(key.namespace)
            async with self.slots.slot(key.namespace):
                if is_leader():
                    await self.poll_if_due(key)
        except Exception as error:  # noqa: BLE001 - one store must never keep the others from being polled
            logger.error("CertificateStore %s cannot be polled: unexpected %s", key, where(error))  # noqa: TRY400
        finally:
            del self._polls[key]

    async def poll_if_due(self, key: ObjectKey) -> None:
        """Poll the store if a poll is due, and write the status if it lacks the result.

        Never raises for a failure of the bucket or the API server: what failed stays due.
        """
        record = self._cache.stores.get(key)
        if record is None:
            return
        state = self._states.get(key)
        if state is None or state.uid != record.uid or state.configuration != record.configuration:
            objects = state.objects if state and state.uid == record.uid else None
            discovery = record.discovery
            state = _PollState(record.uid, record.configuration, discovery, self._clock(), 0, objects)
            is_changed, self._states[key] = key in self._states, state
            if is_changed:
                await self._lists.forget(*key)  # its credentials are read again
        if state.discovery != record.discovery or self._discovery.needs_list(key):
            state.discovery, state.next_poll = record.discovery, self._clock()
        if state.is_poll_due(self._clock()):
            state.unwritten = await self._poll(record, state) or state.unwritten
            state.next_write = self._clock()
        if state.is_write_due(self._clock(), is_news=self._discovery.is_news(key)):
            await self._write_or_retry(key, state)

    async def forget(self, key: ObjectKey) -> None:
        """Drop a store that is gone, and close its connections."""
        self._states.pop(key, None)
        self._discovery.forget(key)
        await self._lists.forget(*key)

    def poll_all_now(self) -> None:
        """Make all polls due now, after the clock was set."""
        for state in self._states.values():
            state.next_poll = self._clock()
        self.retry_writes()

    def retry_writes(self) -> None:
        """Make all writes of statuses that have failed due now."""
        for state in self._states.values():
            state.next_write = self._clock()

    async def _poll(self, record: StoreRecord, state: _PollState) -> tuple[Condition, ...]:
        """Returns the conditions that the status should have; none after a failure that may pass soon."""
        if record.bucket is None:
            state.next_poll = datetime.max.replace(tzinfo=UTC)
            return _failure(record.problem) if record.problem else ()
        state.next_poll = self._clock() + timedelta(seconds=record.bucket.poll_seconds)
        looks, size = self._discovery.may_look(record), self._count(record)
        asked, wanted = unscanned(set[tuple[ObjectKey, str]], size), unscanned(set[str], size)
        async for certificate in self._certificates(record):
            key = _object_key(certificate)
            asked.add((certificate.key, key))
            wanted.add(key)
        others = await self._discovery.collector(record, wanted) if looks else None
        try:
            listing = await self._lists.list(*record.key, wanted, others)
        except SourceError as error:
            return await self._failed(record, state, error)
        self._metrics.store_polls.labels("ok").inc()
        state.failures, state.objects = 0, listing.objects
        async for certificate in self._certificates(record):
            if (certificate.key, _object_key(certificate)) in asked:  # else it will be read anyway
                self._compare(certificate, listing)
        if others is not None:
            self._discovery.listed(record, others, listing)
        return _success(listing)

    def _compare(self, certificate: CertificateRecord, listing: Listing) -> None:
        key, state = _object_key(certificate), self._sources.state(certificate)
        if state is None:
            return  # it will be read anyway
        # An object outside the prefix is in no LIST: it costs one GET per poll.
        if not listing.covers(key) or listing.etags.get(key, "") != state.observation.version:
            self._cache.reread(certificate.key)

    async def _failed(self, record: StoreRecord, state: _PollState, error: SourceError) -> tuple[Condition, ...]:
        self._metrics.store_polls.labels(error.reason).inc()
        logger.warning("CertificateStore %s: %s: %s", record.key, error.reason, error.message)
        state.failures += 1
        normal = record.bucket.poll_seconds if record.bucket else 0.0
        backoff = Backoff(_FIRST_RETRY_SECONDS, max(normal, _FIRST_RETRY_SECONDS))
        state.next_poll = self._clock() + timedelta(seconds=backoff.delay(state.failures))
        if error.retryable and state.failures < _REPORTED_AFTER:
            return ()
        # Without a LIST each object is read by its name: some credentials allow GET, but not LIST.
        async for certificate in self._certificates(record):
            self._cache.reread(certificate.key)
        return _failure(error)

    async def _certificates(self, record: StoreRecord) -> AsyncIterator[CertificateRecord]:
        """Yield those that name the store now, and still do when their turn comes: there may be 100,000."""
        for key in self._cache.referring("store", record.key):
            await self._loop_budget.yield_if_spent()
            found = self._cache.certificates.get(key)
            if found is not None and getattr(found.spec.source, "store", "") == record.key.name:
                yield found

    def _count(self, record: StoreRecord) -> int:
        return self._cache.count_referring("store", record.key)

    async def _write_or_retry(self, key: ObjectKey, state: _PollState) -> None:
        """Write the result of the last poll; if that fails, it stays due."""
        try:
            await self._write(key, state)
        except KubeError as error:
            if error.reason is not Reason.NOT_FOUND:  # the watch reports the deletion
                state.failed_writes += 1
                state.next_write = self._clock() + timedelta(seconds=_WRITE_BACKOFF.delay(state.failed_writes))
                logger.warning("CertificateStore %s: its status cannot be written: %s", key, error.message)
                return
        state.failed_writes, state.unwritten = 0, ()

    async def _write(self, key: ObjectKey, state: _PollState) -> None:
        try:
            await self._write_once(key, state)
        except KubeError as error:
            if error.reason is not Reason.CONFLICT:
                raise
            self._cache.replace_store(await self._client.get(CERTIFICATE_STORE.item(*key)))
            await self._write_once(key, state)

    async def _write_once(self, key: ObjectKey, state: _PollState) -> None:
        current = self._cache.stores.get(key)
        if current is None or (current.uid, current.configuration) != (state.uid, state.configuration):
            return  # it is polled again, as it is now
        told, found = {each.type for each in state.unwritten}, list(state.unwritten)
        found += [each for each in current.conditions if each.type in _OF_POLLS and each.type not in told]
        result = self._discovery.result(current)
        outcome, discovered = _discovered(current, result)
        found += [discovered] if discovered else []
        conditions = tuple([carried_over(each, current.conditions, self._clock()) for each in found])
        status: Status = {
            "objects": state.objects,
            "certificates": self._count(current),
            **render_outcome(outcome),
            **render_conditions(conditions, current.generation),
        }
        wanted = replace(current, conditions=conditions, outcome=outcome, status_hash=digest(status))
        if wanted.status_hash != current.status_hash:
            target = Target(CERTIFICATE_STORE, key, current.resource_version)
            version = await self._statuses.write(target, status)
            self._cache.store_status_written(replace(wanted, resource_version=version))
        self._discovery.was_written(key, result)


def _object_key(certificate: CertificateRecord) -> str:
    """The key of the object in the bucket; empty for another kind of source."""
    source = certificate.spec.source
    return source.key if isinstance(source, S3Source) else ""


def _success(listing: Listing) -> tuple[Condition, ...]:
    ready = Condition(READY, "True", "Polled", "the bucket is listed, and its certificates are read")
    return ready, _private_keys_absent(listing)


def _discovered(current: StoreRecord, result: Result | None) -> tuple[Outcome, Condition | None]:
    """The result of discovery for the status; the recorded one until a pass has finished."""
    if current.discovery_problem is not None:
        return NOTHING, unusable(current.discovery_problem)
    if current.discovery is None:
        return NOTHING, None
    if result is not None:
        return result.outcome, result.condition
    return current.outcome, next((each for each in current.conditions if each.type == DISCOVERED), None)


def _failure(error: ClientCertError) -> tuple[Condition, ...]:
    return (Condition(READY, "False", error.reason, error.message),)


def _private_keys_absent(listing: Listing) -> Condition:
    if not listing.private_keys:
        return Condition(PRIVATE_KEYS_ABSENT, "True", "NoneFound", "no object has the name of a private key")
    names = ", ".join(listing.private_keys)
    words = f"objects that look like private keys: {names}: remove them, all readers of the bucket can copy them"
    return Condition(PRIVATE_KEYS_ABSENT, "False", "PrivateKeysFound", words)
