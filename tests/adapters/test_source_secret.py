"""A certificate, a password or a token in a Secret."""

import base64
import hashlib
import logging
import os
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from clientcert.errors import KubeError, Reason, SourceError
from clientcert.lifecycle.spec import S3Source, SecretKeyRef, SecretSource
from clientcert.sources.interface import Content, Source
from clientcert.sources.secret import SecretReader

MIB = 1024 * 1024
CANARY = b"-----BEGIN PRIVATE KEY-----canary-7f3a"


class Secrets:
    """A fake API server with Secrets only."""

    def __init__(self, *, error: KubeError | None = None, **values: bytes) -> None:
        self.error = error
        self.data: dict[str, str] | None = {key: base64.b64encode(value).decode() for key, value in values.items()}
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, namespace: str, name: str) -> Mapping[str, Any]:
        self.asked.append((namespace, name))
        if self.error is not None:
            raise self.error
        return {"metadata": {"name": name, "resourceVersion": "41"}, "type": "Opaque", "data": self.data}


async def failure(secrets: Secrets, key: str = "crt") -> SourceError:
    with pytest.raises(SourceError) as caught:
        await SecretReader(secrets).read("team-a", SecretSource("nhs", key))
    return caught.value


@pytest.mark.parametrize("value", [b"-----BEGIN", b"", bytes(range(256)), os.urandom(MIB)])
async def test_any_bytes_are_read_unchanged(value: bytes) -> None:
    """A value of up to 1 MiB is returned unchanged, with its hash and the Secret's resourceVersion."""
    source: Source = SecretReader(Secrets(crt=value))
    content = await source.read("team-a", SecretSource("nhs", "crt"))
    assert content == Content(value, f"sha256:{hashlib.sha256(value).hexdigest()}", "41")


async def test_the_secret_of_the_own_namespace_is_read() -> None:
    """A reference is resolved in the namespace of the object that has it."""
    secrets = Secrets(crt=b"x")
    await SecretReader(secrets).read("team-a", SecretSource("nhs", "crt"))
    assert secrets.asked == [("team-a", "nhs")]


async def test_a_secret_that_does_not_exist() -> None:
    """A missing Secret gives SourceNotFound, is named in the message, and is not retryable."""
    error = await failure(Secrets(error=KubeError(Reason.NOT_FOUND, "from the server", status=404)))
    assert (error.reason, error.retryable) == (Reason.SOURCE_NOT_FOUND, False)
    assert error.message == "Secret team-a/nhs does not exist: create it, or correct the reference."


async def test_a_key_that_is_missing() -> None:
    """A missing key gives KeyMissing, and the message lists the existing keys."""
    error = await failure(Secrets(ca=b"1", tls=b"2"))
    assert error.reason is Reason.KEY_MISSING
    assert error.message == "Secret team-a/nhs has no key crt: name one that it has (ca, tls) or add it."


async def test_of_many_keys_ten_are_listed() -> None:
    """The message lists at most ten keys of a Secret with hundreds."""
    error = await failure(Secrets(**{f"k{number:03}": b"1" for number in range(300)}))
    assert "k009, …)" in error.message
    assert "k010" not in error.message


async def test_an_empty_secret() -> None:
    """The message about a Secret without data says that it is empty."""
    secrets = Secrets()
    secrets.data = None
    assert "holds nothing" in (await failure(secrets)).message


@pytest.mark.parametrize("excess", [1, 2, 3, 4, MIB])
async def test_a_value_that_is_too_large(excess: int) -> None:
    """One byte more than 1 MiB gives TooLarge."""
    error = await failure(Secrets(crt=b"x" * (MIB + excess)))
    assert (error.reason, error.retryable) == (Reason.TOO_LARGE, False)


async def test_a_secret_that_the_operator_may_not_read() -> None:
    """Missing permissions give AccessDenied, and the message names them."""
    error = await failure(Secrets(error=KubeError(Reason.FORBIDDEN, "no", status=403)))
    assert error.reason is Reason.ACCESS_DENIED
    assert "the verb get on secrets" in error.message


@pytest.mark.parametrize(
    "trouble",
    [
        KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True, retry_after=7.0),
        KubeError(Reason.FORBIDDEN, "its token is not accepted", status=401, retry_after=7.0),
    ],
)
async def test_a_failing_api_server(trouble: KubeError) -> None:
    """A transient failure gives SourceUnavailable, is retryable, and keeps the requested Retry-After."""
    error = await failure(Secrets(error=trouble))
    assert (error.reason, error.retryable, error.retry_after) == (Reason.SOURCE_UNAVAILABLE, True, 7.0)


async def test_another_kind_of_reference_is_a_programming_error() -> None:
    """A reference to S3 is a programming error."""
    with pytest.raises(TypeError):
        await SecretReader(Secrets()).read("team-a", S3Source("store", "key"))


@pytest.mark.parametrize(
    ("value", "password"),
    [
        (" päss word \r\n".encode(), " päss word \r\n"),
        ("\ufeffpäss".encode(), "\ufeffpäss"),
        ("päss\n".encode("utf-16"), "päss\n"),
        ("päss".encode("cp1252"), "päss"),
    ],
    ids=["UTF-8", "with a byte order mark", "UTF-16", "Windows-1252"],
)
async def test_a_password_is_read_unchanged_in_any_encoding(value: bytes, password: str) -> None:
    """White space may belong to a password, so it is left to whoever opens the container; a token has none."""
    reader, ref = SecretReader(Secrets(password=value)), SecretKeyRef("nhs", "password")
    read = await reader.read_password("a", ref)
    assert (read.text, password in repr(read)) == (password, False)


async def test_a_token_is_read_without_its_line_end() -> None:
    """The line break that `echo` adds is not part of a token; blanks are."""
    reader = SecretReader(Secrets(token=b" a token \r\n"))
    assert (
        await reader.read_secret_text("a", SecretKeyRef("slack", "token"), missing=Reason.TOKEN_NOT_FOUND)
        == " a token "
    )


@pytest.mark.parametrize(
    "secrets", [Secrets(error=KubeError(Reason.NOT_FOUND, "no", status=404)), Secrets(password=b"")]
)
async def test_a_password_that_is_not_there_has_a_reason(secrets: Secrets) -> None:
    """No Secret, no key or no value: PasswordNotFound."""
    with pytest.raises(SourceError) as caught:
        await SecretReader(secrets).read_password("a", SecretKeyRef("nhs", "password"))
    assert caught.value.reason is Reason.PASSWORD_NOT_FOUND


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        (Secrets(error=KubeError(Reason.NOT_FOUND, "no", status=404)), "does not exist"),
        (Secrets(other=b"1"), "has no key token"),
        (Secrets(token=b""), "is empty"),
        (Secrets(token=b"\n"), "is empty"),
        (Secrets(token=b"\xff\xfe"), "not UTF-8"),
    ],
)
@pytest.mark.parametrize("reason", [Reason.TOKEN_NOT_FOUND, Reason.CREDENTIALS_INVALID])
async def test_a_missing_value_has_the_callers_reason(secrets: Secrets, words: str, reason: Reason) -> None:
    """The caller chooses the reason for a missing value, which may be a token or credentials."""
    with pytest.raises(SourceError, match=words) as caught:
        await SecretReader(secrets).read_secret_text("a", SecretKeyRef("slack", "token"), missing=reason)
    assert caught.value.reason is reason


async def test_several_keys_are_read_from_one_version() -> None:
    """Several keys come from one version of a Secret; optional keys may be absent or empty, required ones may not."""
    secrets = Secrets(id=b"1", key=b"2", session=b"")
    reader = SecretReader(secrets)
    values = await reader.read_secret_values(
        "a", "s3", required=("id", "key"), optional=("session", "other"), missing=Reason.CREDENTIALS_INVALID
    )
    assert values == {"id": b"1", "key": b"2"}
    assert len(secrets.asked) == 1
    with pytest.raises(SourceError, match="key session is empty") as caught:
        await reader.read_secret_values("a", "s3", required=("session",), missing=Reason.CREDENTIALS_INVALID)
    assert caught.value.reason is Reason.CREDENTIALS_INVALID


async def test_no_value_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """No repr, error, traceback or log line shows a private key, after any failure."""
    caplog.set_level(logging.DEBUG)
    secrets = Secrets(crt=CANARY, big=CANARY * 40_000, binary=CANARY + b"\xff")
    reader, shown = SecretReader(secrets), ""
    shown += repr(await reader.read("a", SecretSource("nhs", "crt"))) + repr(reader)
    for key in ("none", "big"):
        shown += "".join(traceback.format_exception(await failure(secrets, key)))
    with pytest.raises(SourceError) as caught:
        await reader.read_secret_text("a", SecretKeyRef("nhs", "binary"), missing=Reason.TOKEN_NOT_FOUND)
    shown += "".join(traceback.format_exception(caught.value)) + caplog.text
    for form in (CANARY, base64.b64encode(CANARY), CANARY.hex().encode()):
        assert form.decode()[:24] not in shown
