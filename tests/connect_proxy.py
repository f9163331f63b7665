"""A real HTTP proxy on loopback: tunnels by CONNECT, and http requests in absolute form. All names lead to loopback."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_CHUNK = 65536


@dataclass
class ConnectProxy:
    """Without `login` it serves everybody; with `refuses`, a status line, nobody."""

    login: str = ""
    """`user:password`."""
    refuses: str = ""
    asked: list[str] = field(default_factory=list)
    """Method and target of each request, such as `CONNECT slack.example:443`."""
    port: int = 0
    _tasks: "list[asyncio.Task[object]]" = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.login}@{self.address}" if self.login else f"http://{self.address}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ConnectProxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._tasks.append(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        self.asked.append(f"{method} {target}")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        refusal = self.refuses or ("" if self._knows(headers) else "407 Proxy Authentication Required")
        if refusal:
            writer.write(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            return await writer.drain()
        if method == "CONNECT":
            there, out = await asyncio.open_connection("127.0.0.1", int(target.rpartition(":")[2]))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            parts = urlsplit(target)
            there, out = await asyncio.open_connection("127.0.0.1", parts.port or 80)
            kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
            request = [f"{method} {parts.path or '/'} HTTP/1.1", "Connection: close", *kept]
            out.write("\r\n".join(request).encode())
        await asyncio.gather(_copy(reader, out), _copy(there, writer))
        return None

    def _knows(self, headers: dict[str, str]) -> bool:
        expected = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        return not self.login or headers.get("proxy-authorization") == expected


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
