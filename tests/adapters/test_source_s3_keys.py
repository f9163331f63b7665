"""Keys that a file system cannot hold, on moto's server: `a//b`, a leading `/`, a key below another key."""

from collections.abc import Iterator
from typing import Any

import botocore.config
import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from clientcert.lifecycle.spec import Bucket
from tests.adapters.s3_parts import Stores, credentials, read

KEYS = ["a//b", "/a", "//", "a", "a/", "a/b", "a/../b", "./a", "..", "a/./b", "/", "b/..", " ", "+"]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def client(endpoint: str) -> Any:
    config = botocore.config.Config(s3={"addressing_style": "path"}, proxies={})
    client = botocore.session.Session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )
    client.create_bucket(Bucket="strange")
    for key in KEYS:
        client.put_object(Bucket="strange", Key=key, Body=key.encode())
    return client


@pytest.fixture
def stores(endpoint: str, client: Any) -> Stores:
    stores = Stores({("team-a", "store"): Bucket("strange", endpoint=endpoint, credentials_secret="aws")})
    stores.secrets["team-a", "aws"] = credentials("test", "test")
    return stores


async def test_strange_keys_are_different_keys(stores: Stores) -> None:
    """Keys that a careless client would confuse are different objects."""
    async with stores.reader() as reader:
        found = {key: (await read(reader, key)).body.decode() for key in KEYS}
    assert found == {key: key for key in KEYS}


async def test_strange_keys_do_not_blind_a_list(stores: Stores) -> None:
    """The name of one object cannot hide other objects from a LIST."""
    async with stores.reader() as reader:
        listing = await reader.list("team-a", "store", set(KEYS))
        assert sorted(listing.etags) == sorted(KEYS)
        assert {(await read(reader, key)).version for key in KEYS} == set(listing.etags.values())
    assert listing.objects == len(KEYS)
