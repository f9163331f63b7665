"""Shared by the tests of S3: a real server, a proxy in front of it that can misbehave, and stores."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from clientcert.errors import KubeError, Reason, SourceError
from clientcert.lifecycle.spec import Bucket, S3Source
from clientcert.network.egress import EgressPolicy
from clientcert.sources.interface import Content
from clientcert.sources.s3 import S3Reader, S3Writer
from clientcert.sources.secret import SecretReader

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class Proxy:
    """Forwards requests unchanged and records them, unless its `behaviour` gives an answer."""

    def __init__(self, server: str = "") -> None:
        self.server = server
        self.behaviour: Behaviour | None = None
        self.paths: list[str] = []
        """Path and query of each request, unchanged."""
        self.puts: list[Mapping[str, str]] = []
        """The headers of each PUT."""
        self.endpoint = ""

    @property
    def lists(self) -> int:
        return sum("list-type=2" in path for path in self.paths)

    @property
    def gets(self) -> int:
        return len(self.paths) - self.lists

    def answers(self, status: int = 200, body: bytes | str = b"", **headers: str) -> None:
        """Give the same answer to every request."""
        content = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(_request: web.Request) -> web.Response:
            return web.Response(status=status, body=content, headers=named)

        self.behaviour = answer

    def refuses(self, status: int, code: str, *, message: str = "", **headers: str) -> None:
        """Refuse every request in the format of S3."""
        self.answers(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>", **headers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        application = web.Application()
        application.router.add_route("*", r"/{path:[\s\S]*}", self._handle)
        async with TestServer(application) as server, aiohttp.ClientSession(auto_decompress=False) as session:
            self._session = session
            self.endpoint = str(server.make_url("/")).rstrip("/")
            yield self

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.raw_path)
        if request.method == "PUT":
            self.puts.append(request.headers)
        answer = await self.behaviour(request) if self.behaviour else None
        if answer is not None:
            return answer
        return await self.forward(request)

    async def forward(self, request: web.Request) -> web.Response:
        """The answer of the server."""
        url, body = URL(self.server + request.raw_path, encoded=True), await request.read()
        async with self._session.request(
            request.method, url, headers=request.headers, data=body or None, skip_auto_headers={"Content-Type"}
        ) as response:
            headers = {name: response.headers[name] for name in ("ETag", "Content-Type") if name in response.headers}
            return web.Response(status=response.status, body=await response.read(), headers=headers)


@dataclass
class Stores:
    """The CertificateStores and Secrets of a cluster, and an S3Reader for them."""

    buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)
    secrets: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    secret_reads: int = 0

    async def get_secret(self, namespace: str, name: str) -> Mapping[str, Any]:
        self.secret_reads += 1
        await asyncio.sleep(0)
        if (namespace, name) not in self.secrets:
            raise KubeError(Reason.NOT_FOUND, "no such Secret", status=404)
        values = self.secrets[namespace, name].items()
        return {"metadata": {}, "data": {key: base64.b64encode(value.encode()).decode() for key, value in values}}

    def change(self, **values: str) -> None:
        """Change the spec of the store `team-a/store`."""
        self.buckets["team-a", "store"] = replace(self.buckets["team-a", "store"], **values)  # type: ignore[arg-type]

    def bucket_of(self, namespace: str, store: str) -> Bucket | None:
        return self.buckets.get((namespace, store))

    @asynccontextmanager
    async def reader(
        self,
        *,
        allowed: frozenset[str] = frozenset({"127.0.0.1", "localhost"}),
        identity: tuple[str, ...] = (),
        deadline: float = 15.0,
    ) -> AsyncIterator[S3Reader]:
        reader = S3Reader(
            self.bucket_of, SecretReader(self.get_secret), EgressPolicy(allowed), identity, deadline=deadline
        )
        try:
            yield reader
        finally:
            await reader.close()

    @asynccontextmanager
    async def writer(
        self, *, identity: tuple[str, ...] = (), identity_to_write: tuple[str, ...] = (), deadline: float = 15.0
    ) -> AsyncIterator[S3Writer]:
        async with self.reader(identity=identity, deadline=deadline) as reader:
            yield S3Writer(reader.calls, identity_to_write)


def credentials(access_key: str, secret_key: str, token: str = "") -> dict[str, str]:
    values = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    return {**values, "AWS_SESSION_TOKEN": token} if token else values


async def read(reader: S3Reader, key: str, store: str = "store", namespace: str = "team-a") -> Content:
    return await reader.read(namespace, S3Source(store, key))


async def failure(call: Awaitable[object]) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await call
    error = caught.value
    assert error.message.endswith(".")
    logging.getLogger(__name__).info("%s: %s", error.reason, error.message)
    return error
