"""A team's backup bucket on a real S3 server, behind a proxy that counts requests and can refuse them."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.adapters.s3_parts import Proxy
from tests.control_plane.operators import Operator
from tests.control_plane.team import Team
from tests.control_plane.waiting import until
from tests.scenarios import certificate_store, in_store, store_credentials
from tools.certificates import Issued
from tools.control_plane import S3Server
from tools.control_plane.s3_client import S3Client

STORE, CREDENTIALS = "backup", "backup-credentials"
_START_SECONDS = 10.0


@dataclass
class Backup:
    """One bucket, and the team's CertificateStore for it, through the proxy."""

    team: Team
    server: S3Server
    client: S3Client
    proxy: Proxy
    _lost: dict[str, bytes] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        return f"backup-{self.team.namespace}"

    def declare(self, *, poll_every: str = "24h") -> None:
        """Create the bucket, the CertificateStore, and a Secret with valid credentials."""
        self.client.create_bucket(self.bucket)
        self.give_credentials(self.server.secret_key)
        self.declare_store(poll_every=poll_every)

    def declare_store(self, *, bucket: str = "", endpoint: str = "", poll_every: str = "24h") -> None:
        """Its poll interval is a day, so a test triggers each poll; see `poll`."""
        where = bucket or self.bucket, endpoint or self.proxy.endpoint
        self.team.apply(certificate_store(STORE, *where, CREDENTIALS, pollEvery=poll_every))

    def store_says(self) -> tuple[str, str]:
        """Status and reason of the condition Ready of the CertificateStore."""
        return self.team.condition(STORE, "Ready", of="CertificateStore")

    def delete_bucket(self) -> None:
        """Delete the bucket on the server, with its content."""
        self._lost = {key: self.client.get_object(self.bucket, key) for key in self.client.list_keys(self.bucket)}
        self.client.delete_bucket(self.bucket)

    def recreate(self) -> None:
        """Create the deleted bucket again, with its previous content."""
        self.client.create_bucket(self.bucket)
        for key, content in self._lost.items():
            self.client.put_object(self.bucket, key, content)

    def give_credentials(self, secret_key: str) -> None:
        self.team.apply(store_credentials(CREDENTIALS, self.server.access_key, secret_key))

    def key(self, name: str) -> str:
        return f"{name}/client.pem"

    def upload(self, name: str, content: Issued | bytes) -> None:
        """Upload the content for the consumer of this name."""
        body = content.certificate_pem if isinstance(content, Issued) else content
        self.client.put_object(self.bucket, self.key(name), body)

    def hand_out(self, name: str, *, days: float) -> Issued:
        """Issue a certificate, upload it, and declare it."""
        issued = self.team.issue(name, days=days)
        self.upload(name, issued)
        self.watch(name)
        return issued

    def watch(self, name: str) -> None:
        """Declare a certificate whose source is in the bucket."""
        self.team.declare(name, source=in_store(STORE, self.key(name)))

    def trigger_poll(self) -> None:
        """Change the Secret with the credentials, which triggers a poll."""
        touch = {"metadata": {"annotations": {"example.com/touched": str(len(self.proxy.paths))}}}
        path = self.team.path("Secret", CREDENTIALS)
        self.team.api.request("PATCH", path, touch, content_type="application/merge-patch+json")

    def poll(self, operator: Operator) -> None:
        """Trigger a poll, and wait until its results are processed."""
        lists = self.proxy.lists
        self.trigger_poll()
        until(lambda: self.proxy.lists > lists)
        operator.settle()


@contextmanager
def running_proxy(server: S3Server) -> Iterator[Proxy]:
    """Run a proxy in a separate thread, until the `with` block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="s3-proxy", daemon=True)
    thread.start()
    running = Proxy(server.endpoint).running()
    try:
        yield asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(_START_SECONDS)
    finally:
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(_START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_SECONDS)
        loop.close()
