"""Errors that a server answers with."""

import logging
import traceback
from collections.abc import Awaitable

import pytest
from aiohttp import web

from clientcert.errors import Reason
from clientcert.sources.s3 import S3Reader
from tests.adapters.s3_parts import Proxy, failure, read

CANARY = "canary-9d41"


@pytest.mark.parametrize(
    ("status", "code", "reason", "retryable", "words"),
    [
        (403, "AccessDenied", Reason.ACCESS_DENIED, False, "s3:GetObject on arn:aws:s3:::backup/*"),
        (403, "AccessDenied", Reason.ACCESS_DENIED, False, "give Secret team-a/aws"),
        (403, "AllAccessDisabled", Reason.ACCESS_DENIED, False, "owner of the bucket's account"),
        (403, "SomethingNew", Reason.ACCESS_DENIED, False, "refuses access with the code SomethingNew"),
        (403, "", Reason.ACCESS_DENIED, False, "may not be read"),
        (403, "InvalidAccessKeyId", Reason.CREDENTIALS_INVALID, False, "Secret team-a/aws is not accepted"),
        (403, "SignatureDoesNotMatch", Reason.CREDENTIALS_INVALID, False, "(SignatureDoesNotMatch)"),
        (400, "ExpiredToken", Reason.CREDENTIALS_INVALID, False, "has expired: renew it"),
        (400, "InvalidToken", Reason.CREDENTIALS_INVALID, False, "is not accepted"),
        (401, "Unauthorized", Reason.CREDENTIALS_INVALID, False, "is not accepted"),
        (403, "InvalidObjectState", Reason.SOURCE_UNAVAILABLE, False, "is archived: restore it"),
        (403, "RequestTimeTooSkewed", Reason.SOURCE_UNAVAILABLE, True, "clocks"),
        (404, "NoSuchKey", Reason.SOURCE_NOT_FOUND, False, "does not exist: upload it"),
        (404, "", Reason.SOURCE_NOT_FOUND, False, "does not exist: upload it"),
        (404, "NoSuchBucket", Reason.BUCKET_NOT_FOUND, False, "Bucket backup does not exist"),
        (301, "PermanentRedirect", Reason.SPEC_INVALID, False, "another region"),
        (400, "AuthorizationHeaderMalformed", Reason.SPEC_INVALID, False, "another region"),
        (307, "TemporaryRedirect", Reason.SPEC_INVALID, False, "redirect, which is not followed"),
        (400, "InvalidRequest", Reason.SOURCE_UNAVAILABLE, False, "refuses the request (InvalidRequest)"),
        (400, "RequestTimeout", Reason.SOURCE_UNAVAILABLE, True, "overloaded"),
        (429, "TooManyRequests", Reason.SOURCE_UNAVAILABLE, True, "overloaded"),
        (500, "InternalError", Reason.SOURCE_UNAVAILABLE, True, "overloaded"),
        (503, "SlowDown", Reason.SOURCE_UNAVAILABLE, True, "overloaded"),
        (503, "", Reason.SOURCE_UNAVAILABLE, True, "overloaded"),
        (206, "", Reason.SOURCE_UNAVAILABLE, False, "refuses"),
    ],
)
async def test_a_refused_get(
    reader: S3Reader, proxy: Proxy, status: int, code: str, reason: Reason, retryable: bool, words: str
) -> None:
    """Each refusal has a reason and advice; it is not retried within the call, and repeats no text of the server."""
    proxy.refuses(status, code, message=CANARY)
    error = await failure(read(reader, "nhs.pem"))
    assert (error.reason, error.retryable) == (reason, retryable)
    assert words in error.message
    assert CANARY not in "".join(traceback.format_exception(error))
    assert len(proxy.paths) == 1


@pytest.mark.parametrize(
    ("status", "code", "reason", "words"),
    [
        (403, "AccessDenied", Reason.ACCESS_DENIED, "s3:ListBucket on arn:aws:s3:::backup"),
        (404, "", Reason.BUCKET_NOT_FOUND, "Bucket backup does not exist"),
        (301, "PermanentRedirect", Reason.SPEC_INVALID, "another region"),
        (503, "SlowDown", Reason.SOURCE_UNAVAILABLE, "overloaded"),
    ],
)
async def test_a_refused_list(
    reader: S3Reader, proxy: Proxy, status: int, code: str, reason: Reason, words: str
) -> None:
    """The error of a refused LIST is about the bucket."""
    proxy.refuses(status, code)
    error = await failure(reader.list("team-a", "store", set()))
    assert error.reason is reason
    assert words in error.message
    assert len(proxy.paths) == 1


XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error>{}</Error>'
NOT_A_PERMISSION = [
    "UserSuspended",  # Ceph
    "QuotaExceeded",
    "AccountProblem",
    "InvalidPayer",  # AWS
    "NotDeviceOwnerError",
    "UserProjectAccessDenied",  # Google
    "UserProjectMissing",
    "OrgPolicyViolation.x",
    "InsufficientQuota",
    "XMinioAdminBucketQuotaExceeded",  # MinIO
    "XMinioBackendDown",
    "TransactionCapExceeded",  # Backblaze
    "AccountDisabled",  # Wasabi
    "UserDisable",  # Alibaba
    "RequestForbidden.IPNotAllowed",
    "InvalidDigest",
    "EntityTooLarge",
    "quota_exceeded",
    "Policy-Violation",
]
BODIES_WITHOUT_A_CODE = [
    "",
    "<html><head><title>403 Forbidden</title></head><body><center>nginx</center></body></html>",
    "<HTML><BODY><H1>ERROR: The request could not be satisfied</H1><code>Blocked</code></BODY></HTML>",
    '{"code": "access_denied", "message": "blocked"}',
    "<Error><Code></Code><Message>no</Message></Error>",
    "<Error><Code>two words</Code></Error>",
    "<Error><Code>" + "x" * 65 + "</Code></Error>",
    "Access denied | www.example used Cloudflare to restrict access",
    "\x00\xff\xfe",
]


def of(operation: str, reader: S3Reader) -> Awaitable[object]:
    return read(reader, "nhs.pem") if operation == "get" else reader.list("team-a", "store", set())


@pytest.mark.parametrize("operation", ["get", "list"])
async def test_a_code_that_is_no_permission_is_shown(reader: S3Reader, proxy: Proxy, operation: str) -> None:
    """No permission is blamed for it, and nothing but the code is repeated."""
    for code in NOT_A_PERMISSION:
        for fields in (f"<Code>{code}</Code><Message>{CANARY}</Message>", f"<Message/>\n<Code> {code}\n</Code>"):
            proxy.answers(403, XML.format(fields))
            error = await failure(of(operation, reader))
            assert error.reason is Reason.ACCESS_DENIED
            assert code in error.message
            for word in ("s3:GetObject", "s3:ListBucket", "may not be", CANARY):
                assert word not in error.message, (code, word)


@pytest.mark.parametrize("operation", ["get", "list"])
async def test_403_without_a_code(reader: S3Reader, proxy: Proxy, operation: str) -> None:
    """It may come from a proxy: the message says so, and blames no certain permission."""
    for body in BODIES_WITHOUT_A_CODE:
        proxy.answers(403, body)
        error = await failure(of(operation, reader))
        assert error.reason is Reason.ACCESS_DENIED
        assert "without an error code" in error.message
        assert "a proxy or firewall in front of it" in error.message
        assert "s3:" not in error.message


@pytest.mark.parametrize("code", ["AccessDenied", "Forbidden", "UnauthorizedAccess"])
async def test_a_missing_permission_is_named(reader: S3Reader, proxy: Proxy, code: str) -> None:
    """The permission of the request, for codes that mean one."""
    proxy.refuses(403, code)
    assert "s3:GetObject on arn:aws:s3:::backup/*" in (await failure(of("get", reader))).message
    assert "s3:ListBucket on arn:aws:s3:::backup" in (await failure(of("list", reader))).message


@pytest.mark.parametrize(
    ("region", "words"), [("eu-west-1", "to eu-west-1."), (CANARY, "store."), ("x" * 99, "store.")]
)
async def test_the_right_region_is_named(reader: S3Reader, proxy: Proxy, region: str, words: str) -> None:
    """The message names the region that the server returned, if it has the form of a region."""
    proxy.refuses(301, "PermanentRedirect", x_amz_bucket_region=region)
    assert (await failure(read(reader, "nhs.pem"))).message.endswith(words)


async def test_a_delete_marker(reader: S3Reader, proxy: Proxy) -> None:
    """In a bucket with versions, a deleted object has another message than one that never existed."""
    proxy.refuses(404, "NoSuchKey", x_amz_delete_marker="true")
    assert "delete marker" in (await failure(read(reader, "nhs.pem"))).message


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("99999999", 3600.0), ("soon", None), ("-1", None)])
async def test_retry_after_is_passed_on(reader: S3Reader, proxy: Proxy, said: str, seconds: float | None) -> None:
    """Retry-After is passed on, up to one hour."""
    proxy.refuses(503, "SlowDown", Retry_After=said)
    assert (await failure(read(reader, "nhs.pem"))).retry_after == seconds


@pytest.mark.parametrize("code", [f"{CANARY} <b>", "x" * 65, "a&amp;b", "a\nb", "<![CDATA[x]]>"])
async def test_a_code_without_the_form_of_one(reader: S3Reader, proxy: Proxy, code: str) -> None:
    """A text that does not have the form of an error code is in no message."""
    proxy.refuses(400, code)
    message = (await failure(read(reader, "nhs.pem"))).message
    assert message == "Key nhs.pem of bucket backup: the S3 server refuses the request."


async def test_an_endless_refusal(reader: S3Reader, proxy: Proxy) -> None:
    """Only the beginning of a refusal is read, enough for its error code."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=403)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    proxy.behaviour = answer
    assert (await failure(read(reader, "nhs.pem"))).reason is Reason.ACCESS_DENIED


async def test_after_a_fault_the_next_call_works(reader: S3Reader, proxy: Proxy) -> None:
    """No state of a fault is kept: after the server recovers, the next call succeeds."""
    for status in (503, 403, 301):
        proxy.refuses(status, "")
        await failure(read(reader, "nhs.pem"))
        proxy.behaviour = None
        assert (await read(reader, "nhs.pem")).body == b"nhs.pem"


async def test_no_text_of_a_server_is_in_the_log(
    reader: S3Reader, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """No text of the server is in the log, even at the level DEBUG."""
    caplog.set_level(logging.DEBUG)
    proxy.refuses(400, "InvalidRequest", message=CANARY)
    await failure(read(reader, "nhs.pem"))
    await failure(reader.list("team-a", "store", set()))
    assert CANARY not in caplog.text
