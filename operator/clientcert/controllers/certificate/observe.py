"""First step: what does the source hold? Reads it only when it may have changed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

from clientcert.cache.objects import CertificateRecord
from clientcert.errors import CertificateError, Reason, SourceError
from clientcert.lifecycle.assessment import Observation, unread
from clientcert.lifecycle.spec import CertificateSpec, S3Source, SecretKeyRef, SecretSource
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.pki import Certificate, needs_subprocess, parse
from clientcert.sources.interface import Content, Source

ReadPassword = Callable[[str, SecretKeyRef], Awaitable[str]]

_INLINE_BYTES = 16 * 1024
"""Up to here a parse takes well under a millisecond, less than handing it to a thread."""
_CONTAINERS_AT_ONCE = 2
_PATIENCE = 5
"""So often in a row a source may be out of reach before that counts as a problem of the certificate."""
_FIRST_RETRY = timedelta(seconds=5)
_SLOWEST_RETRY = timedelta(minutes=10)
_TOLD_WHEN_MENDED = frozenset({Reason.SOURCE_NOT_FOUND, Reason.KEY_MISSING, Reason.STORE_NOT_FOUND})
"""A watch or a poll says so when these are mended; anything else is looked at again after a while."""


class Observer:
    """Keeps `record.observation` true to the source."""

    def __init__(
        self,
        sources: Mapping[type[SecretSource] | type[S3Source], Source],
        read_password: ReadPassword,
        clock: Callable[[], datetime],
        metrics: Metrics,
        loop_budget: LoopBudget,
    ) -> None:
        self._sources = sources
        self._read_password = read_password
        self._clock = clock
        self._metrics = metrics
        self._loop_budget = loop_budget
        # Threads of their own: containers made to be slow must not take those that everything else needs.
        self._containers = ThreadPoolExecutor(_CONTAINERS_AT_ONCE, "containers")

    async def observe(self, record: CertificateRecord, declaration: CertificateSpec) -> Observation:
        """What the source holds, or held when it could last be read."""
        waiting = record.read_again is not None and self._clock() < record.read_again
        if (record.stale and not waiting) or (record.read_again is not None and not waiting):
            record.stale, record.read_again = False, None
            try:
                await self._read(record, declaration)
            except SourceError as error:
                self._failed(record, error)
            except BaseException:
                record.stale = True
                raise
        return record.observation or Observation()

    async def _read(self, record: CertificateRecord, declaration: CertificateSpec) -> None:
        source = declaration.source
        content = await self._sources[type(source)].read(record.key.namespace, source)
        password = None
        if source.password_ref is not None:
            password = await self._read_password(record.key.namespace, source.password_ref)
        try:
            observation = Observation(await self._parse(content, password), content.version)
        except CertificateError as error:
            if error.retryable:  # what came in between was the machine's, and says nothing of the content
                raise SourceError(error.reason, f"{source}: {error.message}", retryable=True) from error
            self._metrics.source_errors.labels(error.reason).inc()
            observation = unread(error.reason, f"{source}: {error.message}", content.version)
        if record.declaration is declaration:  # else it was declared anew meanwhile, and is read again
            record.observation, record.revision = observation, content.revision
            record.read_failures, record.read_failure = 0, None

    def _failed(self, record: CertificateRecord, error: SourceError) -> None:
        self._metrics.source_errors.labels(error.reason).inc()
        record.revision = ""
        record.read_failures += 1
        record.read_failure = error.reason
        passing = error.retryable and record.read_failures < _PATIENCE
        if not passing:
            record.observation = unread(error.reason, error.message)
        if error.reason not in _TOLD_WHEN_MENDED:
            asked = timedelta(seconds=error.retry_after) if error.retry_after else None
            backoff = min(_FIRST_RETRY * 2 ** min(record.read_failures - 1, 10), _SLOWEST_RETRY)
            record.read_again = self._clock() + (asked or backoff)

    async def _parse(self, content: Content, password: str | None) -> Certificate:
        if needs_subprocess(content.body):
            opening = partial(parse, content.body, password=password)
            return await asyncio.get_running_loop().run_in_executor(self._containers, opening)
        if len(content.body) <= _INLINE_BYTES:
            await self._loop_budget.yield_if_spent()
            return parse(content.body, password=password)
        return await asyncio.to_thread(parse, content.body, password=password)
