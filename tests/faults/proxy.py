"""A loopback proxy that simulates failures of networks and servers, for the API server, S3 or Slack.

    proxy = FaultyProxy(control_plane.url, tls=...)
    with proxy.running():
        proxy.refuse()                                    # connections are refused
        proxy.answer(503, when=writes)                    # until proxy.recover()
        proxy.answer(429, when=writes, times=3, retry_after=2)
        proxy.drop_next_event("clientcertificates")       # one line of a watch never arrives
        proxy.silence("secrets")                          # watches stay open without any further event

It runs in a separate thread, so the tests may block. The test's thread configures the failures.
"""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

_START_SECONDS = 10.0
_LONGEST_LINE = 8 * 1024 * 1024
_HOP_BY_HOP = frozenset({"connection", "content-length", "transfer-encoding", "content-encoding", "keep-alive"})
_OWN = frozenset({"accept-encoding", "content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True)
class Passage:
    """One request that passed the proxy."""

    time: float
    """By time.monotonic."""
    method: str
    path: str
    """Path and query."""
    status: int
    """The status of the answer to the client; 0 if there was none."""

    @property
    def is_write(self) -> bool:
        return self.method in {"POST", "PUT", "PATCH", "DELETE"}


When = Callable[[web.Request], bool]


def everything(_request: web.Request) -> bool:
    """Any request."""
    return True


def writes(request: web.Request) -> bool:
    """A request that changes something, except the Lease."""
    return request.method in {"POST", "PUT", "PATCH", "DELETE"} and "/leases" not in request.path


def watches(request: web.Request) -> bool:
    """The start of a watch."""
    return request.query.get("watch") in {"true", "1"}


@dataclass
class _Fault:
    when: When
    left: int | None
    """The number of times; None until it is removed."""
    status: int = 0
    """0 closes the connection."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    """Before anything else happens."""
    passes: bool = False
    """The request is forwarded first; its answer is lost."""
    answer_seconds: float = 0.0
    """The time that the answer to a write is late, when it is forwarded."""


@dataclass
class _Watch:
    """An open watch."""

    path: str
    passing_on: "asyncio.Task[None]"
    told_an_error: bool = False


class FaultyProxy:
    """Forwards requests to `target`, streams the answers back, and fails as configured."""

    def __init__(
        self, target: str, *, server_tls: ssl.SSLContext | None = None, target_tls: ssl.SSLContext | None = None
    ) -> None:
        """`server_tls` is for the connections of clients, `target_tls` for the check of the target; None means plain
        HTTP.
        """
        self._target = target.rstrip("/")
        self._server_tls = server_tls
        self._target_tls = target_tls
        self._faults: list[_Fault] = []
        self._dropped: list[str] = []
        self._silent: list[str] = []
        self._page_size: int | None = None
        self._open: set[asyncio.Task[object]] = set()
        self._watching: dict[web.StreamResponse, _Watch] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None
        self.port = 0
        self.passages: list[Passage] = []
        self.before_write: Callable[[web.Request], None] = lambda _: None
        """Called with each write before it is forwarded, in the proxy's thread; a ConnectionError closes the
        connection.
        """
        self.after_write: Callable[[web.Request, int, bytes], None] = lambda *_: None
        """Called with status and body when the target has answered a write, before the client gets the answer."""

    @property
    def url(self) -> str:
        return f"{'https' if self._server_tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    # Configuration of failures.

    def answer(
        self,
        status: int,
        *,
        when: When = everything,
        times: int | None = None,
        retry_after: int | None = None,
        body: str = "{}",
    ) -> None:
        """Give this answer to matching requests, instead of forwarding them."""
        headers = {"Content-Type": "application/json"}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        self._faults.append(_Fault(when, times, status, headers, body.encode()))

    def cut(self, *, when: When = everything, times: int | None = None, passes: bool = False) -> None:
        """Close the connection instead of answering; with `passes` after the target has processed the request."""
        self._faults.append(_Fault(when, times, passes=passes))

    def delay(self, seconds: float, *, when: When = everything, times: int | None = None) -> None:
        """Delay matching requests before they are forwarded."""
        self._faults.append(_Fault(when, times, status=-1, seconds=seconds))

    def delay_answers(self, seconds: float, *, when: When = writes) -> None:
        """Forward matching writes at once, and their answers late: watches show the change before."""
        self._faults.append(_Fault(when, None, status=-1, answer_seconds=seconds))

    def drop_next_event(self, path_part: str) -> None:
        """Drop the next event of a watch whose path contains this."""
        self._dropped.append(path_part)

    def silence(self, path_part: str) -> None:
        """Keep watches whose path contains this open, but forward nothing to them, now and later."""
        self._silent.append(path_part)

    def end_watches_with(self, status: int, path_part: str) -> None:
        """Send an error of the API server to open watches whose path contains this, and end them."""
        words = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": "a test says so"}
        self._call(self._send_to_watches(path_part, json.dumps({"type": "ERROR", "object": words}).encode() + b"\n"))

    def small_pages(self, size: int) -> None:
        """Request pages of this size from the server, whatever size the client requested."""
        self._page_size = size

    def refuse(self) -> None:
        """Cut all connections, and refuse new ones."""
        self._call(self._close())

    def recover(self) -> None:
        """End all failures, on the same port; silent connections stay silent."""
        self._faults.clear()
        self._dropped.clear()
        self._silent.clear()
        self._page_size = None
        self._call(self._listen())

    def end_watches(self) -> None:
        """Close all connections: every watch ends, and is started again."""
        self._call(self._cut_open())

    @property
    def writes(self) -> list[Passage]:
        """The writes that passed, except those to the Lease."""
        return [passage for passage in self.passages if passage.is_write and "/leases" not in passage.path]

    # Its server and connections.

    @contextmanager
    def running(self) -> Iterator["FaultyProxy"]:
        """Run in a separate thread, until the `with` block ends."""
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, name="faulty proxy", daemon=True)
        thread.start()
        try:
            self._call(self._open_session())
            self._call(self._listen())
            yield self
        finally:
            self._call(self._close())
            self._call(self._session.close() if self._session else asyncio.sleep(0))
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(_START_SECONDS)
            self._loop.close()

    def _call(self, work: object) -> None:
        assert self._loop is not None, "it is used in its `with` block"
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_SECONDS)  # type: ignore[arg-type]

    async def _open_session(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._target_tls or False, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            read_bufsize=_LONGEST_LINE,
        )

    async def _listen(self) -> None:
        if self._runner is not None:
            return
        application = web.Application(client_max_size=_LONGEST_LINE)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._server_tls, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        await self._cut_open()
        if runner is not None:
            await runner.cleanup()

    async def _cut_open(self) -> None:
        for task in tuple(self._open):
            task.cancel()
        await asyncio.sleep(0)

    async def _send_to_watches(self, path_part: str, line: bytes) -> None:
        for response, watch in tuple(self._watching.items()):
            if path_part in watch.path:
                await response.write(line)
                watch.told_an_error = True
                watch.passing_on.cancel()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            return await self._answered(request)
        except asyncio.CancelledError:
            self._cut_off(request)
            raise
        except (aiohttp.ClientError, ConnectionError):
            self._cut_off(request)
            return web.Response()  # the client has gone
        finally:
            self._open.discard(task)

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        fault = self._fault(request)
        if fault is not None:
            await asyncio.sleep(fault.seconds)
            if fault.passes:
                async with self._forwarded(request, await request.read()) as answer:
                    await answer.read()
            if fault.status == 0:
                raise ConnectionError("cut, as the test asked for")
            if fault.status > 0:
                self._note(request, fault.status)
                return web.Response(status=fault.status, headers=fault.headers, body=fault.body)
        if request.method in {"GET", "HEAD"}:
            return await self._streamed(request)
        return await self._written(request, fault.answer_seconds if fault else 0.0)

    async def _written(self, request: web.Request, answer_seconds: float) -> web.StreamResponse:
        body = await request.read()
        counted = "/leases" not in request.path
        if counted:
            self.before_write(request)
        async with self._forwarded(request, body) as answer:
            content = await answer.read()
        if counted:
            self.after_write(request, answer.status, content)
        await asyncio.sleep(answer_seconds)
        self._note(request, answer.status)
        return web.Response(status=answer.status, headers=_end_to_end(answer), body=content)

    async def _streamed(self, request: web.Request) -> web.StreamResponse:
        async with self._forwarded(request, b"") as answer:
            self._note(request, answer.status)
            response = web.StreamResponse(status=answer.status, headers=_end_to_end(answer))
            await response.prepare(request)
            if watches(request):
                await self._watched(request.path, response, answer)
            else:
                async for piece in answer.content.iter_any():
                    await response.write(piece)
            await response.write_eof()
            return response

    async def _watched(self, path: str, response: web.StreamResponse, answer: aiohttp.ClientResponse) -> None:
        async def pass_on() -> None:
            async for line in answer.content:
                await self._pass_event(path, response, line)

        watch = self._watching[response] = _Watch(path, asyncio.create_task(pass_on()))
        try:
            await watch.passing_on
        except asyncio.CancelledError:
            if not watch.told_an_error:
                raise
        finally:
            watch.passing_on.cancel()
            del self._watching[response]

    async def _pass_event(self, path: str, response: web.StreamResponse, line: bytes) -> None:
        if any(part in path for part in self._silent):
            await asyncio.Event().wait()
        dropped = next((part for part in self._dropped if part in path), None)
        if dropped is not None and b'"type":"BOOKMARK"' not in line:
            self._dropped.remove(dropped)
            return
        await response.write(line)

    @asynccontextmanager
    async def _forwarded(self, request: web.Request, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OWN}
        headers["Accept-Encoding"] = "identity"
        url = URL(self._target + request.raw_path, encoded=True)
        if self._page_size is not None and "limit" in url.query:
            url = url.update_query(limit=self._page_size)
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            yield answer

    def _fault(self, request: web.Request) -> _Fault | None:
        for fault in tuple(self._faults):
            if fault.when(request):
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left <= 0:
                        self._faults.remove(fault)
                return fault
        return None

    def _cut_off(self, request: web.Request) -> None:
        self._note(request, 0)
        if request.transport is not None:
            request.transport.abort()

    def _note(self, request: web.Request, status: int) -> None:
        self.passages.append(Passage(time.monotonic(), request.method, request.raw_path, status))


def _end_to_end(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
