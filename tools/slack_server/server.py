"""HTTP in front of a workspace: its methods of the Web API, and incoming webhooks."""

import asyncio
import base64
import binascii
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tools.slack_server.recording import Call
from tools.slack_server.workspace import CHANNEL, RefusedError, Workspace, identity, webhook_parts, with_hash

_LARGEST_BODY = 4 * 1024 * 1024
_PAGE = 100
"""The page size of a call that names no limit."""
_LARGEST_PAGE = 1000
_START_SECONDS = 10.0


class SlackServer(Workspace):
    """A workspace that answers on a port of 127.0.0.1; the package describes the ways to run it."""

    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def host(self) -> str:
        """The address in the form of CLIENTCERT_ALLOWED_HOSTS."""
        return f"127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        """The address in the form of CLIENTCERT_SLACK_API_URL."""
        return f"{self.url}/api/"

    @property
    def token(self) -> str:
        return self.tokens[0]

    def webhook_url(self, channel: str = CHANNEL) -> str:
        return f"{self.url}/services/{'/'.join(webhook_parts(with_hash(channel)))}"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_get("/", self._show)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_post("/services/{team}/{hook}/{secret}", self._webhook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @contextmanager
    def start(self) -> Iterator[Self]:
        """Run in a thread of its own, until the `with` block ends."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="slack-server", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result(_START_SECONDS)
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self.__aexit__(None, None, None), loop).result(_START_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_START_SECONDS)
            loop.close()

    async def _show(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.rendered() or "Nothing was posted yet.\n")

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method, asked = request.match_info["method"], await _asked(request)
        channel = asked.get("channel", "")

        def usual() -> web.Response:
            try:
                token = _token(request, asked)
                self.authorise(token, method)
                return web.json_response({"ok": True, **self._answer(method, asked, token)})
            except RefusedError as refused:
                return web.json_response({"ok": False, "error": refused.code, **refused.more})

        return await self._respond(request, method, channel if isinstance(channel, str) else "", usual)

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        parts = request.match_info
        asked = await _asked(request)
        channel = next((name for name in self.channels.values() if webhook_parts(name)[1] == parts["hook"]), "")

        def usual() -> web.Response:
            try:
                channel_id = self.find_webhook(parts["team"], parts["hook"], parts["secret"])
                self.take(channel_id, asked, "webhook")
                return web.Response(text="ok")
            except RefusedError as refused:
                return web.Response(text=refused.code, status=400 if refused.status == 200 else refused.status)

        return await self._respond(request, "webhook", channel, usual)

    async def _respond(
        self, request: web.Request, method: str, channel: str, usual: Callable[[], web.Response]
    ) -> web.StreamResponse:
        """The usual answer, unless a fault is due; every call is recorded with its result."""
        arrived = self.clock()
        fault = self.meets(self.place(channel), method)
        answer = usual() if fault.accepted or not fault.fails else None
        await asyncio.sleep(self.delay + fault.delay)
        if answer is None or fault.fails:
            answer = web.Response(status=fault.status, text=fault.body, headers=fault.headers, content_type=fault.kind)
        error = "" if fault.cut else _error_in(answer)
        status = 0 if fault.cut else answer.status
        self.calls.append(Call(arrived, method, self.place(channel), status, error, dict(request.headers)))
        if fault.cut and request.transport is not None:
            request.transport.abort()
        return answer

    def _answer(self, method: str, asked: dict[str, Any], token: str) -> dict[str, Any]:
        if method == "chat.postMessage":
            posted = self.take(self.find_channel(asked.get("channel")), asked, method)
            return {"channel": posted.channel_id, "ts": posted.ts, "message": {"text": posted.text}}
        if method == "auth.test":
            return {"url": self.url, "team": "loopback", "user": "clientcert", "team_id": identity("T", "team")}
        if method == "conversations.open":
            users = self.find_users(asked.get("users"))
            if len(users) > 1:
                return {"channel": {"id": identity("G", ",".join(sorted(user.id for user in users)))}}
            return {"channel": {"id": self.open_direct(users[0])}}
        if method == "users.lookupByEmail":
            address = str(asked.get("email") or "").lower()
            for user in self.users:
                if user.email and user.email.lower() == address and not user.deleted:
                    return {"user": user.as_json()}
            raise RefusedError("users_not_found")
        if method == "users.list":
            return self._list_users(asked, with_email=self.may(token, "users:read.email"))
        raise RefusedError("unknown_method")

    def _list_users(self, asked: dict[str, Any], *, with_email: bool) -> dict[str, Any]:
        start = _position(str(asked.get("cursor") or ""))
        size = min(int(asked.get("limit") or _PAGE), _LARGEST_PAGE)
        cursor = _cursor(start + size) if start + size < len(self.users) else ""
        page = [user.as_json(with_email=with_email) for user in self.users[start : start + size]]
        return {"members": page, "response_metadata": {"next_cursor": cursor}}


def _cursor(position: int) -> str:
    """A cursor like Slack's: opaque, with `=` at the end."""
    return base64.b64encode(f"user:{position:07d}.".encode()).decode()


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        kind, _, position = base64.b64decode(cursor, validate=True).decode().rstrip(".").partition(":")
        if kind == "user":
            return int(position)
    except (binascii.Error, ValueError):
        pass
    raise RefusedError("invalid_cursor")


async def _asked(request: web.Request) -> dict[str, Any]:
    """The arguments of a call: JSON or form, and those of the address; `payload` is the old form of a webhook."""
    asked: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            return asked
        return asked | body if isinstance(body, dict) else asked
    form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    if "payload" in form:
        form |= json.loads(form["payload"])
    if isinstance(form.get("blocks"), str):
        form["blocks"] = json.loads(form["blocks"])
    return asked | form


def _token(request: web.Request, asked: dict[str, Any]) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else str(asked.get("token", ""))


def _error_in(answer: web.Response) -> str:
    text = answer.text or ""
    if answer.content_type == "application/json" and text.startswith("{"):
        return str(json.loads(text).get("error", ""))
    return "" if answer.status == 200 else text[:64]
