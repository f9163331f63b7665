"""A real S3 server, a proxy in front of it, stores for both of them, and a Slack server.

The clock of the loop goes on by itself, and a test may set it forward.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest

from clientcert.lifecycle.spec import Bucket
from clientcert.sources.s3 import S3Reader
from tests.adapters.s3_parts import Proxy, Stores, credentials
from tests.adapters.slack_parts import workspace
from tests.virtual_time import ForwardedLoop
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client
from tools.slack_server import SlackServer


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"forwarded": ForwardedLoop}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """It has a bucket `backup`."""
    with S3Server.start(tmp_path_factory.mktemp("s3")) as running:
        client = S3Client(running)
        client.create_bucket("backup")
        for key in ("nhs.pem", "team-a/nhs.pem", "team-another/nhs.pem"):
            client.put_object("backup", key, key.encode())
        client.close()
        yield running


@pytest.fixture
def s3_client(s3_server: S3Server) -> Iterator[S3Client]:
    client = S3Client(s3_server)
    yield client
    client.close()


@pytest.fixture
async def proxy(s3_server: S3Server) -> AsyncIterator[Proxy]:
    async with Proxy(s3_server.endpoint).running() as running:
        yield running


@pytest.fixture
def stores(s3_server: S3Server, proxy: Proxy) -> Stores:
    """`team-a/store` uses the proxy, `team-b/store` the server itself; both have the bucket `backup`."""
    bucket = Bucket("backup", region=s3_server.region, endpoint=proxy.endpoint, credentials_secret="aws")
    direct = Bucket("backup", region=s3_server.region, endpoint=s3_server.endpoint, credentials_secret="aws")
    stores = Stores({("team-a", "store"): bucket, ("team-b", "store"): direct})
    for namespace in ("team-a", "team-b"):
        stores.secrets[namespace, "aws"] = credentials(s3_server.access_key, s3_server.secret_key)
    return stores


@pytest.fixture
async def reader(stores: Stores) -> AsyncIterator[S3Reader]:
    async with stores.reader() as reader:
        yield reader


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with workspace() as server:
        yield server
