"""From what a server answered to a reason, and what to do about it.

A server that a tenant has named may say anything. So nothing that it says is repeated, except for an error code, if
it has the form of one, and the name of a region.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import ObjectKey
from clientcert.sources.s3.access import is_aws_region

_CODE = re.compile(rb"<Code>\s*([A-Za-z0-9.]{1,64})\s*</Code>")
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
_DENIED = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden", "UnauthorizedAccess"})
_WRONG_REGION = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"})
_PASSING = frozenset({"InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable", "SlowDown"})
_TOO_MANY = 429


class Fault(StrEnum):
    """Why there is no whole answer; the value ends the sentence “the S3 server …”."""

    NAME_UNKNOWN = "has a host name that does not exist: correct spec.s3.endpoint or spec.s3.region"
    UNREACHABLE = "cannot be connected to: see whether it runs and the network lets the operator reach it"
    SLOW = "does not answer in time"
    CUT = "ended its answer in the middle"
    UNTRUSTED = "has a TLS certificate that the operator does not trust: correct it or add its CA to the operator's"
    NOT_S3 = "does not answer in the way of S3: correct spec.s3.endpoint"
    TOO_LARGE = "has more"


class NoAnswerError(SourceError):
    """The request came back without a whole answer."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(Reason.SOURCE_UNAVAILABLE, f"the S3 server {fault.value}", retryable=True)
        self.fault = fault


class RefusalError(SourceError):
    """The server answered that it will not."""

    def __init__(
        self, status: int, body: bytes, *, region: str = "", deleted: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(Reason.SOURCE_UNAVAILABLE, "the S3 server refused the request")
        found = _CODE.search(body)
        self.status = status
        self.code = found[1].decode() if found else ""
        self.region = region if is_aws_region(region) else ""
        self.deleted = deleted
        """Whether the newest version of the object is a delete marker."""
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, and as whom."""

    store: ObjectKey
    bucket: str
    caller: str
    """Secret a/b, or the operator's own identity."""
    key: str | None = None
    """None: the bucket is listed."""

    def __str__(self) -> str:
        return f"Bucket {self.bucket}" if self.key is None else f"Key {self.shown_key} of bucket {self.bucket}"

    @property
    def shown_key(self) -> str:
        """The key in one line, and with nothing in it that cannot be seen."""
        key = self.key or ""
        return key if key.isprintable() else ascii(key)


def explain_fault(fault: Fault, asked: Asked) -> SourceError:
    """Say what to do about a request without a whole answer."""
    if fault is not Fault.TOO_LARGE:
        return SourceError(Reason.SOURCE_UNAVAILABLE, f"{asked}: the S3 server {fault.value}.", retryable=True)
    if asked.key is None:
        return SourceError(Reason.TOO_LARGE, f"{asked}: the LIST is too large: narrow it with spec.s3.prefix.")
    return SourceError(Reason.TOO_LARGE, f"{asked} is larger than 1 MiB: name an object that is only a certificate.")


def explain_refusal(refusal: RefusalError, asked: Asked) -> SourceError:
    """Say what to do about a request that was refused."""
    status, code, passing = refusal.status, refusal.code, Reason.SOURCE_UNAVAILABLE
    if status >= 500 or status == _TOO_MANY or code in _PASSING:
        words = f"{asked}: the S3 server is overloaded or out of order."
        return SourceError(passing, words, retryable=True, retry_after=refusal.retry_after)
    if code == "RequestTimeTooSkewed":
        words = f"{asked}: the clocks of the operator and the S3 server differ by more than 15 minutes: set them right."
        return SourceError(passing, words, retryable=True)
    if code in _WRONG_REGION or 300 <= status < 400:
        return _wrong_region(refusal, asked)
    if code in _CREDENTIALS or status == 401:
        what = "has expired: renew it" if code == "ExpiredToken" else f"is not accepted{_named(code)}: correct it"
        return SourceError(Reason.CREDENTIALS_INVALID, f"{asked}: {asked.caller} {what}.")
    if code == "InvalidObjectState":
        words = f"{asked} is archived: restore it, and keep certificates in a storage class that is read at once."
        return SourceError(passing, words)
    if code == "NoSuchBucket" or (status == 404 and asked.key is None):
        words = f"Bucket {asked.bucket} does not exist: create it, or correct CertificateStore {asked.store.name}."
        return SourceError(Reason.BUCKET_NOT_FOUND, words)
    if status == 404:
        unusual = "" if code == "NoSuchKey" else _named(code)
        what = "was deleted (its newest version is a delete marker)" if refusal.deleted else f"does not exist{unusual}"
        return SourceError(Reason.SOURCE_NOT_FOUND, f"{asked} {what}: upload it, or correct spec.source.s3.key.")
    if code in _DENIED or status == 403:
        return _denied(code, asked)
    return SourceError(passing, f"{asked}: the S3 server refuses the request{_named(code)}.")


def _wrong_region(refusal: RefusalError, asked: Asked) -> SourceError:
    if refusal.code in _WRONG_REGION or refusal.region:
        region = f" to {refusal.region}" if refusal.region else ""
        words = f"is in another region: set spec.s3.region of CertificateStore {asked.store.name}{region}."
        return SourceError(Reason.SPEC_INVALID, f"Bucket {asked.bucket} {words}")
    words = "answers with a redirect, which is not followed: correct spec.s3.endpoint or spec.s3.region"
    return SourceError(Reason.SPEC_INVALID, f"{asked}: the S3 server {words} of CertificateStore {asked.store.name}.")


def _denied(code: str, asked: Asked) -> SourceError:
    if code in {"AllAccessDisabled", "AccountProblem"}:
        words = f"{asked}: all access is disabled{_named(code)}: ask whoever owns the account of the bucket."
    elif asked.key is None:
        words = f"{asked} may not be listed: give {asked.caller} s3:ListBucket on arn:aws:s3:::{asked.bucket}."
    else:
        words = (
            f"{asked} may not be read: give {asked.caller} s3:GetObject on arn:aws:s3:::{asked.bucket}/* and "
            "s3:ListBucket on the bucket, without which a missing key looks like this (and kms:Decrypt, if it is "
            "encrypted by KMS)."
        )
    return SourceError(Reason.ACCESS_DENIED, words)


def _named(code: str) -> str:
    return f" ({code})" if code else ""
