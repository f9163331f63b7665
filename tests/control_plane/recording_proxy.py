"""A loopback port between the operator and the API server that forwards every byte and records the requests."""

import asyncio
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from tools.control_plane import ControlPlane

_PIECE = 64 * 1024
_START_SECONDS = 10.0
# Not at a line's beginning: on a reused connection, a request follows a body without a line break.
_REQUEST = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL)
_ACCEPT = re.compile(r"^Accept: (.*)$", re.MULTILINE | re.IGNORECASE)


class Request(NamedTuple):
    method: str
    path: str
    """Path and query."""
    accept: str


@dataclass
class RecordingProxy:
    """In front of the API server; without TLS to the client, with TLS to the server."""

    control_plane: ControlPlane
    url: str = ""
    asked: list[bytearray] = field(default_factory=list)
    """The bytes of each connection to the server."""
    answered: bytearray = field(default_factory=bytearray)

    def requests(self) -> list[Request]:
        found = [match for said in self.asked for match in _REQUEST.finditer(said.decode("latin-1"))]
        return [Request(each[1], each[2], (_ACCEPT.findall(each[3]) or [""])[0].strip()) for each in found]

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _connected(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        tls = ssl.create_default_context(cafile=str(self.control_plane.ca_path))
        address = urlsplit(self.control_plane.url)
        server, to_server = await asyncio.open_connection(address.hostname, address.port, ssl=tls)
        said = bytearray()
        self.asked.append(said)
        await asyncio.gather(_pass_on(client, to_server, said), _pass_on(server, to_client, self.answered))


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter, received: bytearray) -> None:
    with suppress(ConnectionError, ssl.SSLError):  # the side that ends a connection may still be sending
        while piece := await source.read(_PIECE):
            received += piece
            sink.write(piece)
            await sink.drain()
    sink.close()


@contextmanager
def recorded(control_plane: ControlPlane) -> Iterator[RecordingProxy]:
    """Run the proxy in a separate thread until the `with` block ends."""
    tap, loop = RecordingProxy(control_plane), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="tap", daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(tap.serve(), loop).result(_START_SECONDS)
    try:
        yield tap
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_SECONDS)
