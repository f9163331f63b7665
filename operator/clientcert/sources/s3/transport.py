"""One HTTP request of an S3 client: bounded in time and size, never redirected, checked by the egress policy.

aiobotocore's own session follows redirects, reads proxy variables, and reads answers of any length. This one replaces
it (`http_session_cls`) and passes only complete answers to botocore.
"""

import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, Self

import aiohttp
from aiobotocore.awsrequest import AioAWSResponse
from yarl import URL

from clientcert.loop_budget import LoopBudget
from clientcert.network.byte_budget import Reservation, TooLargeError, read_body
from clientcert.network.egress import EgressPolicy
from clientcert.network.retry_after import parse_retry_after
from clientcert.sources.interface import MAX_BYTES
from clientcert.sources.s3.errors import Fault, NoAnswerError, RefusalError

RESERVED: ContextVar[Reservation] = ContextVar("RESERVED")
"""The memory of the call that the current task makes: botocore, which is in between, passes nothing on."""
_CONNECT_SECONDS = 5.0
_LARGEST_PAGE = 8 * 1024 * 1024  # 1,000 keys of 1,024 bytes, each percent-encoded
_LARGEST_REFUSAL = 64 * 1024
_LONGEST_WAIT = 3600.0
"""Seconds; the cap of Retry-After."""


class WholeBody:
    """The complete body of an answer; replaces the stream in botocore's answers."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def read(self) -> bytes:
        """The content; called by botocore."""
        return self.content


class Transport:
    """The HTTP session of one S3 client; the first request opens it, in the event loop of that request."""

    def __init__(
        self, policy: EgressPolicy, tls: ssl.SSLContext, loop_budget: LoopBudget, **_given_by_botocore: object
    ) -> None:
        self._policy = policy
        self._tls = tls
        self._loop_budget = loop_budget
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; requests in progress fail."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: Any) -> AioAWSResponse:
        """Send a signed request. Raises NoAnswerError, RefusalError, or an error of the egress policy."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
            self._session = self._policy.session(timeout=timeout, limit=0, tls=self._tls, auto_decompress=False)
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=_headers(request.headers),
                data=_body(request.body),
                skip_auto_headers={"Content-Type"},
                allow_redirects=False,
            ) as response:
                if response.status != HTTPStatus.OK:
                    raise await _refusal(response)
                body = await _whole_body(response, MAX_BYTES if request.stream_output else _LARGEST_PAGE)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswerError(_fault(error)) from None
        await self._loop_budget.yield_if_spent()
        # Only this header is passed on, so a malformed other one cannot do harm.
        headers = {"etag": response.headers["ETag"]} if "ETag" in response.headers else {}
        return AioAWSResponse(request.url, response.status, headers, WholeBody(body))


def _headers(signed: Mapping[str, str | bytes]) -> dict[str, str]:
    """The headers that botocore has signed; `Expect`, which is not, would delay the few kilobytes of a PUT."""
    text = {name: value.decode() if isinstance(value, bytes) else value for name, value in signed.items()}
    return {name: value for name, value in text.items() if name.lower() != "expect"} | {"Accept-Encoding": "identity"}


def _body(body: Any) -> bytes | None:
    """The body of a PUT, which botocore makes a file of; None for other requests."""
    content: bytes | None = body.read() if hasattr(body, "read") else body
    return content or None


async def _whole_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    if response.content_length is None and "chunked" not in response.headers.get("Transfer-Encoding", "").lower():
        raise NoAnswerError(Fault.NOT_S3)  # without a length, a cut-off body cannot be detected
    if (response.content_length or 0) > limit:
        raise NoAnswerError(Fault.TOO_LARGE)
    try:
        return bytes(await read_body(response.content, RESERVED.get(), limit))
    except TooLargeError:
        raise NoAnswerError(Fault.TOO_LARGE) from None


async def _at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read up to the first chunk that exceeds the limit."""
    body = bytearray()
    while len(body) <= limit and (chunk := await response.content.readany()):
        body += chunk
    return bytes(body)


async def _refusal(response: aiohttp.ClientResponse) -> RefusalError:
    try:
        body = await _at_most(response, _LARGEST_REFUSAL)
    except (aiohttp.ClientError, TimeoutError, OSError):
        body = b""
    return RefusalError(
        response.status,
        body,
        region=response.headers.get("x-amz-bucket-region", ""),
        deleted=response.headers.get("x-amz-delete-marker") == "true",
        retry_after=parse_retry_after(response.headers, _LONGEST_WAIT),
    )


def _fault(error: Exception) -> Fault:
    if isinstance(error, aiohttp.ClientSSLError):
        return Fault.UNTRUSTED
    if isinstance(error, TimeoutError):
        return Fault.SLOW
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Fault.NAME_UNKNOWN
    if isinstance(error, aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError):
        return Fault.PROXY
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return Fault.CUT
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        return Fault.NOT_S3
    return Fault.UNREACHABLE
