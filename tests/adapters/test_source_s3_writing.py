"""A renewed certificate is written back to its bucket: once, over the certificate that it renews, and nothing else."""

from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from clientcert.errors import Reason, SettingsError, SourceError
from clientcert.lifecycle.spec import S3Source, SecretKeyRef
from clientcert.sources.interface import WriteOrder
from clientcert.sources.s3 import S3Writer
from tests.adapters.s3_parts import Proxy, Stores, failure
from tests.builders import DAY, NOW
from tools.certificates import CertificateAuthority
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client

CA = CertificateAuthority.create("Integration CA")
OLD = CA.issue("nhs", NOW - 300 * DAY, NOW + 20 * DAY)
NEW = CA.issue("nhs", NOW, NOW + 395 * DAY)
OTHER = CA.issue("moj", NOW - 300 * DAY, NOW + 20 * DAY)
NEW_CSR, OLD_CSR, OTHER_CSR = NEW.csr_pem(), OLD.csr_pem(), OTHER.csr_pem()
ORDER = WriteOrder(OLD.fingerprint_sha256, NEW.chain_pem, NEW_CSR)
FIRST = WriteOrder("", NEW.chain_pem)


@pytest.fixture
async def writer(stores: Stores) -> AsyncIterator[S3Writer]:
    async with stores.writer() as writer:
        yield writer


@pytest.fixture
def key(request: pytest.FixtureRequest, s3_client: S3Client) -> str:
    """The key of an object with the old certificate, in a folder of its own."""
    key = f"{request.node.name}/client.pem"
    s3_client.put_object("backup", key, OLD.chain_pem)
    return key


def beside(key: str) -> str:
    return key.rpartition("/")[0] + "/client.csr"


async def write(writer: S3Writer, key: str, order: WriteOrder = ORDER) -> str:
    return await writer.write("team-a", S3Source("store", key), order)


async def refusal(writer: S3Writer, key: str, order: WriteOrder = ORDER) -> SourceError:
    return await failure(write(writer, key, order))


def before_puts(proxy: Proxy, change: Callable[[], object]) -> None:
    """Somebody else changes the bucket between the reading and the writing of it."""

    async def behaviour(request: web.Request) -> None:
        if request.method == "PUT":
            change()

    proxy.behaviour = behaviour


async def test_the_certificate_and_its_request(writer: S3Writer, s3_client: S3Client, proxy: Proxy, key: str) -> None:
    """Each PUT has a condition: If-Match for what was read, If-None-Match for what is new."""
    etag = s3_client.put_object("backup", key, OLD.chain_pem)
    assert await write(writer, key) == ""
    assert s3_client.get_object("backup", key) == NEW.chain_pem
    assert s3_client.get_object("backup", beside(key)) == NEW_CSR
    assert [(each.get("If-Match"), each.get("If-None-Match")) for each in proxy.puts] == [
        (f'"{etag}"', None),
        (None, "*"),
    ]
    assert all(each["Content-MD5"] for each in proxy.puts)


async def test_it_is_written_once(writer: S3Writer, proxy: Proxy, key: str) -> None:
    """Written again, as after a crash, it is there already."""
    await write(writer, key)
    assert await write(writer, key) == ""
    assert len(proxy.puts) == 2


async def test_an_earlier_request_is_replaced(writer: S3Writer, s3_client: S3Client, key: str) -> None:
    s3_client.put_object("backup", beside(key), OLD_CSR)
    assert await write(writer, key) == ""
    assert s3_client.get_object("backup", beside(key)) == NEW_CSR


async def test_a_request_of_another_is_left_as_it_is(writer: S3Writer, s3_client: S3Client, key: str) -> None:
    """In a folder that several consumers share; the certificate is written."""
    s3_client.put_object("backup", beside(key), OTHER_CSR)
    assert "client.csr" in await write(writer, key)
    assert s3_client.get_object("backup", beside(key)) == OTHER_CSR
    assert s3_client.get_object("backup", key) == NEW.chain_pem


async def test_a_private_key_beside_it_does_not_matter(writer: S3Writer, s3_client: S3Client, key: str) -> None:
    """It is reported, and is another object; one in the object itself is never overwritten."""
    s3_client.put_object("backup", key.replace("client.pem", "client.key"), OLD.private_key_pem)
    assert await write(writer, key) == ""
    s3_client.put_object("backup", key, OLD.chain_pem + OLD.private_key_pem)
    assert (await refusal(writer, key)).reason is Reason.SOURCE_HAS_PRIVATE_KEY
    assert s3_client.get_object("backup", key) == OLD.chain_pem + OLD.private_key_pem


async def test_what_somebody_else_has_put_there(writer: S3Writer, s3_client: S3Client, proxy: Proxy, key: str) -> None:
    s3_client.put_object("backup", key, OTHER.chain_pem)
    assert (await refusal(writer, key)).reason is Reason.SOURCE_CHANGED
    assert not proxy.puts


async def test_what_somebody_else_puts_there_meanwhile(
    writer: S3Writer, s3_client: S3Client, proxy: Proxy, key: str
) -> None:
    """The server refuses the condition (412), and what is there now is read anew."""
    before_puts(proxy, lambda: s3_client.put_object("backup", key, OTHER.chain_pem))
    error = await refusal(writer, key)
    assert (error.reason, error.retryable) == (Reason.SOURCE_CHANGED, False)
    assert s3_client.get_object("backup", key) == OTHER.chain_pem


async def test_the_same_certificate_written_anew_meanwhile(
    writer: S3Writer, s3_client: S3Client, proxy: Proxy, key: str
) -> None:
    """It has another ETag, and is still the one that was renewed."""
    contents = [OLD.certificate_pem]
    before_puts(proxy, lambda: contents and s3_client.put_object("backup", key, contents.pop()))
    assert await write(writer, key) == ""
    assert s3_client.get_object("backup", key) == NEW.chain_pem


async def test_an_object_that_never_comes_to_rest(
    writer: S3Writer, s3_client: S3Client, proxy: Proxy, key: str
) -> None:
    contents = [OLD.certificate_pem + b"\n" * count for count in range(9)]
    before_puts(proxy, lambda: s3_client.put_object("backup", key, contents.pop()))
    error = await refusal(writer, key)
    assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
    assert len(proxy.puts) == 3


async def test_a_deleted_object(writer: S3Writer, s3_client: S3Client, proxy: Proxy, key: str) -> None:
    """Before, or meanwhile: whoever deleted it does not want it back."""
    before_puts(proxy, lambda: s3_client.delete_object("backup", key))
    for _ in range(2):
        assert (await refusal(writer, key)).reason is Reason.SOURCE_NOT_FOUND
    assert key not in s3_client.list_keys("backup")


async def test_an_answer_that_is_lost(stores: Stores, s3_client: S3Client, proxy: Proxy, key: str) -> None:
    """The server has written it: the next attempt finds it there."""

    async def behaviour(request: web.Request) -> web.Response | None:
        if request.method != "PUT":
            return None
        await proxy.forward(request)
        proxy.behaviour = None
        answer = web.StreamResponse(headers={"Content-Length": "10"})
        await answer.prepare(request)
        assert request.transport is not None
        request.transport.close()
        return answer

    proxy.behaviour = behaviour
    async with stores.writer() as writer:
        error = await refusal(writer, key, WriteOrder(OLD.fingerprint_sha256, NEW.chain_pem))
        assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
        assert await write(writer, key, WriteOrder(OLD.fingerprint_sha256, NEW.chain_pem)) == ""
    assert len(proxy.puts) == 1


async def test_a_first_certificate(writer: S3Writer, s3_client: S3Client, proxy: Proxy) -> None:
    """Where nothing is, it is written, unless something is there by then."""
    assert await write(writer, "first/client.pem", FIRST) == ""
    assert s3_client.get_object("backup", "first/client.pem") == NEW.chain_pem
    assert proxy.puts[0]["If-None-Match"] == "*"
    before_puts(proxy, lambda: s3_client.put_object("backup", "second/client.pem", OTHER.chain_pem))
    assert (await refusal(writer, "second/client.pem", FIRST)).reason is Reason.SOURCE_CHANGED
    assert s3_client.get_object("backup", "second/client.pem") == OTHER.chain_pem


def refuse_puts(proxy: Proxy, status: int, code: str, of: str = "") -> None:
    async def behaviour(request: web.Request) -> web.Response | None:
        if request.method != "PUT" or not request.path.endswith(of):
            return None
        return web.Response(status=status, text=f"<Error><Code>{code}</Code><Message>secret</Message></Error>")

    proxy.behaviour = behaviour


async def test_credentials_that_may_only_read(writer: S3Writer, proxy: Proxy, key: str) -> None:
    """The message names the action, the bucket, and who needs it."""
    refuse_puts(proxy, 403, "AccessDenied")
    error = await refusal(writer, key)
    assert error.reason is Reason.WRITE_NOT_ALLOWED
    assert "give Secret team-a/aws s3:PutObject on arn:aws:s3:::backup/*" in error.message
    assert "by hand" in error.message


async def test_credentials_that_may_not_write_the_request(
    writer: S3Writer, s3_client: S3Client, proxy: Proxy, key: str
) -> None:
    """The certificate is written, and a sentence says what is not."""
    refuse_puts(proxy, 403, "AccessDenied", of="client.csr")
    note = await write(writer, key)
    assert note.startswith("The new certificate was written, but not client.csr beside it: Key")
    assert "s3:PutObject" in note
    assert s3_client.get_object("backup", key) == NEW.chain_pem


async def test_new_credentials_are_read_at_once(writer: S3Writer, stores: Stores, proxy: Proxy, key: str) -> None:
    """Somebody has put others into the Secret, after a write was refused."""
    secrets = stores.secrets["team-a", "aws"]

    async def behaviour(request: web.Request) -> web.Response | None:
        if request.method != "PUT" or "AKIAOTHER" in request.headers["Authorization"]:
            return web.Response() if request.method == "PUT" else None
        secrets["AWS_ACCESS_KEY_ID"] = "AKIAOTHER"
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")

    proxy.behaviour = behaviour
    assert await write(writer, key, WriteOrder(OLD.fingerprint_sha256, NEW.chain_pem)) == ""


async def test_a_server_without_conditions(writer: S3Writer, proxy: Proxy, key: str) -> None:
    """Without If-Match, nothing can be overwritten safely; nor without an ETag."""
    refuse_puts(proxy, 501, "NotImplemented")
    error = await refusal(writer, key)
    assert error.reason is Reason.WRITE_NOT_ALLOWED
    assert "If-Match" in error.message

    async def without_etag(request: web.Request) -> web.Response | None:
        return web.Response(body=OLD.chain_pem) if request.method == "GET" else None

    proxy.behaviour, before = without_etag, len(proxy.puts)
    error = await refusal(writer, key)
    assert error.reason is Reason.WRITE_NOT_ALLOWED
    assert "ETag" in error.message
    assert len(proxy.puts) == before


@pytest.mark.parametrize(("status", "code"), [(409, "ConditionalRequestConflict"), (404, "NoSuchKey"), (412, "")])
async def test_every_answer_to_a_condition_that_fails(
    writer: S3Writer, proxy: Proxy, key: str, status: int, code: str
) -> None:
    """AWS asks to try again if two write at once: each time the object is read anew."""
    refuse_puts(proxy, status, code)
    assert (await refusal(writer, key)).retryable
    assert len(proxy.puts) == 3


async def test_a_busy_server_is_asked_again(writer: S3Writer, proxy: Proxy, key: str) -> None:
    refuse_puts(proxy, 503, "SlowDown")
    error = await refusal(writer, key)
    assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
    assert "secret" not in error.message


async def test_a_source_with_a_password(writer: S3Writer, proxy: Proxy, key: str) -> None:
    """It is a container: whoever reads it could not read PEM."""
    source = S3Source("store", key, SecretKeyRef("password", "password"))
    error = await failure(writer.write("team-a", source, ORDER))
    assert error.reason is Reason.UNSUPPORTED_FORMAT
    assert "by hand" in error.message
    assert not proxy.paths


async def test_the_request_beside_the_source(writer: S3Writer, s3_client: S3Client, key: str) -> None:
    """It is read for a renewal with the same request; a source of that name is not beside itself."""
    assert await writer.read_beside("team-a", S3Source("store", key)) is None
    s3_client.put_object("backup", beside(key), OLD_CSR)
    assert await writer.read_beside("team-a", S3Source("store", key)) == OLD_CSR
    assert await writer.read_beside("team-a", S3Source("store", beside(key))) is None


async def test_a_source_at_the_top_of_the_bucket(writer: S3Writer, s3_client: S3Client) -> None:
    s3_client.put_object("backup", "top.pem", OLD.chain_pem)
    assert await write(writer, "top.pem") == ""
    assert s3_client.get_object("backup", "client.csr") == NEW_CSR
    s3_client.delete_object("backup", "client.csr")


@pytest.fixture
def as_operator(s3_server: S3Server, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of team-a names no Secret; the operator's own identity may write everything."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    stores.change(credentials_secret="")


@pytest.mark.usefixtures("as_operator")
async def test_the_operators_identity_needs_a_grant_to_write(stores: Stores, proxy: Proxy, key: str) -> None:
    """That of reading is not enough, and one of another folder neither."""
    for grants in ((), ("team-b=backup",), ("team-a=backup/other",), ("team-a=other",)):
        async with stores.writer(identity=("team-a=backup",), identity_to_write=grants) as writer:
            error = await refusal(writer, key)
            assert error.reason is Reason.WRITE_NOT_ALLOWED
            assert "CLIENTCERT_IDENTITY_WRITE_BUCKETS" in error.message
    assert not proxy.paths


@pytest.mark.usefixtures("as_operator")
async def test_the_operators_identity_may_write_where_it_may_read(
    stores: Stores, s3_client: S3Client, proxy: Proxy, key: str
) -> None:
    """A grant to write does not replace the one to read."""
    folder = key.partition("/")[0]
    async with stores.writer(identity_to_write=(f"team-a=backup/{folder}",)) as writer:
        assert (await refusal(writer, key)).reason is Reason.IDENTITY_NOT_ALLOWED
    async with stores.writer(identity=("team-a=backup",), identity_to_write=(f"team-a=backup/{folder}",)) as writer:
        assert await write(writer, key) == ""
    assert s3_client.get_object("backup", key) == NEW.chain_pem


def test_an_invalid_grant_names_its_variable(stores: Stores) -> None:
    with pytest.raises(SettingsError, match="CLIENTCERT_IDENTITY_WRITE_BUCKETS: 'backup' is not"):
        S3Writer(None, ("backup",))  # type: ignore[arg-type]
