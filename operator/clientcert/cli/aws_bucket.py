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
from clientcert.pki import MAX_SIZE

REQUESTS_AT_ONCE = 8
_AWS = ".amazonaws."
_GONE = frozenset({"NoSuchKey", "404"})
_BUCKET_GONE = frozenset({"NoSuchBucket"})
_SECONDS = 20.0
_TRIES = 3
_FIRST_FAILURE, _TOO_MANY = 500, 429


@dataclass(frozen=True, slots=True)
class AwsOptions:
    """How a call reaches the bucket; what is None is found as by the AWS tools."""

    profile: str | None = None
    region: str | None = None
    endpoint: str | None = None


class AwsBucket:
    """One bucket."""

    def __init__(self, name: str, client: Any) -> None:
        self.name = name
        self._client = client

    @classmethod
    def open(cls, name: str, options: AwsOptions, usual_region: str = "") -> "AwsBucket":
        """Find credentials and settings; `usual_region` is for a caller who has set none. Raises Failed."""
        import botocore.config
        import botocore.session

        with _explained(name):
            session = botocore.session.Session(profile=options.profile)
            region = options.region or session.get_config_variable("region") or usual_region or None
            config = botocore.config.Config(
                connect_timeout=_SECONDS,
                read_timeout=_SECONDS,
                retries={"mode": "standard", "total_max_attempts": _TRIES},
                max_pool_connections=REQUESTS_AT_ONCE,
                response_checksum_validation="when_required",  # servers other than AWS have no others
                s3={"addressing_style": "path"} if options.endpoint else None,
            )
            client = session.create_client("s3", region_name=region, endpoint_url=options.endpoint, config=config)
            return cls(name, client)

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys with this prefix, in the order of S3. Raises AnswerIsNo and Failed."""
        with _explained(self.name):
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
            raise _object_error(error) from None
        except (BotoCoreError, OSError, ValueError) as error:
            words = f"the S3 server does not answer ({type(error).__name__})"
            raise SourceError(Reason.SOURCE_UNAVAILABLE, words, retryable=True) from None

    def region_and_endpoint(self) -> tuple[str, str]:
        """The region of the bucket, and the endpoint of a server that is not of AWS (else empty)."""
        with _explained(self.name):
            headers = self._client.head_bucket(Bucket=self.name)["ResponseMetadata"]["HTTPHeaders"]
        configured = self._client.meta.region_name
        usual = "us-east-1" if configured in {None, "aws-global"} else str(configured)
        endpoint = str(self._client.meta.endpoint_url)
        return headers.get("x-amz-bucket-region") or usual, "" if _AWS in endpoint else endpoint


@contextmanager
def _explained(bucket: str) -> Iterator[None]:
    """Turn the errors of a call about the whole bucket into one line for the user."""
    from botocore.exceptions import BotoCoreError, ClientError

    what = f"bucket {printable(bucket)}"
    try:
        yield
    except ClientError as error:
        code, status = _code(error)
        if status >= _FIRST_FAILURE or status == _TOO_MANY:
            raise Failed(f"{what}: the S3 server is overloaded or failing ({code})") from None
        if code in _BUCKET_GONE:
            raise AnswerIsNo(f"{what} does not exist") from None
        advice = f"check your credentials, and that they allow s3:ListBucket on arn:aws:s3:::{printable(bucket)}"
        raise AnswerIsNo(f"{what}: the S3 server refuses ({code}): {advice}") from None
    except (BotoCoreError, OSError, ValueError) as error:
        raise Failed(f"{what}: {printable(str(error))[:LONGEST_ANSWER]}") from None


def _object_error(error: Any) -> SourceError:
    code, status = _code(error)
    if status >= _FIRST_FAILURE or status == _TOO_MANY:
        words = f"the S3 server is overloaded or failing ({code})"
        return SourceError(Reason.SOURCE_UNAVAILABLE, words, retryable=True)
    if code in _GONE:
        return SourceError(Reason.SOURCE_NOT_FOUND, "it was deleted meanwhile")
    words = f"the S3 server refuses ({code}): your credentials need s3:GetObject, and kms:Decrypt if KMS encrypts it"
    return SourceError(Reason.ACCESS_DENIED, words)


def _code(error: Any) -> tuple[str, int]:
    """The code and the status of an answer, whose texts are the server's."""
    code = printable(str(error.response.get("Error", {}).get("Code", "no code")))[:64]
    return code, int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
