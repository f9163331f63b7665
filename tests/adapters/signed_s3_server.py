"""A small S3 server that checks each signature by itself (Signature Version 4), at whatever host and path it is called.

    async with SignedS3Server(SECRET) as server:
        ...  # a client calls http://127.0.0.1:{server.port}, or a name that resolves there
    assert server.calls == [Call("backup.s3.example", "/nhs.pem", "")]

It is written after the specification alone, and shares no code with botocore.
"""

import hashlib
import hmac
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

ACCESS_KEY, SECRET_KEY, REGION = "AKIATEST", "canary-secret", "eu-west-2"
PAGE = (
    "<ListBucketResult><IsTruncated>false</IsTruncated>"
    "<Contents><Key>nhs.pem</Key><ETag>&quot;1&quot;</ETag></Contents></ListBucketResult>"
)


class Call(NamedTuple):
    host: str
    path: str
    """As it was sent."""
    query: str


class SignedS3Server:
    """Answers a LIST with one key, and a GET with the path that was asked for."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.refuse_path_style: web.Response | None = None
        """The answer to requests at the hosts of `refuse_at`."""
        self.refuse_at = {"s3.example"}
        self.port = 0

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", r"/{path:[\s\S]*}", self._answer)
        self._server = TestServer(application)
        await self._server.start_server()
        self.port = self._server.port or 0
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        host = request.headers["Host"].partition(":")[0]
        self.calls.append(Call(host, path, query))
        if not _is_signed(request, path, query):
            return web.Response(status=403, text="<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if self.refuse_path_style is not None and host in self.refuse_at:
            return _copy(self.refuse_path_style)
        if "list-type=2" in query:
            return web.Response(text=PAGE)
        return web.Response(text=path, headers={"ETag": '"1"'})


def _copy(answer: web.Response) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _is_signed(request: web.Request, path: str, query: str) -> bool:
    scheme, _, fields = request.headers["Authorization"].partition(" ")
    named = dict(field.strip().split("=", 1) for field in fields.split(","))
    access_key, date, region, service, _ = named["Credential"].split("/")
    signed = named["SignedHeaders"].split(";")
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed)
    sorted_query = "&".join(sorted(each if "=" in each else f"{each}=" for each in query.split("&") if each))
    payload = request.headers["x-amz-content-sha256"]
    canonical = "\n".join([request.method, path, sorted_query, headers, ";".join(signed), payload])
    scope = f"{date}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join([scheme, request.headers["x-amz-date"], scope, digest])
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    right = hmac.digest(key, text.encode(), "sha256").hex()
    is_ours = (access_key, region, service, "host" in signed) == (ACCESS_KEY, REGION, "s3", True)
    return is_ours and hmac.compare_digest(right, named["Signature"])
