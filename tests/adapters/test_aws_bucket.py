"""The caller's own S3 client: any key is asked for as it is, and errors are one line without a text of the server."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest

from clientcert.api.discovery import KeyPattern
from clientcert.cli.aws_bucket import AwsBucket, AwsOptions
from clientcert.cli.cluster import Cluster
from clientcert.cli.errors import AnswerIsNo, Failed
from clientcert.cli.import_request import ImportRequest
from clientcert.cli.import_s3 import BucketSearch
from clientcert.cli.manifest_directory import ManifestDirectory
from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import Bucket, Silence
from clientcert.pki.parsing import MAX_SIZE

BUCKET = Bucket("bucket")
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
REQUEST = ImportRequest(NOW, "prod", "", Silence(NOW, "left"))
HOSTILE = ("../client.pem", "a/../../b", "a//b", "/x", "a\nb", "\u202egpj", "x" * 1024, "a?b#c%2e", "a&b<c>")


@dataclass
class Server:
    """Answers every request in the same way, and knows what was asked for."""

    status: int = 200
    body: bytes = b""
    paths: list[str] = field(default_factory=list)
    url: str = ""

    def refuses(self, status: int, code: str) -> None:
        self.status = status
        self.body = f"<Error><Code>{code}</Code><Message>text of the server</Message></Error>".encode()

    def lists(self, *keys: str) -> None:
        objects = "".join(f"<Contents><Key>{quote(key)}</Key></Contents>" for key in keys)
        head = "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
        self.body = f"<ListBucketResult>{head}{objects}</ListBucketResult>".encode()


@pytest.fixture
def server() -> Iterator[Server]:
    answers = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.paths.append(self.path)
            self.send_response(answers.status)
            self.send_header("Content-Length", str(len(answers.body)))
            self.end_headers()
            self.wfile.write(answers.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        answers.url = f"http://127.0.0.1:{running.server_port}"
        yield answers
        running.shutdown()


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AwsBucket:
    for name, value in (("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "key"), ("HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    return AwsBucket.open(BUCKET, AwsOptions(region="eu-west-2", endpoint=server.url), "backup")


def test_a_hostile_key_is_asked_for_as_it_is(server: Server, bucket: AwsBucket) -> None:
    server.body = b"content"
    for key in HOSTILE:
        assert bucket.read(key) == b"content"
        assert unquote(server.paths[-1]) == f"/bucket/{key}"


def test_a_hostile_key_is_listed_as_it_is(server: Server, bucket: AwsBucket) -> None:
    server.lists(*HOSTILE)
    assert tuple(bucket.keys("")) == HOSTILE


def test_a_large_object_is_not_read_to_its_end(server: Server, bucket: AwsBucket) -> None:
    server.body = b"x" * (MAX_SIZE + 100)
    assert len(bucket.read("large")) == MAX_SIZE + 1


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "AccessDenied", "give your AWS login s3:ListBucket on arn:aws:s3:::bucket"),
        (403, "\x1b[2J", "check these, and the permissions of your AWS login"),
        (400, "ExpiredToken", "your AWS login has expired: renew it"),
        (404, "NoSuchBucket", "bucket bucket does not exist"),
    ],
)
def test_a_refused_list(server: Server, bucket: AwsBucket, status: int, code: str, words: str) -> None:
    server.refuses(status, code)
    with pytest.raises(AnswerIsNo) as caught:
        list(bucket.keys(""))
    assert caught.value.message.endswith(words)
    assert caught.value.message.isprintable()
    assert "text of the server" not in caught.value.message


@pytest.mark.parametrize(
    ("status", "code", "reason", "words"),
    [
        (403, "AccessDenied", Reason.ACCESS_DENIED, "s3:GetObject"),
        (404, "NoSuchKey", Reason.SOURCE_NOT_FOUND, "does not exist"),
        (403, "InvalidObjectState", Reason.SOURCE_UNAVAILABLE, "is archived"),
        (400, "ExpiredToken", Reason.CREDENTIALS_INVALID, "your AWS login has expired"),
    ],
)
def test_a_refused_object(
    server: Server, bucket: AwsBucket, status: int, code: str, reason: Reason, words: str
) -> None:
    server.refuses(status, code)
    with pytest.raises(SourceError) as caught:
        bucket.read("nhs/client.pem")
    assert (caught.value.reason, caught.value.retryable) == (reason, False)
    assert words in caught.value.message
    assert "text of the server" not in caught.value.message


@pytest.mark.parametrize(
    ("read", "declared"),
    [
        ("https://s3.eu-west-2.amazonaws.com", ""),
        ("https://s3.dualstack.eu-west-2.amazonaws.com", ""),
        ("https://minio.example", "https://minio.example"),
        ("https://bucket.vpce-1.s3.eu-west-2.vpce.amazonaws.com",) * 2,
    ],
)
def test_the_endpoint_that_a_store_needs(read: str, declared: str) -> None:
    """A VPC endpoint may be the only way to the bucket."""
    client = SimpleNamespace(
        meta=SimpleNamespace(region_name="eu-west-2", endpoint_url=read),
        head_bucket=lambda **_: {"ResponseMetadata": {"HTTPHeaders": {}}},
    )
    assert AwsBucket("bucket", client).region_and_endpoint() == ("eu-west-2", declared)


@pytest.mark.parametrize(
    ("prefix", "pattern", "listed"),
    [
        ("clients/", "{consumer}/client.pem", "clients/"),
        ("clients", "{consumer}/client.pem", "clients"),
        ("", "clients/{consumer}/client.pem", "clients/"),
        ("clients/n", "{consumer}/client.pem", "clients/n"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_a_store_that_exists(server: Server, tmp_path: Path, prefix: str, pattern: str, listed: str) -> None:
    """Its server and its prefix are those of the search, and nothing else of the bucket is listed."""
    server.lists("clients/nhs/client.pem", "clients/news/client.csr")
    store = {"bucket": "bucket", "endpoint": server.url, "prefix": prefix, "addressing": "Path"}
    search = BucketSearch("bucket", "backup", KeyPattern.parse(pattern), AwsOptions(region="eu-west-2"), None)
    found = search.find(cluster_with(store), REQUEST, ManifestDirectory.read(tmp_path / "out").applied_in("team"))
    assert dict(parse_qsl(urlsplit(server.paths[0]).query))["prefix"] == listed
    names = ["nhs", "news"] if prefix != "clients/n" else ["hs", "ews"]
    assert [(each.place, each.folder) for each in found.candidates] == [
        ("clients/news/client.pem", names[1]),
        ("clients/nhs/client.pem", names[0]),
    ]


@pytest.mark.usefixtures("bucket")
def test_a_store_of_another_server(server: Server, tmp_path: Path) -> None:
    search = BucketSearch("bucket", "backup", KeyPattern.parse("{consumer}.pem"), AwsOptions(endpoint=server.url), None)
    for store, words in (
        ({"bucket": "bucket", "region": "eu-west-2"}, "backup is at AWS, and the call reads http"),
        ({"bucket": "bucket", "endpoint": "https://minio.example"}, "backup is at https://minio.example, and"),
        ({"bucket": "other"}, "backup is of bucket other: name that one"),
    ):
        with pytest.raises(AnswerIsNo, match=words):
            search.find(cluster_with(store), REQUEST, ManifestDirectory.read(tmp_path / "out").applied_in("team"))
    assert server.paths == []


def cluster_with(s3: dict[str, str]) -> Cluster:
    """A cluster with one CertificateStore."""
    store = {"metadata": {"namespace": "team", "name": "backup"}, "spec": {"s3": s3}}
    server = SimpleNamespace(call=lambda *_, **__: {"items": [store], "metadata": {}})
    return Cluster(cast("Any", server), "team")


def test_no_credentials(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line in the words of the AWS tools."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    bucket = AwsBucket.open(BUCKET, AwsOptions(region="eu-west-2", endpoint=server.url), "backup")
    with pytest.raises(Failed, match="Unable to locate credentials"):
        list(bucket.keys(""))
