"""Looks at the candidates of a pass, some in each turn of the store."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import StoreRecord
from clientcert.controllers.store_discovery.candidates import Candidate, is_watched
from clientcert.controllers.store_discovery.decisions import free_key, reason_to_skip, usual_name
from clientcert.controllers.store_discovery.making import Maker
from clientcert.controllers.store_discovery.passes import WATCHED, WOULD_MAKE, Knowledge, Pass, Verdict
from clientcert.errors import Reason
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget

AT_ONCE = 8
"""Objects of one store that are read at once."""
IN_A_TURN = 96
"""Objects that are read in one turn of a store; then others of the queue have theirs."""


class Examiner:
    """Used by the reconciler."""

    def __init__(
        self, cache: ObjectCache, maker: Maker, clock: Callable[[], datetime], loop_budget: LoopBudget
    ) -> None:
        self._cache = cache
        self._maker = maker
        self._clock = clock
        self._loop_budget = loop_budget

    async def go_on(self, record: StoreRecord, knowledge: Knowledge, current: Pass) -> None:
        """Look at the next candidates, in their order; each verdict is noted in the pass and in what is known.

        Raises KubeError.
        """
        made, reads = await self._made(record), 0
        while not current.is_over and not current.is_hopeless and reads < IN_A_TURN:
            wanted = await self._next(record, knowledge, current, made)
            found = await asyncio.gather(
                *(self._maker.make(record, current, each) for each in wanted), return_exceptions=True
            )
            reads += len(wanted)
            for candidate, verdict in zip(wanted, found, strict=True):
                if isinstance(verdict, Verdict):
                    made += verdict.is_made
                    knowledge.note(candidate, verdict)
                    self._note(record, current, candidate, verdict)
                else:
                    current.put_back(candidate)
            failed = next((each for each in found if isinstance(each, BaseException)), None)
            if failed is not None:
                raise failed

    async def _next(self, record: StoreRecord, knowledge: Knowledge, current: Pass, made: int) -> list[Candidate]:
        """The next candidates to read; those before them, which need no read, are counted.

        Each of them may take a place below the limit, of which `made` objects have one.
        """
        wanted, now = list[Candidate](), self._clock()
        for candidate in current.rest():
            await self._loop_budget.yield_if_spent()
            known = self._known(record, knowledge, current, candidate, now)
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
        self, record: StoreRecord, knowledge: Knowledge, current: Pass, candidate: Candidate, now: datetime
    ) -> Verdict | None:
        """The verdict without a read; None if it needs one."""
        if is_watched(self._cache, record, candidate.key):
            return WATCHED  # since the LIST
        reason = reason_to_skip(candidate, current.discovery, now)
        known = Verdict(reason) if reason is not None else knowledge.verdict(candidate, now)
        if known in {None, WOULD_MAKE} and self._name(record, current, candidate) is None:
            return Verdict(Reason.NAME_TAKEN)
        return known

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
