"""Certificates in buckets, on a real S3 server."""

import asyncio
import gc
import hashlib
import os
import subprocess
import sys
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from clientcert.errors import Reason
from clientcert.lifecycle.spec import SecretSource
from clientcert.sources.interface import Source, StoreLister
from clientcert.sources.s3 import S3Reader
from tests.adapters.s3_parts import Proxy, Stores, failure, read
from tests.machine_speed import here
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client

MIB = 1024 * 1024
STRANGE_KEYS = [
    "plain.pem",
    "with blank and + and %2F.pem",
    "a/b/c/d.pem",
    "quotes\"'and&<angles>.pem",
    "tab\tand\rline\nend.pem",
    "ünïcödé/" + unicodedata.normalize("NFC", "é.pem"),
    "ünïcödé/" + unicodedata.normalize("NFD", "é.pem"),
    "emoji-🔑.pem",
    "dots...pem",
    "~tilde*star!(parens)@at=eq;semi:colon,comma$dollar?query#hash.pem",
]


@pytest.mark.parametrize("content", [b"-----BEGIN", b"", bytes(range(256)) * 100, os.urandom(MIB)])
async def test_an_object_is_read_unchanged(reader: S3Reader, s3_client: S3Client, content: bytes) -> None:
    """An object of up to 1 MiB is returned unchanged; its version is its ETag without quotes."""
    etag = s3_client.put_object("backup", "nhs/client.pem", content)
    source: Source = reader
    found = await read(source, "nhs/client.pem")  # type: ignore[arg-type]
    assert (found.body, found.version) == (content, etag)
    assert found.version == hashlib.md5(content).hexdigest()


async def test_a_missing_object(reader: S3Reader) -> None:
    """A missing object gives SourceNotFound, and the message says what to do."""
    error = await failure(read(reader, "nhs/missing.pem"))
    assert (error.reason, error.retryable) == (Reason.SOURCE_NOT_FOUND, False)
    assert error.message == (
        "Key nhs/missing.pem of bucket backup does not exist: upload it, or correct spec.source.s3.key."
    )


async def test_a_missing_bucket(reader: S3Reader, stores: Stores) -> None:
    """A missing bucket has another reason than a missing object, for GET and LIST."""
    stores.change(name="no-such-bucket")
    for call in (read(reader, "nhs/client.pem"), reader.list("team-a", "store", set())):
        error = await failure(call)
        assert (error.reason, error.retryable) == (Reason.BUCKET_NOT_FOUND, False)
        assert error.message == "Bucket no-such-bucket does not exist: create it, or correct CertificateStore store."


async def test_a_missing_store(reader: S3Reader) -> None:
    """A store that does not exist in the namespace gives StoreNotFound, without any request."""
    error = await failure(read(reader, "nhs/client.pem", namespace="team-c"))
    assert error.reason is Reason.STORE_NOT_FOUND
    assert "CertificateStore team-c/store does not exist" in error.message


async def test_an_object_that_is_too_large(reader: S3Reader, s3_client: S3Client) -> None:
    """One byte more than 1 MiB gives TooLarge, and the connection can be used for the next object."""
    s3_client.put_object("backup", "big", b"x" * (MIB + 1))
    s3_client.put_object("backup", "small", b"x")
    assert (await failure(read(reader, "big"))).reason is Reason.TOO_LARGE
    assert (await read(reader, "small")).body == b"x"


async def test_the_wrong_region(reader: S3Reader, stores: Stores) -> None:
    """A bucket in another region is an error in the spec; no other region is tried."""
    stores.change(region="us-west-1")
    error = await failure(read(reader, "nhs/client.pem"))
    assert error.reason is Reason.SPEC_INVALID
    assert "set spec.s3.region of CertificateStore store" in error.message


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "../backup"}, "spec.s3.bucket"),
        ({"name": "arn:aws:s3:us-west-2:123456789012:accesspoint/x"}, "spec.s3.bucket"),
        ({"name": "ab"}, "spec.s3.bucket"),
        ({"name": "169.254.169.254"}, "spec.s3.bucket"),
        ({"endpoint": "", "region": "evil.example/#"}, "spec.s3.region"),
        ({"endpoint": "", "region": "aws-global"}, "spec.s3.region"),
        ({"endpoint": "", "region": ""}, "spec.s3.region"),
        ({"region": "a.b"}, "spec.s3.region"),
    ],
)
async def test_a_spec_that_violates_the_schema(
    reader: S3Reader, stores: Stores, values: dict[str, str], field: str
) -> None:
    """Bucket and region are checked again before they become part of a host name."""
    stores.change(**values)
    error = await failure(read(reader, "nhs/client.pem"))
    assert error.reason is Reason.SPEC_INVALID
    assert error.message.startswith(field)


@pytest.mark.parametrize("key", STRANGE_KEYS)
async def test_a_key_is_found_under_its_own_name(reader: S3Reader, s3_client: S3Client, key: str) -> None:
    """GET and LIST refer to the same object, whatever characters the key has."""
    etag = s3_client.put_object("backup", key, key.encode())
    assert (await read(reader, key)).body == key.encode()
    assert (await reader.list("team-a", "store", {key})).etags == {key: etag}


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a/../b", "/backup/a/../b"),
        ("../b", "/backup/../b"),
        ("./a", "/backup/./a"),
        ("/a", "/backup//a"),
        ("a//b", "/backup/a//b"),
        ("a/", "/backup/a/"),
        ("//", "/backup///"),
        ("a%2e%2e/b", "/backup/a%252e%252e/b"),
        ("a\\..\\b", "/backup/a%5C..%5Cb"),
        ("é", "/backup/%C3%A9"),
        ("e\u0301", "/backup/e%CC%81"),
        ("?a=b#c", "/backup/%3Fa%3Db%23c"),
    ],
)
async def test_a_key_is_sent_unchanged(reader: S3Reader, proxy: Proxy, key: str, path: str) -> None:
    """The key is never folded, decoded or normalized."""
    proxy.answers(200, b"found", ETag='"1"')
    assert (await read(reader, key)).body == b"found"
    assert [each.partition("?x-id")[0] for each in proxy.paths] == [path]


@pytest.mark.parametrize("key", ["", "\ud800"])
async def test_an_invalid_key(reader: S3Reader, proxy: Proxy, key: str) -> None:
    """An invalid key gives an error without a request."""
    assert (await failure(read(reader, key))).reason is Reason.SPEC_INVALID
    assert proxy.paths == []


async def test_one_list_serves_all_certificates(
    reader: S3Reader, stores: Stores, s3_server: S3Server, s3_client: S3Client, proxy: Proxy
) -> None:
    """2,500 keys take three requests, and only the wanted keys are kept."""
    s3_client.create_bucket("many")
    with ThreadPoolExecutor(16) as pool:
        etags = list(pool.map(lambda n: s3_client.put_object("many", f"{n:04}/client.pem", b"%d" % n), range(2500)))
    stores.change(name="many")
    lists: StoreLister = reader
    listing = await lists.list("team-a", "store", {"0000/client.pem", "2499/client.pem", "2500/client.pem"})
    assert listing.etags == {"0000/client.pem": etags[0], "2499/client.pem": etags[2499]}
    assert listing.objects == 2500
    assert listing.private_keys == ()
    assert (proxy.lists, proxy.gets) == (3, 0)


async def test_an_empty_bucket(reader: S3Reader, stores: Stores, s3_client: S3Client, proxy: Proxy) -> None:
    """An empty bucket is a valid answer: all wanted keys are missing."""
    s3_client.create_bucket("empty")
    stores.change(name="empty")
    listing = await reader.list("team-a", "store", {"nhs/client.pem"})
    assert (listing.etags, listing.objects, proxy.lists) == ({}, 0, 1)


async def test_a_prefix_narrows_the_list_and_not_the_reading(
    reader: S3Reader, stores: Stores, s3_client: S3Client
) -> None:
    """Only keys below the prefix are listed; the listing does not cover other keys, but they can be read."""
    s3_client.create_bucket("prefixed")
    for key in ("clients/nhs.pem", "clients/gp.pem", "other/nhs.pem"):
        s3_client.put_object("prefixed", key, key.encode())
    stores.change(name="prefixed", prefix="clients/")
    listing = await reader.list("team-a", "store", {"clients/nhs.pem", "clients/none.pem", "other/nhs.pem"})
    assert (set(listing.etags), listing.objects) == ({"clients/nhs.pem"}, 2)
    assert listing.covers("clients/none.pem")
    assert not listing.covers("other/nhs.pem")
    assert (await read(reader, "other/nhs.pem")).body == b"other/nhs.pem"


async def test_private_keys_in_a_bucket_are_recognised_by_their_names(
    reader: S3Reader, stores: Stores, s3_client: S3Client
) -> None:
    """At most five names that look like private keys are returned; the objects are not read."""
    s3_client.create_bucket("careless")
    for number in range(7):
        s3_client.put_object("careless", f"nhs/{number}.key", b"x")
        s3_client.put_object("careless", f"nhs/{number}.pem", b"x")
    stores.change(name="careless")
    listing = await reader.list("team-a", "store", set())
    assert listing.private_keys == tuple(f"nhs/{number}.key" for number in range(5))
    assert listing.objects == 14


async def test_concurrent_reads(reader: S3Reader, stores: Stores, s3_client: S3Client) -> None:
    """A hundred concurrent reads make one client and read its credentials once."""
    s3_client.put_object("backup", "nhs/client.pem", b"x")
    found = await asyncio.gather(*(read(reader, "nhs/client.pem") for _ in range(100)))
    assert {each.body for each in found} == {b"x"}
    assert stores.secret_reads == 1


async def test_the_event_loop_is_not_blocked_while_many_are_read(
    reader: S3Reader, stores: Stores, s3_server: S3Server, s3_client: S3Client
) -> None:
    """Models are loaded and pages are parsed in threads, and 128 concurrent reads share the event loop.

    The test measures the CPU time of the loop's thread between two ticks, so a busy machine makes no difference. The
    garbage collector is off, because its frequency is a setting of the program and not of the source.
    """
    s3_client.put_object("backup", "nhs/client.pem", b"x")
    stores.change(endpoint=s3_server.endpoint)
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - before)

    gc.disable()
    ticking = asyncio.create_task(tick())
    await read(reader, "nhs/client.pem")
    await asyncio.gather(*(read(reader, "nhs/client.pem") for _ in range(128)))
    await reader.list("team-a", "store", set())
    ticking.cancel()
    gc.enable()
    assert longest < here(0.1)  # the longest allowed stall; the slice of a loop budget is a fifth of it


async def test_another_kind_of_reference_is_a_programming_error(reader: S3Reader) -> None:
    """A reference to a Secret is a programming error."""
    with pytest.raises(TypeError):
        await reader.read("team-a", SecretSource("nhs", "tls.crt"))


def test_without_a_store_no_aws_library_is_loaded() -> None:
    """An operator that reads no bucket does not spend the memory."""
    program = "import sys, clientcert.sources.s3; sys.exit(any('boto' in name for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
