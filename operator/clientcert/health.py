"""`/healthz`, `/readyz` and `/metrics`."""

import asyncio
from collections.abc import Callable

from aiohttp import web
from prometheus_client import generate_latest

from clientcert.cache.object_cache import ObjectCache
from clientcert.certificate_metrics import CHUNK, families, lines, phases
from clientcert.metrics import Metrics

STANDSTILL_SECONDS = 30.0
"""A scheduler that has not moved for so long will not move again."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class HealthServer:
    """Answers probes and scrapes."""

    def __init__(
        self,
        store: ObjectCache,
        metrics: Metrics,
        standing: Callable[[], float],
        is_ready: Callable[[], bool],
        is_leader: Callable[[], bool],
        *,
        x509: bool,
    ) -> None:
        """`standing` is for how many seconds nothing has moved that should."""
        self._store = store
        self._metrics = metrics
        self._standing = standing
        self._is_ready = is_ready
        self._is_leader = is_leader
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
        """That this answers shows that the loop moves."""
        standing = self._standing()
        if standing > STANDSTILL_SECONDS:
            return web.Response(status=503, text=f"the scheduler has not moved for {standing:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if not self._is_ready():
            return web.Response(status=503, text="the watches are not established yet\n")
        return web.Response(text="ok\n")

    async def _serve_metrics(self, request: web.Request) -> web.StreamResponse:
        """A stream of small pieces, so that nobody waits for the whole and nothing holds the whole."""
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
        await response.prepare(request)
        await response.write(generate_latest(self._metrics.registry))
        # Those of a standby would be a second copy of the leader's, and sums over both would be wrong.
        records = list(self._store.certificates.values()) if self._is_leader() else []
        await response.write(phases(records).encode())
        for header, row in families(x509=self._x509):
            await response.write(header.encode())
            for start in range(0, len(records), CHUNK):
                piece = await asyncio.to_thread(lines, row, records[start : start + CHUNK])
                if piece:
                    await response.write(piece.encode())
        await response.write_eof()
        return response
