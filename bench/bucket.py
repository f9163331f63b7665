"""A backup bucket with the layout of the incumbent's."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from bench.fleet import Fleet, consumer
from bench.liveness import must_live
from bench.scene import Scene
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client

NAME = "integration-api-prod-certificates-backup"
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket on a real S3 server of this machine."""

    server: S3Server
    certificates: int
    keys: int

    @property
    def lists(self) -> int:
        """The number of requests for one LIST of all keys: S3 returns a thousand keys at once."""
        return -(-self.keys // 1000)


@asynccontextmanager
async def filled_bucket(scene: Scene) -> AsyncIterator[Bucket]:
    """Put `client.pem` and `client.csr` for each consumer, and `client.key` for every second one, whose key is ours."""
    count = scene.sizes.bucket
    scene.say(f"filling a bucket with {count} certificates")
    with S3Server.start(Path(mkdtemp(dir=scene.directory, prefix="s3-"))) as server:
        async with must_live(server.process):
            client = S3Client(server)
            client.create_bucket(NAME)
            with ThreadPoolExecutor(_AT_ONCE) as threads:
                put = partial(_put, client, scene.fleet)
                keys = sum(threads.map(put, range(count)))
            client.close()
            yield Bucket(server, count, keys)


def _put(client: S3Client, fleet: Fleet, index: int) -> int:
    """Put the objects of one consumer; returns their number."""
    issued, folder = fleet.certificate(index), consumer(index)
    contents = {"client.pem": issued.certificate_pem, "client.csr": issued.csr_pem()}
    if index % 2:
        contents["client.key"] = issued.private_key_pem
    for name, content in contents.items():
        client.put_object(NAME, f"{folder}/{name}", content)
    return len(contents)
