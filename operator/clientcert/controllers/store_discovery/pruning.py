"""Deletes what discovery made and nobody has changed, a week after its key has vanished."""

import logging
from collections.abc import Callable
from datetime import datetime

from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord, StoreRecord
from clientcert.controllers.store_discovery.decisions import is_unchanged, may_be_pruned
from clientcert.controllers.store_discovery.fenced_writer import FencedWriter
from clientcert.controllers.store_discovery.passes import Pass
from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics

_IN_A_TURN = 50
_REFUSED = frozenset({Reason.FORBIDDEN, Reason.OBSERVE_ONLY})
_CHANGED = frozenset({Reason.CONFLICT, Reason.NOT_FOUND})
_MOST_CHANGES = 10
"""Turns of a pass; then those objects wait for the next LIST."""

logger = logging.getLogger(__name__)


class Pruner:
    """Used by the reconciler."""

    def __init__(
        self,
        cache: ObjectCache,
        writer: FencedWriter,
        clock: Callable[[], datetime],
        metrics: Metrics,
        loop_budget: LoopBudget,
    ) -> None:
        self._cache = cache
        self._writer = writer
        self._clock = clock
        self._metrics = metrics
        self._loop_budget = loop_budget
        self._kept: dict[ObjectKey, str] = {}
        """The resourceVersion in which somebody had changed an object, so that each version is read once."""

    async def prune(self, record: StoreRecord, current: Pass) -> None:
        """Delete some; the pass notes when none is left. Raises KubeError."""
        discovery = current.discovery
        is_meant = discovery.creates and discovery.prunes and current.keys.matches_any(current.listing.etags)
        due, has_changed = await self._due(record, current) if is_meant else [], False
        for each in due[:_IN_A_TURN]:
            try:
                await self._delete(record, current, each)
            except KubeError as error:
                if error.reason in _REFUSED:
                    current.refuse("delete", error)
                    current.was_pruned()
                    return
                if error.reason not in _CHANGED:
                    raise
                has_changed = has_changed or error.reason is Reason.CONFLICT
        if has_changed:
            current.has_changed()
        if len(due) <= _IN_A_TURN and (not has_changed or current.changes >= _MOST_CHANGES):
            current.was_pruned()

    async def _due(self, record: StoreRecord, current: Pass) -> list[CertificateRecord]:
        found, now = [], self._clock()
        self._kept = {key: version for key, version in self._kept.items() if key in self._cache.certificates}
        for key in self._cache.referring("store", record.key):
            await self._loop_budget.yield_if_spent()
            each = self._cache.certificates.get(key)
            if each is None or not self._is_due(each, current, now):
                self._kept.pop(key, None)
            elif self._kept.get(key) != each.resource_version:
                found.append(each)
        return found

    def _is_due(self, record: CertificateRecord, current: Pass, now: datetime) -> bool:
        """False also for one that came after the LIST had begun, and while somebody's request to renew it is open."""
        requests = self._cache.renewals.index
        return (
            may_be_pruned(record, current.store, current.listing, now)
            and record.spec.source.key in current.keys.asked
            and not requests.following_policy(record.key)
            and not requests.retirable_of(record.key)
        )

    async def _delete(self, record: StoreRecord, current: Pass, known: CertificateRecord) -> None:
        """Read it anew: somebody may have changed it, or the key may be there again."""
        body, managers = await self._writer.get(known.key)
        self._cache.replace_certificate(body)
        found = self._cache.certificates.get(known.key)
        if found is None or not self._is_due(found, current, self._clock()):
            return
        if not is_unchanged(found, managers, body["metadata"].get("labels") or {}):
            self._kept[known.key] = found.resource_version
            return
        await self._writer.delete(found.key, found.uid, found.resource_version)
        self._cache.remove_certificate(found.key, found.uid)
        self._metrics.discovery.labels("pruned").inc()
        logger.info("CertificateStore %s: discovery has deleted ClientCertificate %s", record.key, found.key.name)
