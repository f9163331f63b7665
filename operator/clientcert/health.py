"""`/healthz`, `/readyz` and `/metrics`."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain
from typing import TypeVar

from aiohttp import web
from prometheus_client import generate_latest

from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.cache.source_cache import SourceCache
from clientcert.certificate_metrics import CHUNK, Row, families, lines, x509_families
from clientcert.garbage_collection import unscanned
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics
from clientcert.object_metrics import crls, entries_without_object, open_requests, phases, policies, renewals, stores
from clientcert.shared_sources import SharedSources, SharedSourcesSearch, chunks

STALLED_SECONDS = 30.0
"""Workers without progress for this time are considered stalled for good."""
START_SECONDS = 4.0
"""The longest wait of a probe at a start; kubelet waits for five seconds."""
_POLL_SECONDS = 0.1
_Record = TypeVar("_Record")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class HealthServer:
    """Answers probes and scrapes."""

    def __init__(
        self,
        cache: ObjectCache,
        sources: SourceCache,
        metrics: Metrics,
        stalled: Callable[[], float],
        is_ready: Callable[[], bool],
        is_leader: Callable[[], bool],
        clock: Callable[[], datetime],
        *,
        x509: bool,
        start_seconds: float = START_SECONDS,
    ) -> None:
        """`stalled` returns the seconds since the last sign of progress of the workers."""
        self._cache = cache
        self._sources = sources
        self._metrics = metrics
        self._stalled = stalled
        self._is_ready = is_ready
        self._is_leader = is_leader
        self._clock = clock
        self._x509 = x509
        self._start_seconds = start_seconds
        self._was_ready = False
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; raises OSError if the port is taken.

        Without a host there is a socket for each family that the machine has: `0.0.0.0` and `::` are one each.
        """
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._serve_metrics)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host or None, port).start()

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        """Any answer shows that the event loop runs."""
        stalled = self._stalled()
        if stalled > STALLED_SECONDS:
            return web.Response(status=503, text=f"the workers have not moved for {stalled:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        """At a start the answer waits for the watches: each probe that fails is an Event, and alarms people."""
        polls = 0 if self._was_ready else math.ceil(self._start_seconds / _POLL_SECONDS)
        for _attempt in range(polls):
            if self._is_ready():
                break
            await asyncio.sleep(_POLL_SECONDS)
        if not self._is_ready():
            return web.Response(status=503, text="the watches are not established yet\n")
        self._was_ready = True
        return web.Response(text="ok\n")

    async def _serve_metrics(self, request: web.Request) -> web.StreamResponse:
        """Stream the metrics in small chunks: they are never whole in memory, and no scrape blocks the event loop."""
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
        await response.prepare(request)
        with suppress(ConnectionResetError):  # the client has read enough
            async for piece in self._exposition():
                await response.write(piece)
            await response.write_eof()
        return response

    async def _exposition(self) -> AsyncIterator[bytes]:
        yield generate_latest(self._metrics.registry)
        # A standby exposes no series of objects: sums over both replicas would be wrong.
        is_leader, cache = self._is_leader(), self._cache
        records = _values(cache.certificates) if is_leader else []
        requests = _values(cache.renewals.renewals) if is_leader else []
        yield (await asyncio.to_thread(phases, records)).encode()
        yield crls(cache.revocations.crl_ends() if is_leader else ()).encode()
        yield entries_without_object(cache.revocations.without_object() if is_leader else ()).encode()
        yield (await asyncio.to_thread(renewals, requests)).encode()
        for render in chain(
            policies(list(cache.policies.policies.values()) if is_leader else [], CHUNK),
            stores(list(cache.stores.values()) if is_leader else [], CHUNK),
            open_requests([each for each in requests if each.is_open], cache.certificates, CHUNK),
        ):
            yield (await asyncio.to_thread(render)).encode()
        now = self._clock()
        for family in families(now, cache.revocations):
            async for piece in self._pieces(family, records):
                yield piece
        if self._x509:
            for family in x509_families(now, await _shared_sources(records)):
                async for piece in self._pieces(family, records):
                    yield piece

    async def _pieces(self, family: tuple[str, Row], records: Sequence[CertificateRecord]) -> AsyncIterator[bytes]:
        header, row = family
        yield header.encode()
        for part in chunks(records, CHUNK):
            piece = await asyncio.to_thread(lines, row, part, self._sources)
            if piece:
                yield piece.encode()


def _values(known: Mapping[ObjectKey, _Record]) -> list[_Record]:
    return unscanned(lambda: list(known.values()), len(known))


async def _shared_sources(records: Sequence[CertificateRecord]) -> SharedSources:
    search = SharedSourcesSearch(len(records))
    for part in chunks(records, CHUNK):
        await asyncio.to_thread(search.note, part)
    for part in chunks(records, CHUNK) if search.found_any else ():
        await asyncio.to_thread(search.compare, part)
    return search.result
