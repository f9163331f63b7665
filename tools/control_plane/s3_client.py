"""Writes objects to an `S3Server` and reads them, as a person with the AWS tools would."""

import os
from functools import cache
from typing import Any

import botocore.config
import botocore.exceptions
import botocore.session

from .s3_server import S3Server


class S3Client:
    """Blocking calls; one client may be used from several threads.

    A refusal by S3 is raised as botocore's ClientError.
    """

    def __init__(self, server: S3Server) -> None:
        config = botocore.config.Config(s3={"addressing_style": "path"}, proxies={}, retries={"total_max_attempts": 2})
        self._client: Any = _session().create_client(
            "s3",
            endpoint_url=server.endpoint,
            region_name=server.region,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            config=config,
        )

    def create_bucket(self, bucket: str) -> None:
        region = {"LocationConstraint": self._client.meta.region_name}
        self._client.create_bucket(Bucket=bucket, CreateBucketConfiguration=region)

    def delete_bucket(self, bucket: str) -> None:
        """Delete the bucket with all its objects."""
        for key in self.list_keys(bucket):
            self.delete_object(bucket, key)
        self._client.delete_bucket(Bucket=bucket)

    def put_object(self, bucket: str, key: str, content: bytes) -> str:
        """Create or replace an object; returns its ETag without the quotes."""
        answer = self._client.put_object(Bucket=bucket, Key=key, Body=content)
        return str(answer["ETag"]).strip('"')

    def get_object(self, bucket: str, key: str) -> bytes:
        answer = self._client.get_object(Bucket=bucket, Key=key)
        content: bytes = answer["Body"].read()
        return content

    def delete_object(self, bucket: str, key: str) -> None:
        """Delete an object; it is no error if there is none."""
        self._client.delete_object(Bucket=bucket, Key=key)

    def list_keys(self, bucket: str, prefix: str = "") -> list[str]:
        """All keys, over all pages, in the order of S3."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def close(self) -> None:
        self._client.close()


@cache
def _session() -> botocore.session.Session:
    """Of all clients: each one of its own would parse the models of S3 again, which takes longer than many requests.

    It is independent of the user's settings: no profile, no ~/.aws, no proxy.
    """
    session = botocore.session.Session()
    for variable in ("config_file", "credentials_file"):
        session.set_config_variable(variable, os.devnull)
    session.set_config_variable("profile", None)
    return session
