"""`/healthz`, `/readyz` and `/metrics`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import datetime

from aiohttp import web
from prometheus_client import generate_latest

from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.source_cache import SourceCache
from clientcert.certificate_metrics import CHUNK, families, lines, phases
from clientcert.metrics import Metrics

STALLED_SECONDS = 30.0
"""Workers without progress for this time are considered stalled for good."""
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
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; raises OSError if the port is taken."""
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._serve_metrics)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

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
        if not self._is_ready():
            return web.Response(status=503, text="the watches are not established yet\n")
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
        # A standby exposes no series of certificates: sums over both replicas would be wrong.
        records = list(self._cache.certificates.values()) if self._is_leader() else []
        yield phases(records).encode()
        for header, row in families(self._clock(), x509=self._x509):
            yield header.encode()
            for start in range(0, len(records), CHUNK):
                piece = await asyncio.to_thread(lines, row, records[start : start + CHUNK], self._sources)
                if piece:
                    yield piece.encode()
