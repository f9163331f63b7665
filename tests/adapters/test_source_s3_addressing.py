"""The place of the bucket in a URL; each such request is signed and checked correctly."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import Bucket
from clientcert.network.egress import EgressPolicy
from clientcert.sources.s3 import S3Reader
from clientcert.sources.s3.address import Address
from clientcert.sources.secret import SecretReader
from tests.adapters.s3_parts import Stores, credentials, failure, read
from tests.adapters.signed_s3_server import ACCESS_KEY, REGION, SECRET_KEY, Call, SignedS3Server
from tests.deploy.formats import BUCKET, ENDPOINT, FORMATS
from tests.unit.network.test_egress import Names
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client

KEYS = ["nhs.pem", "a b+c/ü=&?#.pem", "a/../b//c", "/a", "~x*'()!"]
OLD_FORM = ["My_Bucket", "UPPER", "under_score", "Ab.c-d", "x" * 255, "my.bucket", "trailing-", "0_0"]
ADDRESSINGS = ["Auto", "Path"]
REQUIRES_A_HOST = [
    (403, "SecondLevelDomainForbidden", ""),
    (403, "PathStyleDomainForbidden", ""),
    (400, "VirtualHostDomainRequired", ""),
    (400, "PathStyleRequestNotAllowed", ""),
    (405, "InvalidPathAccess", ""),
    (301, "PermanentRedirect", "backup.s3.example"),
    (307, "TemporaryRedirect", "Backup.S3.example:80"),
    (400, "InvalidRequest", "backup.s3.example"),
]


@pytest.fixture
async def server() -> AsyncIterator[SignedS3Server]:
    async with SignedS3Server() as running:
        yield running


def stores_at(server: SignedS3Server, host: str = "s3.example", path: str = "", **changes: str) -> Stores:
    endpoint = f"http://{host}:{server.port}{path}"
    bucket = replace(
        Bucket("backup", region=REGION, endpoint=endpoint, credentials_secret="aws"),
        **changes,  # type: ignore[arg-type]
    )
    stores = Stores({("team-a", "store"): bucket})
    stores.secrets["team-a", "aws"] = credentials(ACCESS_KEY, SECRET_KEY)
    return stores


def reader_of(stores: Stores, *allowed: str, names: Names | None = None, identity: tuple[str, ...] = ()) -> S3Reader:
    egress = EgressPolicy(allowed, names or Names(["127.0.0.1"]))
    return S3Reader(stores.bucket_of, SecretReader(stores.get_secret), egress, identity)


async def get_and_list(reader: S3Reader, key: str = "nhs.pem") -> None:
    await read(reader, key)
    listing = await reader.list("team-a", "store", {"nhs.pem"})
    assert listing.etags == {"nhs.pem": "1"}


@pytest.mark.parametrize("path", ["", "/", "/s3", "/storage/v1/s3", "/a-b_c~d.e/"])
@pytest.mark.parametrize("addressing", [*ADDRESSINGS, "Virtual"])
async def test_requests_below_a_path_are_signed(server: SignedS3Server, path: str, addressing: str) -> None:
    """The path of the endpoint comes first, then the bucket, unless it is in the host name."""
    virtual = addressing == "Virtual"
    host, begin = ("backup.s3.example", path.rstrip("/")) if virtual else ("s3.example", f"{path.rstrip('/')}/backup")
    reader = reader_of(stores_at(server, path=path, addressing=addressing), host)
    for key in KEYS:
        await get_and_list(reader, key)
        get, listed = server.calls[-2:]
        assert (get.host, listed.host) == (host, host)
        assert get.path.startswith(f"{begin}/")
        assert listed.path.rstrip("/") == begin
    await reader.close()


@pytest.mark.parametrize("name", OLD_FORM)
@pytest.mark.parametrize("addressing", ADDRESSINGS)
async def test_buckets_of_the_old_form_are_in_the_path(server: SignedS3Server, name: str, addressing: str) -> None:
    """Upper case, underscores and long names cannot be in a host name; one with dots has no valid certificate."""
    reader = reader_of(stores_at(server, name=name, addressing=addressing), "s3.example")
    await get_and_list(reader)
    assert server.calls[0] == Call("s3.example", f"/{name}/nhs.pem", "")
    await reader.close()


@pytest.mark.parametrize("name", OLD_FORM)
async def test_buckets_of_the_old_form_are_never_in_the_host_name(server: SignedS3Server, name: str) -> None:
    """Neither by the spec, nor because a server wants it."""
    stores = stores_at(server, name=name, addressing="Virtual")
    reader = reader_of(stores, "s3.example")
    error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.SPEC_INVALID
    assert "spec.s3.addressing is Virtual" in error.message
    stores.change(addressing="Auto")
    server.refuse_path_style = web.Response(status=403, text="<Error><Code>SecondLevelDomainForbidden</Code></Error>")
    error = await failure(read(reader, "nhs.pem"))
    assert (error.reason, len(server.calls)) == (Reason.SPEC_INVALID, 1)
    assert "requires the bucket in the host name: name one that can be there" in error.message
    await reader.close()


def test_buckets_and_endpoints_as_the_api_server_decides() -> None:
    """The same values as in the test of the schema: what it accepts can be called, and nothing else."""
    policy = EgressPolicy({"10.0.0.7", "minio", "[fd00::1]"})
    for name in FORMATS[BUCKET].accepted:
        assert Address.of(Bucket(name, region=REGION), policy).bucket == name
    for endpoint in FORMATS[ENDPOINT].accepted:
        assert Address.of(Bucket("backup", endpoint=endpoint), policy).endpoint == endpoint.rstrip("/")
    buckets = [Bucket(name, region=REGION) for name in FORMATS[BUCKET].refused]
    endpoints = [Bucket("backup", endpoint=endpoint) for endpoint in FORMATS[ENDPOINT].refused if endpoint]
    for bucket in (*buckets, *endpoints):
        with pytest.raises(SourceError):
            Address.of(bucket, policy)


@pytest.mark.parametrize(
    "name", ["..", ".", "a..b", "-a", "_a", "a/b", "a b", "a?b", "a%2fb", "ab", "x" * 256, "1.2.3.4"]
)
async def test_what_is_no_bucket(server: SignedS3Server, name: str) -> None:
    """Refused before any request: it could lead to another path."""
    reader = reader_of(stores_at(server, name=name), "s3.example")
    assert (await failure(read(reader, "nhs.pem"))).reason is Reason.SPEC_INVALID
    assert server.calls == []
    await reader.close()


@pytest.mark.parametrize(("status", "code", "endpoint"), REQUIRES_A_HOST)
async def test_a_server_that_requires_the_bucket_in_the_host_name(
    server: SignedS3Server, status: int, code: str, endpoint: str
) -> None:
    """Auto goes there at once and stays there; Path says what to set."""
    body = f"<Error><Code>{code}</Code><Endpoint>{endpoint}</Endpoint></Error>"
    server.refuse_path_style = web.Response(status=status, text=body)
    stores = stores_at(server)
    reader = reader_of(stores, "s3.example", "backup.s3.example")
    await get_and_list(reader)
    assert [call.host for call in server.calls] == ["s3.example", "backup.s3.example", "backup.s3.example"]
    stores.change(addressing="Path")
    error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.SPEC_INVALID
    assert error.message == (
        "Bucket backup: the S3 server requires the bucket in the host name: set spec.s3.addressing of CertificateStore"
        " store to Auto or Virtual."
    )
    await reader.close()


async def test_another_spec_begins_with_the_path_again(server: SignedS3Server) -> None:
    """The knowledge of a server is about that server alone."""
    server.refuse_path_style = web.Response(status=403, text="<Error><Code>SecondLevelDomainForbidden</Code></Error>")
    stores = stores_at(server)
    reader = reader_of(stores, "s3.example", "backup.s3.example", "other.example")
    await get_and_list(reader)
    server.refuse_path_style = None
    stores.change(endpoint=f"http://other.example:{server.port}")
    await read(reader, "nhs.pem")
    assert server.calls[-1] == Call("other.example", "/backup/nhs.pem", "")
    await reader.close()


@pytest.mark.parametrize(
    "endpoint", ["elsewhere.example", "evil.example/backup.s3.example", "s3.example", "x" * 300, ""]
)
async def test_a_redirect_to_another_host_is_not_followed(server: SignedS3Server, endpoint: str) -> None:
    """Only the bucket's own name at the same server counts; the operator calls no host that an answer names."""
    body = f"<Error><Code>PermanentRedirect</Code><Endpoint>{endpoint}</Endpoint></Error>"
    server.refuse_path_style = web.Response(status=301, text=body)
    names = Names(["127.0.0.1"])
    reader = reader_of(stores_at(server), "s3.example", "backup.s3.example", names=names)
    assert (await failure(read(reader, "nhs.pem"))).reason is Reason.SPEC_INVALID
    assert names.asked == ["s3.example"]
    await reader.close()


@pytest.mark.parametrize("addressing", ["Virtual", "Auto"])
async def test_the_host_of_a_bucket_is_checked_like_any_other(server: SignedS3Server, addressing: str) -> None:
    """A listed server does not list the names below it, and a name is resolved once, to the address that is used."""
    server.refuse_path_style = web.Response(status=403, text="<Error><Code>SecondLevelDomainForbidden</Code></Error>")
    reader = reader_of(stores_at(server, addressing=addressing), "s3.example")
    error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.ENDPOINT_NOT_ALLOWED
    assert "backup.s3.example" in error.message
    assert all(call.host == "s3.example" for call in server.calls)
    await reader.close()
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    reader = reader_of(stores_at(server, addressing="Virtual"), "backup.s3.example", names=names)
    await read(reader, "nhs.pem")
    assert names.asked == ["backup.s3.example"]
    await reader.close()


async def test_the_host_of_a_bucket_with_an_internal_address() -> None:
    """A public server may have a name below it that leads inside."""
    bucket = Bucket("backup", endpoint="https://s3.innocent.example", credentials_secret="aws", addressing="Virtual")
    stores = Stores({("team-a", "store"): bucket})
    stores.secrets["team-a", "aws"] = credentials(ACCESS_KEY, SECRET_KEY)
    reader = reader_of(stores, names=Names(["169.254.169.254"]))
    error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.ENDPOINT_NOT_ALLOWED
    assert "backup.s3.innocent.example:443 has no public address" in error.message
    await reader.close()


@pytest.mark.parametrize("addressing", ["Virtual", "Auto"])
async def test_the_operators_identity_goes_to_listed_names_only(
    server: SignedS3Server, addressing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a bucket below a listed server is another name: whoever has it would get a signed request."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    server.refuse_path_style = web.Response(status=403, text="<Error><Code>SecondLevelDomainForbidden</Code></Error>")
    stores = stores_at(server, addressing=addressing, credentials_secret="")
    reader = reader_of(stores, "s3.example", identity=("team-a=backup",))
    error = await failure(read(reader, "nhs.pem"))
    assert error.reason in {Reason.IDENTITY_NOT_ALLOWED, Reason.ENDPOINT_NOT_ALLOWED}
    assert all(call.host == "s3.example" for call in server.calls)
    await reader.close()
    reader = reader_of(stores, "s3.example", "backup.s3.example", identity=("team-a=backup",))
    await read(reader, "nhs.pem")
    assert server.calls[-1].host == "backup.s3.example"
    await reader.close()


async def test_the_operators_identity_is_not_signed_for_an_unlisted_name() -> None:
    """Also if it has a public address: no name is even looked up."""
    bucket = Bucket("backup", region=REGION, endpoint="https://s3.example", addressing="Virtual")
    names = Names(["8.8.8.8"])
    reader = reader_of(Stores({("team-a", "store"): bucket}), "s3.example", names=names, identity=("team-a=backup",))
    assert (await failure(read(reader, "nhs.pem"))).reason is Reason.IDENTITY_NOT_ALLOWED
    assert names.asked == []
    await reader.close()


async def test_a_server_that_is_never_content(server: SignedS3Server) -> None:
    """It is asked once in each style; the message names what is left to correct."""
    server.refuse_path_style = web.Response(status=403, text="<Error><Code>SecondLevelDomainForbidden</Code></Error>")
    server.refuse_at.add("backup.s3.example")
    reader = reader_of(stores_at(server), "s3.example", "backup.s3.example")
    for expected in (["s3.example", "backup.s3.example"], ["backup.s3.example"]):
        server.calls.clear()
        error = await failure(read(reader, "nhs.pem"))
        assert error.message == (
            "Bucket backup: the S3 server requires the bucket in the host name: name one that can be there, or correct"
            " spec.s3.endpoint."
        )
        assert [call.host for call in server.calls] == expected
    await reader.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_an_address_has_no_names_below_it(server: SignedS3Server, host: str) -> None:
    """An endpoint by IP address serves buckets in the path only."""
    stores = stores_at(server, host, addressing="Virtual")
    reader = reader_of(stores, "127.0.0.1", "[::1]")
    error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.SPEC_INVALID
    assert "a host name in spec.s3.endpoint, and no IP address" in error.message
    await reader.close()


@pytest.fixture(scope="module")
def virtual_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """versitygw, which serves buckets at names below s3.example as well."""
    folder: Path = tmp_path_factory.mktemp("virtual")
    with S3Server.start(folder, arguments=("--virtual-domain", "s3.example")) as running:
        client = S3Client(running)
        client.create_bucket("backup")
        for key in ("nhs.pem", "a b/ü+.pem"):
            client.put_object("backup", key, key.encode())
        client.close()
        yield running


@pytest.mark.parametrize(("addressing", "host"), [("Virtual", "backup.s3.example"), ("Auto", "127.0.0.1")])
async def test_a_real_server_in_both_styles(virtual_server: S3Server, addressing: str, host: str) -> None:
    """It checks the signature over host and path."""
    port = virtual_server.endpoint.rpartition(":")[2]
    endpoint = f"http://{'s3.example' if addressing == 'Virtual' else host}:{port}"
    bucket = Bucket("backup", "", virtual_server.region, endpoint, "aws", addressing=addressing)
    stores = Stores({("team-a", "store"): bucket})
    stores.secrets["team-a", "aws"] = credentials(virtual_server.access_key, virtual_server.secret_key)
    names = Names(["127.0.0.1"])
    reader = reader_of(stores, host, names=names)
    for key in ("nhs.pem", "a b/ü+.pem"):
        assert (await read(reader, key)).body == key.encode()
    assert (await reader.list("team-a", "store", {"nhs.pem"})).objects == 2
    assert names.asked == ([host] if addressing == "Virtual" else [])
    await reader.close()
