"""Maps the errors of an S3 server to a reason and to advice.

A tenant chooses the server, so its answers are not trusted: no text of it is repeated in a message, except for an error
code and the name of a region that have the right form.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import ObjectKey
from clientcert.sources.s3.address import is_aws_region

_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9._-]{1,64})\s*</Code>")
_ENDPOINT = re.compile(rb"<Endpoint>\s*([A-Za-z0-9.:-]{1,260})\s*</Endpoint>")
_CREDENTIALS = frozenset(
    {
        "AccessKeyDisabled",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
        "XAdminUserNotFound",  # versitygw's, with status 404
    }
)
_DENIED = frozenset({"AccessDenied", "Forbidden", "UnauthorizedAccess"})
_DISABLED = frozenset({"AccountProblem", "AllAccessDisabled", "UserSuspended"})
_VIRTUAL_HOST_ONLY = frozenset(
    {
        "InvalidPathAccess",  # Volcengine
        "PathStyleDomainForbidden",  # Tencent
        "PathStyleRequestNotAllowed",
        "SecondLevelDomainForbidden",  # Alibaba
        "VirtualHostDomainRequired",  # Huawei
    }
)
_WRONG_REGION = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"})
_CONDITION = frozenset({"ConditionalRequestConflict", "PreconditionFailed"})
_TRANSIENT = frozenset({"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"})
_TOO_MANY = 429


class Fault(StrEnum):
    """The reason for an incomplete answer; the value ends the sentence “the S3 server …”."""

    NAME_UNKNOWN = "has a host name that does not exist: correct spec.s3.endpoint or spec.s3.region"
    UNREACHABLE = "cannot be reached: check that it runs and that the network lets the operator connect to it"
    PROXY = "cannot be reached: the operator's proxy refused the connection; check CLIENTCERT_PROXY and its rules"
    SLOW = "does not answer in time"
    CUT = "closed the connection in the middle of its answer"
    UNTRUSTED = "has a TLS certificate that the operator does not trust: correct it, or let the operator trust its CA"
    NOT_S3 = "does not answer as an S3 server: correct spec.s3.endpoint"
    PARTIAL_LIST = (
        "answers a LIST in part only, and without a valid token for the rest (NextContinuationToken): update the "
        "server, or name a part with fewer objects in spec.s3.prefix"
    )
    TOO_LARGE = "sent more than the limit"


class NoAnswerError(SourceError):
    """The request ended without a complete answer."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(Reason.SOURCE_UNAVAILABLE, f"the S3 server {fault.value}", retryable=True)
        self.fault = fault


class RefusalError(SourceError):
    """The server answered with an error."""

    def __init__(
        self, status: int, body: bytes, *, region: str = "", deleted: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(Reason.SOURCE_UNAVAILABLE, "the S3 server refused the request")
        found = _CODE.search(body)
        self.status = status
        self.code = found[1].decode() if found else ""
        self.region = region if is_aws_region(region) else ""
        endpoint = _ENDPOINT.search(body)
        self.endpoint = endpoint[1].decode().lower() if endpoint else ""
        """The host that the server names instead of its own. Only compared, never called."""
        self.deleted = deleted
        """True if the newest version of the object is a delete marker."""
        self.retry_after = retry_after


class VirtualHostRequiredError(SourceError):
    """The server serves buckets at host names of their own only."""


class PreconditionFailedError(SourceError):
    """The object is no longer what it was when it was read."""


@dataclass(frozen=True, slots=True)
class Request:
    """The request that an error message is about: store, bucket, key and caller."""

    store: ObjectKey
    bucket: str
    caller: str
    """`Secret a/b`, or `the operator's own identity`."""
    key: str | None = None
    """None for a LIST of the bucket."""
    is_write: bool = False
    """True for a PUT."""
    virtual_host: str = ""
    """The host of the bucket, if the request does not go there but could."""

    def __str__(self) -> str:
        return f"Bucket {self.bucket}" if self.key is None else f"Key {self.shown_key} of bucket {self.bucket}"

    @property
    def shown_key(self) -> str:
        """The key on one line; one with invisible characters is shown with escapes."""
        key = self.key or ""
        return key if key.isprintable() else ascii(key)


def explain_fault(fault: Fault, request: Request) -> SourceError:
    """The error for a request without a complete answer, with advice."""
    if fault is not Fault.TOO_LARGE:
        return SourceError(Reason.SOURCE_UNAVAILABLE, f"{request}: the S3 server {fault.value}.", retryable=True)
    if request.key is None:
        return SourceError(Reason.TOO_LARGE, f"{request}: the LIST is too large: narrow it with spec.s3.prefix.")
    return SourceError(Reason.TOO_LARGE, f"{request} is larger than 1 MiB: name an object that is only a certificate.")


def explain_refusal(refusal: RefusalError, request: Request) -> SourceError:
    """The error for a request that the server refused, with advice."""
    status, code, unavailable = refusal.status, refusal.code, Reason.SOURCE_UNAVAILABLE
    if request.is_write and (failure := _condition_failed(refusal, request)) is not None:
        return failure
    if status >= 500 or status == _TOO_MANY or code in _TRANSIENT:
        words = f"{request}: the S3 server is overloaded or failing."
        return SourceError(unavailable, words, retryable=True, retry_after=refusal.retry_after)
    if code == "RequestTimeTooSkewed":
        words = f"{request}: the clocks of the operator and the S3 server differ by more than 15 minutes: correct them."
        return SourceError(unavailable, words, retryable=True)
    if code in _VIRTUAL_HOST_ONLY or (request.virtual_host and _host(refusal.endpoint) == _host(request.virtual_host)):
        return _virtual_host_required(request)
    if code in _WRONG_REGION or 300 <= status < 400:
        return _wrong_region(refusal, request)
    if code in _CREDENTIALS or status == 401:
        what = "has expired: renew it" if code == "ExpiredToken" else f"is not accepted{_named(code)}: correct it"
        return SourceError(Reason.CREDENTIALS_INVALID, f"{request}: {request.caller} {what}.")
    if code == "InvalidObjectState":
        words = f"{request} is archived: restore it, and keep certificates in a storage class with immediate access."
        return SourceError(unavailable, words)
    if code == "NoSuchBucket" or (status == 404 and request.key is None):
        words = f"Bucket {request.bucket} does not exist: create it, or correct CertificateStore {request.store.name}."
        return SourceError(Reason.BUCKET_NOT_FOUND, words)
    if status == 404:
        unusual = "" if code == "NoSuchKey" else _named(code)
        what = "was deleted (its newest version is a delete marker)" if refusal.deleted else f"does not exist{unusual}"
        return SourceError(Reason.SOURCE_NOT_FOUND, f"{request} {what}: upload it, or correct spec.source.s3.key.")
    if code in _DENIED or code in _DISABLED or status == 403:
        return _denied(code, request)
    return SourceError(unavailable, f"{request}: the S3 server refuses the request{_named(code)}.")


def _condition_failed(refusal: RefusalError, request: Request) -> SourceError | None:
    """The error if a PUT was refused because of its condition (If-Match, If-None-Match)."""
    if refusal.code == "NotImplemented":
        words = "the S3 server knows no conditional writes (If-Match): update it, or put the certificate there by hand"
        return SourceError(Reason.WRITE_NOT_ALLOWED, f"{request}: {words}.")
    # The key of an If-Match that was deleted.
    gone = refusal.status == HTTPStatus.NOT_FOUND and refusal.code == "NoSuchKey"
    if refusal.status == HTTPStatus.PRECONDITION_FAILED or refusal.code in _CONDITION or gone:
        words = f"{request} was changed while it was written."
        return PreconditionFailedError(Reason.SOURCE_CHANGED, words, retryable=True)
    return None


def _wrong_region(refusal: RefusalError, request: Request) -> SourceError:
    if refusal.code in _WRONG_REGION or refusal.region:
        region = f" to {refusal.region}" if refusal.region else ""
        words = f"is in another region: set spec.s3.region of CertificateStore {request.store.name}{region}."
        return SourceError(Reason.SPEC_INVALID, f"Bucket {request.bucket} {words}")
    words = "answers with a redirect, which is not followed: correct spec.s3.endpoint or spec.s3.region"
    return SourceError(
        Reason.SPEC_INVALID, f"{request}: the S3 server {words} of CertificateStore {request.store.name}."
    )


def _host(authority: str) -> str:
    return authority.partition(":")[0]


def _virtual_host_required(request: Request) -> SourceError:
    words = f"Bucket {request.bucket}: the S3 server requires the bucket in the host name:"
    if request.virtual_host:
        words = f"{words} set spec.s3.addressing of CertificateStore {request.store.name} to Auto or Virtual."
        return VirtualHostRequiredError(Reason.SPEC_INVALID, words)
    return SourceError(Reason.SPEC_INVALID, f"{words} name one that can be there, or correct spec.s3.endpoint.")


def _denied(code: str, request: Request) -> SourceError:
    if code in _DISABLED:
        words = f"{request}: all access is disabled{_named(code)}: ask the owner of the bucket's account."
    elif not code:
        what = "listed" if request.key is None else "written" if request.is_write else "read"
        words = (
            f"{request} may not be {what}: an answer with status 403 and without an error code comes from the S3 "
            f"server, or from a proxy or firewall in front of it: check these, and the permissions of {request.caller}."
        )
    elif code not in _DENIED:
        words = f"{request}: the S3 server refuses access with the code {code}: see what the server means by it."
    elif request.is_write:
        words = (
            f"{request} may not be written: give {request.caller} s3:PutObject on arn:aws:s3:::{request.bucket}/* (and "
            "kms:GenerateDataKey, if it is encrypted by KMS), or put the new certificate there by hand."
        )
    elif request.key is None:
        words = f"{request} may not be listed: give {request.caller} s3:ListBucket on arn:aws:s3:::{request.bucket}."
    else:
        words = (
            f"{request} may not be read: give {request.caller} s3:GetObject on arn:aws:s3:::{request.bucket}/* and "
            "s3:ListBucket on the bucket, without which a missing key gives the same error (and kms:Decrypt, if it is "
            "encrypted by KMS)."
        )
    return SourceError(Reason.WRITE_NOT_ALLOWED if request.is_write else Reason.ACCESS_DENIED, words)


def _named(code: str) -> str:
    return f" ({code})" if code else ""
