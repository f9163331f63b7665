"""The namespaces, buckets and servers that the operator's own identity is used for."""

import traceback
from pathlib import Path

import pytest

from clientcert.errors import Reason, SettingsError
from clientcert.lifecycle.spec import ObjectKey
from clientcert.sources.s3.access import IdentityGrant
from tests.adapters.s3_parts import Proxy, Stores, failure, read
from tools.control_plane import S3Server


@pytest.fixture
def as_operator(s3_server: S3Server, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of team-a names no Secret; the operator's own identity may read everything."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    stores.change(credentials_secret="")


@pytest.mark.usefixtures("as_operator")
async def test_the_operators_identity_needs_a_grant(stores: Stores) -> None:
    """Without a grant in the settings no tenant may use it; the message names both solutions."""
    async with stores.reader() as reader:
        for call in (read(reader, "nhs.pem"), reader.list("team-a", "store", set())):
            error = await failure(call)
            assert (error.reason, error.retryable) == (Reason.IDENTITY_NOT_ALLOWED, False)
            assert "spec.s3.credentialsSecretRef" in error.message
            assert "CLIENTCERT_IDENTITY_BUCKETS" in error.message


@pytest.mark.usefixtures("as_operator")
async def test_the_operators_identity_for_a_whole_bucket(stores: Stores) -> None:
    """A grant of a bucket is for one namespace, and no other."""
    async with stores.reader(identity=("team-a=backup",)) as reader:
        assert (await read(reader, "nhs.pem")).body == b"nhs.pem"
        assert (await reader.list("team-a", "store", {"nhs.pem"})).objects >= 3
        stores.buckets["team-b", "store"] = stores.buckets["team-a", "store"]
        error = await failure(read(reader, "nhs.pem", namespace="team-b"))
        assert error.reason is Reason.IDENTITY_NOT_ALLOWED


@pytest.mark.usefixtures("as_operator")
async def test_the_operators_identity_for_a_folder(stores: Stores) -> None:
    """With a prefix in the settings, a LIST must stay below it, and so must each key that is read."""
    async with stores.reader(identity=("team-a=backup/team-a",)) as reader:
        assert (await read(reader, "team-a/nhs.pem")).body == b"team-a/nhs.pem"
        for key in ("nhs.pem", "team-another/nhs.pem", "team-a", "/team-a/nhs.pem"):
            assert (await failure(read(reader, key))).reason is Reason.IDENTITY_NOT_ALLOWED
        for prefix in ("", "team-", "team-a", "team-another/"):
            stores.change(prefix=prefix)
            error = await failure(reader.list("team-a", "store", set()))
            assert error.reason is Reason.IDENTITY_NOT_ALLOWED
        stores.change(prefix="team-a/")
        assert (await reader.list("team-a", "store", set())).objects == 1


@pytest.mark.parametrize(
    "path",
    [
        "team-a/../team-another/nhs.pem",
        "team-a/..",
        "team-a/./nhs.pem",
        "team-a/x/../../nhs.pem",
        "team-a\\..\\nhs.pem",
        "team-a/..\\nhs.pem",
        "team-a//../../nhs.pem",
        "team-А/nhs.pem",  # noqa: RUF001 - another A
    ],
)
def test_a_path_that_leaves_a_folder(path: str) -> None:
    """The identity is not used for a key with `..`: S3 does not resolve it, but a server on a file system may."""
    assert not IdentityGrant.parse("team-a=backup/team-a/").covers(ObjectKey("team-a", "store"), "backup", path)


@pytest.mark.parametrize(
    ("entry", "grant"),
    [
        ("team-a=backup", IdentityGrant("team-a", "backup", "")),
        ("team-a=backup/", IdentityGrant("team-a", "backup", "")),
        (" team-a=backup/clients ", IdentityGrant("team-a", "backup", "clients/")),
        ("team-a=backup/clients/nhs/", IdentityGrant("team-a", "backup", "clients/nhs/")),
    ],
)
def test_an_entry_of_the_settings(entry: str, grant: IdentityGrant) -> None:
    """A prefix is a folder, with or without a slash at the end."""
    assert IdentityGrant.parse(entry) == grant


@pytest.mark.parametrize(
    "entry", ["", "backup", "=backup", "team-a=", "team-a=/x", "team-a=..", "team-a=back up", "team-a=backup/../x"]
)
def test_an_entry_that_grants_nothing(entry: str) -> None:
    """An invalid entry is an error at the start, which names the entry."""
    with pytest.raises(SettingsError, match="CLIENTCERT_IDENTITY_BUCKETS"):
        IdentityGrant.parse(entry)


@pytest.mark.usefixtures("as_operator")
async def test_the_operators_identity_is_sent_to_listed_hosts_only(stores: Stores) -> None:
    """A tenant cannot have the identity sent to its own server, even to one with a public address."""
    stores.change(endpoint="https://s3.innocent.example")
    async with stores.reader(identity=("team-a=backup",)) as reader:
        error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.IDENTITY_NOT_ALLOWED
    assert "CLIENTCERT_ALLOWED_HOSTS" in error.message


async def test_an_operator_without_identity(stores: Stores, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A grant without an identity of the pod gives an error that says so."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    stores.change(credentials_secret="")
    async with stores.reader(identity=("team-a=backup",)) as reader:
        error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.CREDENTIALS_INVALID
    assert "the operator's own identity is not available" in error.message


@pytest.mark.usefixtures("as_operator")
async def test_the_operators_identity_uses_the_endpoint_of_the_spec(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the identity is taken from the environment: its endpoints, retries and proxies are ignored."""
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    async with stores.reader(identity=("team-a=backup",)) as reader:
        assert (await read(reader, "nhs.pem")).body == b"nhs.pem"


async def test_an_unavailable_identity_service(stores: Stores, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If the service for the identity cannot be reached, the error is retryable; if it refuses the role, it is not."""
    (tmp_path / "token").write_text("a token")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/clientcert")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    stores.change(credentials_secret="")
    async with stores.reader(identity=("team-a=backup",)) as reader:
        error = await failure(read(reader, "nhs.pem"))
        assert (error.reason, error.retryable) == (Reason.SOURCE_UNAVAILABLE, True)
        assert "the service that provides the operator's own identity cannot be reached" in error.message
    async with Proxy().running() as sts:
        sts.refuses(403, "AccessDenied", message="canary")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint)
        async with stores.reader(identity=("team-a=backup",)) as reader:
            error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.CREDENTIALS_INVALID
    assert "canary" not in "".join(traceback.format_exception(error))
