"""A certificate is read again when its Secret, or that of its password, is not what was read; and only then."""

import asyncio
from datetime import timedelta
from typing import Any, cast

from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.source_cache import SourceCache
from clientcert.errors import Reason, SourceError
from clientcert.lifecycle.spec import SecretKeyRef, SecretSource, SourceRef
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.sources.interface import Content, Password
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import NOW
from tests.unit.engine.test_object_cache import KEY, body
from tools.certificates import CertificateAuthority

WORD = "a password"
HELD = CertificateAuthority.create().issue("nhs", NOW - timedelta(days=1), NOW + timedelta(days=99)).pkcs12(WORD)


class Secrets:
    """Two Secrets, one with the certificate and one with the password."""

    def __init__(self) -> None:
        self.versions = {"cert": "77", "password": "76"}
        self.reads = 0
        self.failure: SourceError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self, _namespace: str, ref: SourceRef) -> Content:
        assert isinstance(ref, SecretSource)
        self.reads += 1
        version = self.versions[ref.name]
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Content(HELD, f"sha256:{version}", version)

    async def read_password(self, _namespace: str, ref: SecretKeyRef) -> Password:
        return Password(WORD, self.versions[ref.name])


class World:
    """One certificate, whose password is in the Secret of this name."""

    def __init__(self, password: str = "password") -> None:
        self.secrets = Secrets()
        self.cache = ObjectCache(WorkQueue(lambda: NOW))
        sources = cast("Any", {SecretSource: self.secrets})
        budget = LoopBudget()
        self.sources = SourceCache(self.cache, sources, self.secrets.read_password, lambda: NOW, Metrics(), budget)
        self.declare(password)

    def declare(self, password: str, generation: int = 1) -> None:
        secret = {"name": "cert", "key": "c", "passwordSecretRef": {"name": password, "key": "p"}}
        source = {"type": "Secret", "secret": secret}
        self.cache.upsert_certificate(cast("Any", body)(str(generation), generation=generation, source=source))

    async def reads(self, *told: tuple[str, str]) -> int:
        """A list or watch tells of these Secrets and versions, and then the certificate is reconciled."""
        for name, version in told:
            self.cache.secret_changed("team", name, version)
        before = self.secrets.reads
        await self.sources.refresh(self.cache.certificates[KEY])
        return self.secrets.reads - before


async def test_what_was_read_is_not_read_again() -> None:
    """By the first list after a start, which tells of every Secret, and by each later one."""
    world = World()
    assert await world.reads() == 1
    assert await world.reads(("cert", "77"), ("password", "76")) == 0
    assert await world.reads(("cert", "78")) == 1
    assert await world.reads(("password", "79")) == 1
    assert await world.reads(("cert", "")) == 1


async def test_a_change_during_the_read_is_read_afterwards() -> None:
    """Also if a list that began earlier tells of the older version once more."""
    world = World()
    await world.reads()
    world.secrets.gate.clear()
    world.secrets.versions["cert"] = "78"
    reading = asyncio.create_task(world.reads(("cert", "78")))
    while world.secrets.reads < 2:
        await asyncio.sleep(0)
    world.secrets.versions["cert"] = "79"
    world.cache.secret_changed("team", "cert", "79")
    world.cache.secret_changed("team", "cert", "78")
    world.secrets.gate.set()
    await reading
    assert await world.reads() == 1
    assert await world.reads(("cert", "79")) == 0


async def test_an_object_that_changes_during_the_read_is_read_afterwards() -> None:
    world = World()
    world.secrets.gate.clear()
    reading = asyncio.create_task(world.reads())
    await asyncio.sleep(0)
    world.declare("another", generation=2)
    world.secrets.versions["another"] = "75"
    world.secrets.gate.set()
    await reading
    assert await world.reads() == 1
    assert await world.reads(("cert", "77"), ("another", "75")) == 0


async def test_a_secret_that_was_gone_and_is_back_is_read_in_any_version() -> None:
    """A restore brings back the very version that was read before."""
    world = World()
    await world.reads()
    world.secrets.failure = SourceError(Reason.SOURCE_NOT_FOUND, "Secret team/cert does not exist")
    assert await world.reads(("cert", "")) == 1
    world.secrets.failure = None
    assert await world.reads(("cert", "77")) == 1


async def test_a_list_does_not_cut_a_backoff_short() -> None:
    """The read after it comes anyway."""
    world = World()
    await world.reads()
    world.secrets.failure = SourceError(Reason.SOURCE_UNAVAILABLE, "no answer", retryable=True, retry_after=60.0)
    assert await world.reads(("cert", "")) == 1
    assert await world.reads(("cert", "77"), ("password", "76")) == 0


async def test_a_secret_with_both_is_read_again_if_it_changed_between_the_reads() -> None:
    """Then neither version says what was parsed."""
    world = World(password="cert")
    assert await world.reads() == 1
    assert await world.reads(("cert", "77")) == 0
    world.secrets.gate.clear()
    reading = asyncio.create_task(world.reads(("cert", "78")))
    while world.secrets.reads < 2:
        await asyncio.sleep(0)
    world.secrets.versions["cert"] = "78"
    world.secrets.gate.set()
    await reading
    assert await world.reads(("cert", "78")) == 1
    assert await world.reads(("cert", "78")) == 0
