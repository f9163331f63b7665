"""The credentials that a store is read with."""

import asyncio
import logging
import traceback
from pathlib import Path

import pytest
from aiohttp import web

from clientcert.errors import KubeError, Reason
from clientcert.network.egress import EgressPolicy
from clientcert.sources.s3 import S3Reader
from clientcert.sources.s3.access import Credentials
from clientcert.sources.secret import SecretReader
from tests.adapters.s3_parts import Proxy, Stores, credentials, failure, read
from tests.virtual_time import forward
from tools.control_plane import S3Server

ENVIRONMENT_OF_AWS = {
    "AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT",
    "AWS_SECRET_ACCESS_KEY": "environment",
    "AWS_SESSION_TOKEN": "environment",
    "AWS_PROFILE": "no-such-profile",
    "AWS_DEFAULT_REGION": "xx-nowhere-1",
    "AWS_REGION": "xx-nowhere-1",
    "AWS_CONFIG_FILE": "{directory}/config",
    "AWS_SHARED_CREDENTIALS_FILE": "{directory}/config",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_CA_BUNDLE": "/no/such/file",
    "REQUESTS_CA_BUNDLE": "/no/such/file",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_MAX_ATTEMPTS": "9",
    "AWS_RETRY_MODE": "adaptive",
    "AWS_DEFAULTS_MODE": "nonsense",
    "AWS_DATA_PATH": "{directory}",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "nonsense",
    "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "nonsense",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "all_proxy": "http://127.0.0.1:9",
}


async def test_a_missing_secret(reader: S3Reader, stores: Stores) -> None:
    """A missing Secret gives CredentialsNotFound, and the message names the Secret."""
    del stores.secrets["team-a", "aws"]
    error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.CREDENTIALS_NOT_FOUND
    assert "Secret team-a/aws does not exist" in error.message


@pytest.mark.parametrize("key", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
async def test_a_secret_without_credentials(reader: S3Reader, stores: Stores, key: str) -> None:
    """The message names the missing key and lists the existing keys."""
    del stores.secrets["team-a", "aws"][key]
    error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.CREDENTIALS_NOT_FOUND
    assert f"has no key {key}" in error.message


@pytest.mark.parametrize("value", ["two words", "line\nHost: evil.example", "schlüssel", "\x00"])
async def test_invalid_credentials_are_not_sent(reader: S3Reader, stores: Stores, proxy: Proxy, value: str) -> None:
    """A value that cannot be a credential is not sent, because it would become part of a header."""
    stores.secrets["team-a", "aws"]["AWS_ACCESS_KEY_ID"] = value
    error = await failure(read(reader, "nhs.pem"))
    assert error.reason is Reason.CREDENTIALS_INVALID
    assert "key AWS_ACCESS_KEY_ID is not a credential" in error.message
    assert proxy.paths == []


async def test_blanks_around_credentials(reader: S3Reader, stores: Stores) -> None:
    """A line break that `echo` or an editor adds is not part of a credential."""
    secret = stores.secrets["team-a", "aws"]
    stores.secrets["team-a", "aws"] = {key: f" {value}\r\n" for key, value in secret.items()}
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"


async def test_wrong_credentials(reader: S3Reader, stores: Stores, s3_server: S3Server) -> None:
    """An unknown key and a wrong secret both give CredentialsInvalid."""
    for pair in (("AKIANOBODY", s3_server.secret_key), (s3_server.access_key, "wrong")):
        stores.secrets["team-a", "aws"] = credentials(*pair)
        await reader.forget("team-a", "store")
        error = await failure(read(reader, "nhs.pem"))
        assert error.reason is Reason.CREDENTIALS_INVALID
        assert "Secret team-a/aws is not accepted" in error.message


async def test_two_tenants_with_one_bucket(reader: S3Reader, stores: Stores) -> None:
    """Stores that differ only in their credentials share nothing, in any order of reads."""
    stores.buckets["team-b", "store"] = stores.buckets["team-a", "store"]
    stores.secrets["team-b", "aws"] = credentials("AKIANOBODY", "nothing")
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"
    assert (await failure(read(reader, "nhs.pem", namespace="team-b"))).reason is Reason.CREDENTIALS_INVALID
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"


async def test_credentials_are_read_once(reader: S3Reader, stores: Stores) -> None:
    """While the credentials are valid, the Secret is not read again."""
    for _ in range(5):
        await read(reader, "nhs.pem")
    await reader.list("team-a", "store", set())
    assert stores.secret_reads == 1


async def test_new_credentials_are_used_at_once(
    reader: S3Reader, stores: Stores, s3_server: S3Server, proxy: Proxy
) -> None:
    """After a refusal the Secret is read again; if the credentials have changed, the call is repeated with them."""
    stores.secrets["team-a", "aws"] = credentials("AKIAOLD", "old")

    async def rotate(_request: web.Request) -> None:
        stores.secrets["team-a", "aws"] = credentials(s3_server.access_key, s3_server.secret_key)

    proxy.behaviour = rotate  # type: ignore[assignment]
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"
    assert len(proxy.paths) == 2


async def test_many_refusals_cause_few_reads_of_the_secret(reader: S3Reader, stores: Stores, proxy: Proxy) -> None:
    """A hundred denied objects of a bucket cause two reads of the Secret, not a hundred."""
    proxy.refuses(403, "AccessDenied")
    errors = await asyncio.gather(*(read(reader, f"{n}.pem") for n in range(100)), return_exceptions=True)
    assert {getattr(error, "reason", None) for error in errors} == {Reason.ACCESS_DENIED}
    assert (stores.secret_reads, len(proxy.paths)) == (2, 100)


async def test_a_deleted_secret_is_reported_after_the_next_refusal(
    reader: S3Reader, stores: Stores, proxy: Proxy
) -> None:
    """If credentials are refused and their Secret was deleted, the error is about the Secret."""
    await read(reader, "nhs.pem")
    del stores.secrets["team-a", "aws"]
    proxy.refuses(403, "InvalidAccessKeyId")
    assert "Secret team-a/aws does not exist" in (await failure(read(reader, "nhs.pem"))).message


async def test_an_outage_of_the_api_server_changes_no_reason(
    stores: Stores, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the Secret cannot be read again at the moment, the error is the refusal."""
    troubled = False

    async def get_secret(namespace: str, name: str) -> object:
        if troubled:
            raise KubeError(Reason.API_UNAVAILABLE, "answered 503", retryable=True)
        return await stores.get_secret(namespace, name)

    reader = S3Reader(stores.bucket_of, SecretReader(get_secret), EgressPolicy({"127.0.0.1"}))  # type: ignore[arg-type]
    await read(reader, "nhs.pem")
    troubled = True
    proxy.refuses(403, "AccessDenied")
    assert (await failure(read(reader, "nhs.pem"))).reason is Reason.ACCESS_DENIED
    await reader.close()


async def test_a_session_token_goes_with_every_request(reader: S3Reader, stores: Stores, proxy: Proxy) -> None:
    """Temporary credentials work: their token is sent and signed."""
    stores.secrets["team-a", "aws"]["AWS_SESSION_TOKEN"] = "token-of-an-hour"
    tokens = []

    async def note(request: web.Request) -> web.Response:
        tokens.append((request.headers["X-Amz-Security-Token"], request.headers["Authorization"]))
        return web.Response(text="x")

    proxy.behaviour = note
    await read(reader, "nhs.pem")
    [(token, authorization)] = tokens
    assert token == "token-of-an-hour"
    assert "x-amz-security-token" in authorization


async def test_a_changed_spec_makes_a_new_connection(reader: S3Reader, stores: Stores, s3_server: S3Server) -> None:
    """A changed endpoint or Secret is used from the next call on; a changed prefix keeps the connection."""
    await read(reader, "nhs.pem")
    stores.change(prefix="team-a/")
    await read(reader, "nhs.pem")
    assert stores.secret_reads == 1
    stores.change(endpoint=s3_server.endpoint)
    await read(reader, "nhs.pem")
    assert stores.secret_reads == 2


async def test_reads_in_progress_are_not_interrupted(reader: S3Reader, stores: Stores, proxy: Proxy) -> None:
    """A forgotten or replaced connection is closed after the calls that use it."""
    going, go = asyncio.Event(), asyncio.Event()

    async def hold(_request: web.Request) -> None:
        going.set()
        await go.wait()

    proxy.behaviour = hold  # type: ignore[assignment]
    reading = asyncio.create_task(read(reader, "nhs.pem"))
    await going.wait()
    await reader.forget("team-a", "store")
    stores.change(region="eu-west-2")
    await reader.close()
    go.set()
    assert (await reading).body == b"nhs.pem"


async def test_a_store_that_is_forgotten_while_it_connects(reader: S3Reader, stores: Stores) -> None:
    """A call that waits for a connection still gets one; the next call makes another one."""
    reading = [asyncio.create_task(read(reader, "nhs.pem")) for _ in range(3)]
    await asyncio.sleep(0)
    await reader.forget("team-a", "store")
    assert [(await each).body for each in reading] == [b"nhs.pem"] * 3
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"


async def test_a_store_ignores_the_environment(
    reader: S3Reader, proxy: Proxy, stores: Stores, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A store with its own credentials ignores variables, profiles, files and proxies of the operator."""
    (tmp_path / "config").write_text("[default]\naws_access_key_id = FILE\nendpoint_url = http://127.0.0.1:9\n[broken")
    for variable, value in ENVIRONMENT_OF_AWS.items():
        monkeypatch.setenv(variable, value.format(directory=tmp_path))
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"
    proxy.refuses(503, "SlowDown")
    await failure(read(reader, "nhs.pem"))
    assert len(proxy.paths) == 2, "no retry of botocore's own"


async def test_no_credential_is_shown(
    reader: S3Reader, stores: Stores, proxy: Proxy, s3_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    """No log line, error or repr shows the secret key or the token, even at the level DEBUG."""
    caplog.set_level(logging.DEBUG)
    stores.secrets["team-a", "aws"]["AWS_SESSION_TOKEN"] = "canary-token"
    shown = ""
    for behaviour in (None, lambda: proxy.refuses(403, "SignatureDoesNotMatch"), lambda: proxy.answers(302)):
        if behaviour:
            behaviour()
        for call in (read(reader, "nhs.pem"), reader.list("team-a", "store", set())):
            try:
                shown += repr(await call)
            except Exception as error:  # noqa: BLE001 - whatever it is
                shown += "".join(traceback.format_exception(error))
    shown += repr(await Credentials.read(SecretReader(stores.get_secret), "team-a", "aws")) + caplog.text
    for canary in ("canary-token", s3_server.secret_key):
        assert canary not in shown


async def test_a_failure_is_shared_by_all_waiting_reads(reader: S3Reader, stores: Stores) -> None:
    """A hundred certificates of a store with a missing Secret cause one read of it; a new spec is tried at once."""
    secret = stores.secrets.pop(("team-a", "aws"))
    errors = await asyncio.gather(*(failure(read(reader, "nhs.pem")) for _ in range(100)))
    assert {error.reason for error in errors} == {Reason.CREDENTIALS_NOT_FOUND}
    assert stores.secret_reads == 1
    stores.secrets["team-a", "other"] = secret
    stores.change(credentials_secret="other")
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"


async def test_a_failure_is_cached_briefly(reader: S3Reader, stores: Stores) -> None:
    """A new Secret is found within seconds, or at once if the store is forgotten."""
    secret = stores.secrets.pop(("team-a", "aws"))
    await failure(read(reader, "nhs.pem"))
    stores.secrets["team-a", "aws"] = secret
    await failure(read(reader, "nhs.pem"))
    forward(3.1)
    assert (await read(reader, "nhs.pem")).body == b"nhs.pem"
