"""Discovery in CertificateStores: an item of the work queue for each store, which has as many turns as it needs.

if discovery.may_look(record):                       # before the keys of ClientCertificates are gathered
    others = await discovery.collector(record, keys) # a KeyCollector for the LIST, which the poller makes
    discovery.listed(record, others, listing)        # enqueues the store
discovery.result(record)                             # for the status, which the poller writes
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clientcert.api.store_discovery import Discovery
from clientcert.cache.informers import Informers
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import StoreRecord
from clientcert.controllers.store_discovery.candidates import (
    MOST_KEYS,
    Candidate,
    MatchingKeys,
    is_watched,
    stores_of_bucket,
)
from clientcert.controllers.store_discovery.decisions import (
    discovered,
    free_key,
    pending,
    reason_to_skip,
    unanswered,
    usual_name,
)
from clientcert.controllers.store_discovery.making import Maker
from clientcert.controllers.store_discovery.passes import (
    WATCHED,
    WOULD_MAKE,
    Knowledge,
    Pass,
    Result,
    Verdict,
    basis_of,
)
from clientcert.controllers.store_discovery.pruning import Pruner
from clientcert.errors import Reason
from clientcert.lifecycle.source_place import bucket_place
from clientcert.lifecycle.spec import ObjectKey, S3Source
from clientcert.loop_budget import LoopBudget
from clientcert.sources.interface import Listing
from clientcert.workqueue.work_queue import Item, WorkQueue

STORE_DISCOVERY = "CertificateStore discovery"
"""The kind of its items in the work queue."""
AT_ONCE = 8
"""Objects of one store that are read at once."""
IN_A_TURN = 96
"""Objects that are read in one turn of a store; then others of the queue have theirs."""
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
    knowledge: Knowledge = field(default_factory=Knowledge)
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
        maker: Maker,
        pruner: Pruner,
        roles: Mapping[str, str],
        clock: Callable[[], datetime],
        loop_budget: LoopBudget,
    ) -> None:
        """`roles` are the ClusterRoles that grant create and delete, by the verb."""
        self._cache = cache
        self._informers = informers
        self._queue = queue
        self._maker = maker
        self._pruner = pruner
        self._roles = roles
        self._clock = clock
        self._loop_budget = loop_budget
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
        room = MOST_KEYS - sum(
            state.size
            for key, state in self._states.items()
            if key.namespace == record.key.namespace and key != record.key
        )
        return MatchingKeys(record.discovery.pattern, record.bucket.prefix, watched, asked, max(room, 0))

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
            state = self._states[record.key] = _State(record.uid, basis, record.configuration, record.discovery)
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
        await self._go_on(record, state, current)
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

    async def _go_on(self, record: StoreRecord, state: _State, current: Pass) -> None:
        """Look at the next candidates, in their order."""
        made, reads = await self._made(record), 0
        while not current.is_over and not current.is_hopeless and reads < IN_A_TURN:
            wanted = await self._next(record, state, current, made)
            found = await asyncio.gather(
                *(self._maker.make(record, current, each) for each in wanted), return_exceptions=True
            )
            reads += len(wanted)
            for candidate, verdict in zip(wanted, found, strict=True):
                if isinstance(verdict, Verdict):
                    made += verdict.is_made
                    state.knowledge.note(candidate, verdict)
                    self._note(record, current, candidate, verdict)
                else:
                    current.put_back(candidate)
            failed = next((each for each in found if isinstance(each, BaseException)), None)
            if failed is not None:
                raise failed

    async def _next(self, record: StoreRecord, state: _State, current: Pass, made: int) -> list[Candidate]:
        """The next candidates to read; those before them, which need no read, are counted.

        Each of them may take a place below the limit, of which `made` objects have one.
        """
        wanted, now = list[Candidate](), self._clock()
        for candidate in current.rest():
            await self._loop_budget.yield_if_spent()
            known = self._known(record, state, current, candidate, now)
            room = current.discovery.limit - made - current.findings.would_create - len(wanted)
            if known in {None, WOULD_MAKE} and room <= 0:
                if wanted:  # some of them may be no certificates, and leave their place
                    current.put_back(candidate)
                    break
                known = Verdict(Reason.LIMIT_REACHED)
            if known is not None and not (known == WOULD_MAKE and current.makes):
                self._note(record, current, candidate, known)
            elif len(wanted) < AT_ONCE:
                wanted.append(candidate)
            else:
                current.put_back(candidate)
                break
        return wanted

    def _known(
        self, record: StoreRecord, state: _State, current: Pass, candidate: Candidate, now: datetime
    ) -> Verdict | None:
        """The verdict without a read; None if it needs one."""
        if is_watched(self._cache, record, candidate.key):
            return WATCHED  # since the LIST
        reason = reason_to_skip(candidate, current.discovery, now)
        known = Verdict(reason) if reason is not None else state.knowledge.verdict(candidate, now)
        if known in {None, WOULD_MAKE} and self._name(record, current, candidate) is None:
            return Verdict(Reason.NAME_TAKEN)
        return known

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

    async def _made(self, record: StoreRecord) -> int:
        """The objects that discovery has made of this store."""
        made, certificates = 0, self._cache.certificates
        for key in self._cache.referring("store", record.key):
            await self._loop_budget.yield_if_spent()
            made += key in certificates and certificates[key].discovered_by == record.key.name
        return made

    def _name(self, record: StoreRecord, current: Pass, candidate: Candidate) -> ObjectKey | None:
        return free_key(candidate, record.key, current.discovery, self._cache.certificates.__contains__)

    def _note(self, record: StoreRecord, current: Pass, candidate: Candidate, verdict: Verdict) -> None:
        name = ""
        if verdict == WOULD_MAKE:
            found = self._name(record, current, candidate)
            name = found.name if found else usual_name(candidate, record.key, current.discovery)
        current.note(candidate, verdict, name)
