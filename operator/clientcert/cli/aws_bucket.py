"""A bucket, read with the caller's own AWS credentials: those that `aws s3 ls` would use.

The operator's own client (`sources/s3`) ignores profiles, variables and files on purpose; a person has nothing else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clientcert.cli.errors import LONGEST_ANSWER, AnswerIsNo, Failed
from clientcert.cli.table import printable
from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.source_place import server_of
from clientcert.lifecycle.spec import Bucket, ObjectKey
from clientcert.pki.parsing import MAX_SIZE
from clientcert.sources.s3.address import PATH, VIRTUAL
from clientcert.sources.s3.errors import RefusalError, Request, explain_refusal

REQUESTS_AT_ONCE = 8
_CALLER = "your AWS login"
_VPC_ENDPOINT = ".vpce."
_SECONDS = 20.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """The way to the bucket; a field that is None is found as by the AWS tools."""

    profile: str | None = None
    region: str | None = None
    endpoint: str | None = None


class AwsBucket:
    """One bucket."""

    def __init__(self, name: str, client: Any, store: str = "") -> None:
        self.name = name
        self._client = client
        self._store = store

    @classmethod
    def open(cls, bucket: Bucket, options: AwsOptions, store: str) -> "AwsBucket":
        """Find credentials and settings; what the caller has not set is as in the CertificateStore. Raises Failed."""
        import botocore.config
        import botocore.session

        endpoint = options.endpoint or bucket.endpoint or None
        style = {PATH: "path", VIRTUAL: "virtual"}.get(bucket.addressing, "path" if endpoint else "auto")
        with _explained(Request(ObjectKey("", store), bucket.name, _CALLER)):
            session = botocore.session.Session(profile=options.profile)
            region = options.region or session.get_config_variable("region") or bucket.region or None
            config = botocore.config.Config(
                connect_timeout=_SECONDS,
                read_timeout=_SECONDS,
                retries={"mode": "standard", "total_max_attempts": _TRIES},
                max_pool_connections=REQUESTS_AT_ONCE,
                response_checksum_validation="when_required",  # servers other than AWS have no others
                s3={"addressing_style": style},
            )
            client = session.create_client("s3", region_name=region, endpoint_url=endpoint, config=config)
            return cls(bucket.name, client, store)

    @property
    def endpoint(self) -> str:
        """The server that is read; a call, the AWS configuration or the CertificateStore may have named it."""
        return str(self._client.meta.endpoint_url)

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys with this prefix, in the order of S3. Raises AnswerIsNo and Failed."""
        with _explained(self._request()):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                yield from (each["Key"] for each in page.get("Contents", ()))

    def read(self, key: str) -> bytes:
        """The content of one object, up to one octet more than the operator reads. Raises SourceError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            body = self._client.get_object(Bucket=self.name, Key=key)["Body"]
            with body:
                content: bytes = body.read(MAX_SIZE + 1)
                return content
        except ClientError as error:
            raise _explain(error, self._request(key)) from None
        except (BotoCoreError, OSError, ValueError) as error:
            words = f"the S3 server does not answer ({type(error).__name__})"
            raise SourceError(Reason.SOURCE_UNAVAILABLE, words, retryable=True) from None

    def region_and_endpoint(self) -> tuple[str, str]:
        """The region of the bucket, and the endpoint for a CertificateStore; empty for the public one of AWS."""
        with _explained(self._request()):
            headers = self._client.head_bucket(Bucket=self.name)["ResponseMetadata"]["HTTPHeaders"]
        configured = self._client.meta.region_name
        usual = "us-east-1" if configured in {None, "aws-global"} else str(configured)
        is_public = not server_of(self.endpoint) and _VPC_ENDPOINT not in self.endpoint
        return headers.get("x-amz-bucket-region") or usual, "" if is_public else self.endpoint

    def _request(self, key: str | None = None) -> Request:
        return Request(ObjectKey("", self._store), self.name, _CALLER, key)


@contextmanager
def _explained(request: Request) -> Iterator[None]:
    """Turn the errors of a call about the whole bucket into one line for the user."""
    from botocore.exceptions import BotoCoreError, ClientError

    what = f"bucket {printable(request.bucket)}"
    try:
        yield
    except ClientError as error:
        found = _explain(error, request)
        if found.reason is Reason.BUCKET_NOT_FOUND:
            raise AnswerIsNo(f"{what} does not exist") from None
        words = printable(found.message.removesuffix("."))
        raise (Failed(words) if found.retryable else AnswerIsNo(words)) from None
    except (BotoCoreError, OSError, ValueError) as error:
        raise Failed(f"{what}: {printable(str(error))[:LONGEST_ANSWER]}") from None


def _explain(error: Any, request: Request) -> SourceError:
    """The problem in the words of the operator."""
    answer = error.response.get("ResponseMetadata", {})
    headers, code = answer.get("HTTPHeaders", {}), str(error.response.get("Error", {}).get("Code", ""))
    refusal = RefusalError(
        int(answer.get("HTTPStatusCode", 0)),
        b"" if code.isdigit() else f"<Code>{code}</Code>".encode(errors="replace"),  # a HEAD has the status only
        region=headers.get("x-amz-bucket-region", ""),
        deleted=headers.get("x-amz-delete-marker") == "true",
    )
    return explain_refusal(refusal, request)
