"""A loopback proxy that counts the HTTP requests to a server behind it, and forwards every byte unchanged."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_PIECE = 64 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_LINE = re.compile(rb"(?:GET|HEAD|PUT|DELETE|POST) \S+ HTTP/1\.1(?=\r\n)")


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was forwarded."""

    time: float
    """The value of time.monotonic."""
    line: str
    """Method and target."""

    @property
    def begins_a_list(self) -> bool:
        """True for the first page of a LIST of a bucket."""
        return "list-type=2" in self.line and "continuation-token" not in self.line


@dataclass(slots=True)
class CountingProxy:
    """Counts requests with a head that ends in one piece, and perhaps a body without an empty line, such as PEM."""

    target: tuple[str, int]
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connected(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(client, answers))
        self._open.add(task)  # the event loop keeps no strong reference to a task
        task.add_done_callback(self._open.discard)

    async def end(self) -> None:
        """Close all connections."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _forward(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, questions = await asyncio.open_connection(*self.target)
        try:
            await asyncio.gather(self._count(client, questions), _pass_on(server, answers))
        finally:
            answers.close()
            questions.close()

    async def _count(self, client: asyncio.StreamReader, questions: asyncio.StreamWriter) -> None:
        begun = b""
        with suppress(ConnectionError):
            while piece := await client.read(_PIECE):
                questions.write(piece)
                *heads, begun = (begun + piece).split(_END_OF_HEAD)
                for head in heads:
                    found = _LINE.search(head)  # after the body of the request before, if that has one
                    line = (found[0] if found else head.split(b"\r\n", 1)[0]).decode("latin-1")
                    self.requests.append(Request(time.monotonic(), line))
                await questions.drain()
            questions.write_eof()


async def _pass_on(server: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await server.read(_PIECE):
            answers.write(piece)
            await answers.drain()
        answers.write_eof()


@asynccontextmanager
async def counting(endpoint: str) -> AsyncIterator[CountingProxy]:
    """A proxy in front of a plain HTTP endpoint. It closes all connections in the end."""
    parts = urlsplit(endpoint)
    proxy = CountingProxy((parts.hostname or "", parts.port or 80))
    server = await asyncio.start_server(proxy.connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield proxy
        finally:
            await proxy.end()
