"""A mail server that gives one scripted reply, to any command, also to those that aiosmtpd answers by itself.

    async with ScriptedMailServer("RCPT", "550 5.7.1 Relay access denied") as server:
        ...  # every other command gets the usual reply

It speaks plain SMTP on loopback, and knows nothing of the code under test.
"""

import asyncio
from types import TracebackType
from typing import Self

_USUAL = {
    "connect": "220 loopback",
    "EHLO": "250-loopback\r\n250 SIZE",
    "HELO": "250 loopback",
    "STARTTLS": "454 4.7.0 TLS not available",
    "AUTH": "235 2.7.0 Accepted",
    "MAIL": "250 2.1.0 OK",
    "RCPT": "250 2.1.5 OK",
    "DATA": "354 Go ahead",
    "content": "250 2.0.0 OK",
    "QUIT": "221 2.0.0 Bye",
}


class ScriptedMailServer:
    """`content` is the command after the content of a mail; `connect` is the greeting."""

    def __init__(self, command: str = "", reply: str = "", *, login: str = "", recipient: str = "") -> None:
        """With `login` those methods are offered. With `recipient` the reply is for that one alone."""
        self._command, self.reply = command, reply
        self._recipient = recipient
        self._usual = dict(_USUAL)
        if login:
            self._usual["EHLO"] = f"250-loopback\r\n250-SIZE\r\n250 AUTH {login}"
        if command == "STARTTLS":
            self._usual["EHLO"] = "250-loopback\r\n250 STARTTLS"
        self.recipients: list[str] = []
        """All that RCPT named, accepted or not."""
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _answer(self, command: str, recipient: str = "") -> bytes:
        greeting = command == "HELO" and self._command == "EHLO"
        scripted = (greeting or command == self._command) and (not self._recipient or self._recipient == recipient)
        return f"{self.reply if scripted else self._usual.get(command, '500 5.5.1 Unknown')}\r\n".encode()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._answer("connect"))
        recipient = ""
        while line := await reader.readline():
            command = line.split(maxsplit=1)[0].decode().upper()
            if command == "RCPT":
                recipient = line.decode().partition("<")[2].partition(">")[0]
                self.recipients.append(recipient)
            answer = self._answer(command, recipient)
            writer.write(answer)
            if command == "DATA" and answer.startswith(b"354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(self._answer("content", recipient))
            if command == "QUIT":
                break
        writer.close()
