"""Faults of a bucket's server, and the errors that they cause."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from clientcert.errors import Reason
from clientcert.lifecycle.spec import Bucket
from clientcert.sources.s3 import S3Reader
from tests.adapters.s3_parts import Proxy, Stores, failure, read
from tests.virtual_time import forward

PAGE = (
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>{truncated}</IsTruncated>'
    "<NextContinuationToken>{token}</NextContinuationToken>"
    "<Contents><Key>{key}</Key><ETag>&quot;1&quot;</ETag></Contents></ListBucketResult>"
)


@pytest.fixture
async def hasty_reader(stores: Stores) -> AsyncIterator[S3Reader]:
    """A reader with a short deadline."""
    async with stores.reader(deadline=1.0) as reader:
        yield reader


@asynccontextmanager
async def says(stores: Stores, answer: bytes) -> AsyncIterator[None]:
    """Point the store to a server that answers every request with these bytes and closes the connection."""

    async def speak(stream: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        await stream.readuntil(b"\r\n\r\n")
        out.write(answer)
        await out.drain()
        out.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as running:
        port = running.sockets[0].getsockname()[1]
        stores.change(endpoint=f"http://127.0.0.1:{port}")
        yield


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(reader: S3Reader, proxy: Proxy, status: int) -> None:
    """No redirect is followed, to another host or to the same one."""
    proxy.answers(status, "", Location=f"{proxy.endpoint}/elsewhere")
    for call in (read(reader, "nhs.pem"), reader.list("team-a", "store", set())):
        error = await failure(call)
        assert error.reason is Reason.SPEC_INVALID
        assert "redirect" in error.message
    assert not any("elsewhere" in path for path in proxy.paths)
    assert len(proxy.paths) == 2


@pytest.mark.parametrize("chunked", [True, False])
async def test_an_answer_that_is_too_large(reader: S3Reader, proxy: Proxy, chunked: bool) -> None:
    """An answer with a length is refused before it is read, one without a length at the first byte above the limit."""
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={} if chunked else {"Content-Length": str(1 << 40)})
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            sent += 65536

    proxy.behaviour = answer
    error = await failure(read(reader, "nhs.pem"))
    assert (error.reason, error.retryable) == (Reason.TOO_LARGE, False)
    assert "larger than 1 MiB" in error.message
    assert sent < 16 * 1024 * 1024, "what socket buffers hold, and no more"


async def test_an_answer_of_unknown_length(reader: S3Reader, stores: Stores) -> None:
    """An answer that ends with the connection could have been cut off: it is refused."""
    async with says(stores, b"HTTP/1.1 200 OK\r\nETag: 1\r\nConnection: close\r\n\r\nhalf a certif"):
        error = await failure(read(reader, "nhs.pem"))
    assert "does not answer as an S3 server" in error.message


@pytest.mark.parametrize("head", [b"Content-Length: 100\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5\r\n"])
@pytest.mark.parametrize("listing", [True, False])
async def test_an_incomplete_answer(reader: S3Reader, stores: Stores, head: bytes, listing: bool) -> None:
    """An incomplete answer is a retryable error; half a certificate is never returned."""
    async with says(stores, b"HTTP/1.1 200 OK\r\nETag: 1\r\n" + head + b"half"):
        error = await failure(reader.list("team-a", "store", set()) if listing else read(reader, "nhs.pem"))
    assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
    assert "closed the connection in the middle of its answer" in error.message


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
async def test_an_answer_without_http(reader: S3Reader, stores: Stores, answer: bytes) -> None:
    """A server without HTTP gives an error about the server, and no internal error."""
    async with says(stores, answer):
        assert (await failure(read(reader, "nhs.pem"))).reason is Reason.SOURCE_UNAVAILABLE


@pytest.mark.parametrize("listing", [True, False])
@pytest.mark.parametrize("drip", [True, False])
async def test_an_answer_that_is_slow(hasty_reader: S3Reader, proxy: Proxy, listing: bool, drip: bool) -> None:
    """The deadline applies to the whole answer: slow bytes do not extend it, and other calls do not wait."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        if drip:
            await response.prepare(request)
        for _ in range(100):
            await asyncio.sleep(0.1)
            if drip:
                await response.write(b" ")
        return response

    proxy.behaviour = answer
    loop = asyncio.get_running_loop()
    await read(hasty_reader, "nhs.pem", namespace="team-b")
    slow = hasty_reader.list("team-a", "store", set()) if listing else read(hasty_reader, "nhs.pem")
    waiting = asyncio.create_task(failure(slow))
    assert (await read(hasty_reader, "nhs.pem", namespace="team-b")).body == b"nhs.pem"
    assert not waiting.done()
    before = loop.time()
    error = await waiting
    assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
    assert error.message.endswith("does not answer in time.")
    assert loop.time() - before < 9  # the whole answer takes ten seconds


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "<html><body>Welcome</body></html>",
        "<ListBucketResult>",
        "<ListBucketResult><Contents></ListBucketResult>",
        "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><ListBucketResult>&b;</ListBucketResult>",
        "<!DOCTYPE x SYSTEM 'file:///etc/passwd'><ListBucketResult/>",
        "<Error><Code>AccessDenied</Code></Error>",
    ],
)
async def test_an_invalid_list(reader: S3Reader, proxy: Proxy, body: str) -> None:
    """An answer that is not a page of a LIST is an error and not an empty bucket."""
    proxy.answers(200, body)
    error = await failure(reader.list("team-a", "store", set()))
    assert error.reason is Reason.SOURCE_UNAVAILABLE
    assert "does not answer as an S3 server" in error.message


@pytest.mark.parametrize(
    "body",
    [
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated> TRUE </IsTruncated><NextContinuationToken/></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>a</NextMarker></ListBucketResult>",
        PAGE.format(truncated="true", token="", key="a"),
        PAGE.format(truncated="true", token="again", key="a"),
    ],
    ids=["no token", "an empty one", "version 1 of the LIST", "with a key", "always the same token"],
)
async def test_a_list_of_which_only_a_part_can_be_had(reader: S3Reader, proxy: Proxy, body: str) -> None:
    """The message says so; the part is not taken for the whole bucket, where other certificates would be missing."""
    proxy.answers(200, body)
    error = await failure(reader.list("team-a", "store", {"a"}))
    assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
    assert "answers a LIST in part only" in error.message
    assert "spec.s3.prefix" in error.message


async def test_a_list_without_end(reader: S3Reader, proxy: Proxy) -> None:
    """A LIST ends with an error after a thousand pages, and the message advises to set a prefix."""
    pages = 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal pages
        pages += 1
        return web.Response(text=PAGE.format(truncated="true", token=pages, key="a"))

    proxy.behaviour = answer
    error = await failure(reader.list("team-a", "store", set()))
    assert (error.reason, pages) == (Reason.TOO_LARGE, 1000)
    assert "spec.s3.prefix" in error.message


async def test_a_page_that_is_too_large(reader: S3Reader, proxy: Proxy) -> None:
    """A page is read up to the largest size of a thousand keys."""
    proxy.answers(200, b" " * (9 * 1024 * 1024))
    assert (await failure(reader.list("team-a", "store", set()))).reason is Reason.TOO_LARGE


async def test_invalid_headers(reader: S3Reader, proxy: Proxy) -> None:
    """Unused headers are ignored, even invalid ones; without an ETag the version is the hash."""
    proxy.answers(200, b"x", Last_Modified="yesterday", Expires="never", x_amz_missing_meta="many", Accept_Ranges="?")
    found = await read(reader, "nhs.pem")
    assert found.body == b"x"
    assert found.version.startswith("sha256:")


@pytest.mark.parametrize(
    ("etag", "version"), [('"abc-2"', "abc-2"), ('W/"abc"', "abc"), ("abc", "abc"), ('""', None), ("x" * 300, None)]
)
async def test_the_version_is_the_etag(reader: S3Reader, proxy: Proxy, etag: str, version: str | None) -> None:
    """Quotes and the weakness prefix are not part of the version; the content's hash replaces an invalid ETag."""
    proxy.answers(200, b"x", ETag=etag)
    found = (await read(reader, "nhs.pem")).version
    assert found == version or (version is None and found.startswith("sha256:"))


async def test_a_content_encoding_is_part_of_the_object(reader: S3Reader, proxy: Proxy) -> None:
    """The declared encoding of an object is ignored: nothing is decompressed in memory."""
    proxy.answers(200, b"not gzip at all", Content_Encoding="gzip", ETag='"1"')
    assert (await read(reader, "nhs.pem")).body == b"not gzip at all"


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("http://127.0.0.1:1", "cannot be reached"),
        ("http://no-such-host.invalid", "host name that does not exist"),
    ],
)
async def test_an_unavailable_server(stores: Stores, endpoint: str, words: str) -> None:
    """A server that is down or has an unknown name gives SourceUnavailable, and is retried."""
    stores.buckets["team-a", "store"] = Bucket("backup", "", "", endpoint, "aws")
    async with stores.reader(allowed=frozenset({"127.0.0.1", "no-such-host.invalid"})) as reader:
        error = await failure(read(reader, "nhs.pem"))
    assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
    assert words in error.message


async def test_an_untrusted_server(stores: Stores, self_signed: ssl.SSLContext) -> None:
    """With an untrusted TLS certificate no request is sent, to listed hosts, too."""
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(text="x")

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as running:
        await running.start_server(ssl=self_signed)
        endpoint = f"https://localhost:{running.port}"
        stores.buckets["team-a", "store"] = Bucket("backup", "", "", endpoint, "aws")
        async with stores.reader() as reader:
            error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.SOURCE_UNAVAILABLE
    assert "TLS certificate that the operator does not trust" in error.message
    assert asked == []


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    from datetime import UTC, datetime, timedelta

    from tools.certificates import CertificateAuthority

    now = datetime.now(UTC)
    issued = CertificateAuthority.create("Nobody's CA").issue("localhost", now - timedelta(1), now + timedelta(1))
    (tmp_path / "both.pem").write_bytes(issued.certificate_pem + issued.private_key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    return context


async def test_an_unresponsive_server_fails_fast(stores: Stores, proxy: Proxy) -> None:
    """After several requests without an answer the next ones fail at once, until the server answers again."""
    away = asyncio.Event()

    async def hold(_request: web.Request) -> None:
        if not away.is_set():
            await asyncio.sleep(60)

    proxy.behaviour = hold
    loop = asyncio.get_running_loop()
    async with stores.reader(deadline=0.5) as reader:
        errors = await asyncio.gather(*(failure(read(reader, f"{n}.pem")) for n in range(50)))
        assert {error.reason for error in errors} == {Reason.SOURCE_UNAVAILABLE}
        before = loop.time()
        errors = await asyncio.gather(*(failure(read(reader, f"{n}.pem")) for n in range(50, 100)))
        assert loop.time() - before < 5
        assert {f"/backup/{n}.pem" for n in range(50, 100)}.isdisjoint(proxy.paths)
        assert errors[7].message == "Key 57.pem of bucket backup: the S3 server does not answer in time."
        away.set()
        forward(3.1)
        assert (await read(reader, "nhs.pem")).body == b"nhs.pem"
        assert (await read(reader, "team-a/nhs.pem")).body == b"team-a/nhs.pem"
