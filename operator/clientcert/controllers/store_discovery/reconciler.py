"""Discovery in CertificateStores: an item of the work queue for each store, which has as many turns as it needs.

if discovery.may_look(record):                       # before the keys of ClientCertificates are gathered
    others = await discovery.collector(record, keys) # a KeyCollector for the LIST, which the poller makes
    discovery.listed(record, others, listing)        # enqueues the store
discovery.result(record)                             # for the status, which the poller writes
"""

import logging
import math
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from clientcert.api.store_discovery import Discovery
from clientcert.cache.informers import Informers
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import StoreRecord
from clientcert.controllers.store_discovery.candidates import (
    LIMITS,
    KeyLimits,
    MatchingKeys,
    room_for,
    stores_of_bucket,
)
from clientcert.controllers.store_discovery.decisions import discovered, pending, unanswered
from clientcert.controllers.store_discovery.examiner import Examiner
from clientcert.controllers.store_discovery.passes import Knowledge, Pass, Result, basis_of
from clientcert.controllers.store_discovery.pruning import Pruner
from clientcert.errors import Reason
from clientcert.lifecycle.source_place import bucket_place
from clientcert.lifecycle.spec import ObjectKey, S3Source
from clientcert.loop_budget import LoopBudget
from clientcert.sources.interface import Listing
from clientcert.workqueue.work_queue import Item, WorkQueue

STORE_DISCOVERY = "CertificateStore discovery"
"""The kind of its items in the work queue."""
_UNKNOWN_SECONDS = 5.0
"""The time between two looks whether all ClientCertificates of a namespace are known."""
_CHANGED_SECONDS = 1.0
"""The time until what has changed while it was deleted is looked at again."""
_STALE = timedelta(minutes=15)
"""Nothing is deleted by a LIST that is older."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _State:
    """The state of discovery in one store."""

    uid: str
    basis: tuple[object, ...]
    """Pattern, environment, bucket and prefix: the verdicts depend on them, besides the content."""
    configuration: int
    """Of the bucket and its credentials, on which failures depend as well."""
    discovery: Discovery
    knowledge: Knowledge
    current: Pass | None = None
    result: Result | None = None
    is_news: bool = False
    """True until the status has the result."""

    @property
    def size(self) -> int:
        """The number of keys that are kept."""
        return max(len(self.knowledge), len(self.current.keys.candidates) if self.current else 0)


class StoreDiscovery:
    """A reconciler; between two turns it holds the keys of the last LIST, and no content."""

    def __init__(
        self,
        cache: ObjectCache,
        informers: Informers,
        queue: WorkQueue,
        examiner: Examiner,
        pruner: Pruner,
        roles: Mapping[str, str],
        clock: Callable[[], datetime],
        loop_budget: LoopBudget,
        limits: KeyLimits = LIMITS,
    ) -> None:
        """`roles` are the ClusterRoles that grant create and delete, by the verb."""
        self._cache = cache
        self._informers = informers
        self._queue = queue
        self._examiner = examiner
        self._pruner = pruner
        self._roles = roles
        self._clock = clock
        self._loop_budget = loop_budget
        self._limits = limits
        self._states: dict[ObjectKey, _State] = {}
        self._unlisted: set[ObjectKey] = set()
        """Stores whose last LIST came before all ClientCertificates were known."""

    # For the poller

    def may_look(self, record: StoreRecord) -> bool:
        """False if nothing is looked for, or not before all ClientCertificates are known; see `needs_list`.

        It is called before the keys of the known ones are gathered: one that comes later would not be among them.
        """
        if record.discovery is None or record.bucket is None:
            self.forget(record.key)
            return False
        if self._informers.know_certificates(record.key.namespace):
            self._unlisted.discard(record.key)
            return True
        self._unlisted.add(record.key)
        return False

    async def collector(self, record: StoreRecord, asked: AbstractSet[str]) -> MatchingKeys | None:
        """The collector of the matching keys of the next LIST, but for those `asked`; None if nothing is looked for."""
        if record.discovery is None or record.bucket is None:
            return None
        watched = set[str]()
        for store in stores_of_bucket(self._cache.stores, record):
            if store == record.key.name:
                continue
            for key in self._cache.referring("store", ObjectKey(record.key.namespace, store)):
                await self._loop_budget.yield_if_spent()
                certificate = self._cache.certificates.get(key)
                if certificate is not None and isinstance(certificate.spec.source, S3Source):
                    watched.add(certificate.spec.source.key)
        sizes = {key: state.size for key, state in self._states.items()}
        room = room_for(record.key, sizes, self._limits)
        return MatchingKeys(record.discovery.pattern, record.bucket.prefix, watched, asked, room)

    def needs_list(self, key: ObjectKey) -> bool:
        """True if the last LIST came too early, and there is no reason to wait any longer."""
        return key in self._unlisted and self._informers.know_certificates(key.namespace)

    def listed(self, record: StoreRecord, keys: MatchingKeys, listing: Listing) -> None:
        """Begin a pass over a complete LIST."""
        if record.discovery is None or record.bucket is None:
            return
        state, place = self._states.get(record.key), bucket_place(record.bucket)
        basis = (record.discovery.pattern, record.discovery.environment, place, record.bucket.prefix)
        before = state
        if state is None or (state.uid, state.basis) != (record.uid, basis):
            state = self._states[record.key] = _State(
                record.uid, basis, record.configuration, record.discovery, Knowledge(self._limits.in_a_namespace)
            )
        if before is not None and (before.uid, before.discovery, before.basis) != (record.uid, record.discovery, basis):
            state.result, state.is_news, state.discovery = Result(record.outcome, pending()), True, record.discovery
        if state.configuration != record.configuration:
            state.configuration = record.configuration
            state.knowledge.forget_failures()
        state.current = Pass(record.key, basis_of(record), record.discovery, keys, listing, self._clock())
        self._queue.enqueue(Item(STORE_DISCOVERY, record.key), math.inf)

    def result(self, record: StoreRecord) -> Result | None:
        """The result of the last finished pass; None if there was none."""
        state = self._states.get(record.key)
        return state.result if state is not None and state.uid == record.uid else None

    def is_news(self, key: ObjectKey) -> bool:
        """True if the status lacks the result."""
        state = self._states.get(key)
        return state is not None and state.is_news

    def was_written(self, key: ObjectKey, result: Result | None) -> None:
        """The status has this result."""
        state = self._states.get(key)
        if state is not None and state.result is result:
            state.is_news = False

    def end_term(self) -> None:
        """Drop what other replicas may have changed since."""
        for state in self._states.values():
            state.current, state.result, state.is_news = None, None, False

    def forget(self, key: ObjectKey) -> None:
        """Drop a store that is gone, or looks for nothing."""
        self._states.pop(key, None)
        self._unlisted.discard(key)

    # As every reconciler

    def begin_term(self) -> None:
        """Go on with what the poller has listed meanwhile."""
        for key, state in self._states.items():
            if state.current is not None:
                self._queue.enqueue(Item(STORE_DISCOVERY, key), math.inf)

    def urgency(self, key: ObjectKey) -> float:  # noqa: ARG002
        """After all certificates that are known."""
        return math.inf

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        """Have one turn; due again at once if more is left."""
        record, state = self._cache.stores.get(key), self._states.get(key)
        if record is None or state is None or state.current is None:
            return None
        current = state.current
        if basis_of(record) != current.basis:
            state.current = None  # the poller lists it again
            return None
        if not self._informers.know_certificates(key.namespace):
            return self._clock() + timedelta(seconds=_UNKNOWN_SECONDS)
        await self._cache.watched.fill()
        if self._clock() - current.listed_at >= _STALE:
            current.was_pruned()
        changes = current.changes
        if not current.is_pruned:
            await self._pruner.prune(record, current)
        await self._examiner.go_on(record, state.knowledge, current)
        if state.current is not current:
            return None  # the next LIST has enqueued it
        if current.is_hopeless:
            logger.warning("CertificateStore %s: discovery ends for now, the bucket does not answer", key)
            state.result = Result(record.outcome, unanswered(current.failures))
            state.is_news, state.current = True, None
            return None
        if not current.is_over or not current.is_pruned:
            return self._clock() + timedelta(seconds=_CHANGED_SECONDS if current.changes > changes else 0)
        await self._finish(state, current)
        return None

    async def _finish(self, state: _State, current: Pass) -> None:
        current.findings.skip_many(Reason.TOO_MANY_KEYS, current.keys.left_out)
        fingerprints = set[bytes]()
        for candidate in current.keys.candidates:
            await self._loop_budget.yield_if_spent()
            fingerprints.add(candidate.fingerprint)
        if state.current is not current:
            return
        state.knowledge.keep(fingerprints)
        condition = discovered(current.discovery, current.findings, current.refusals, self._roles)
        state.result, state.is_news, state.current = Result(current.findings.outcome(), condition), True, None
