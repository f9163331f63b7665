"""Polls: each store when it is due, few at once, namespaces in turn, and only while this replica leads."""

import asyncio
from collections import Counter
from collections.abc import Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from clientcert.cache.object_cache import ObjectCache
from clientcert.controllers.certificate_store import POLLS_AT_ONCE, StorePoller
from clientcert.errors import Reason, SourceError
from clientcert.kube.status_writer import Target
from clientcert.lifecycle.spec import ObjectKey
from clientcert.metrics import Metrics
from clientcert.sources.interface import Listing
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import NOW

EVERY = 300


def clock() -> datetime:
    return NOW + timedelta(seconds=asyncio.get_running_loop().time())


class Buckets:
    """Lists each bucket in so many seconds; those of a namespace may hang."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.hanging = ""
        self.broken = ""
        self.lists: Counter[str] = Counter()
        self.at_once: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.forgotten: list[str] = []

    async def list(self, namespace: str, store: str, wanted: Collection[str]) -> Listing:
        self.lists[f"{namespace}/{store}"] += 1
        self.at_once[namespace] += 1
        self.most[namespace] = max(self.most[namespace], self.at_once[namespace])
        try:
            await asyncio.sleep(1e6 if namespace == self.hanging else self.seconds)
        finally:
            self.at_once[namespace] -= 1
        if store == self.broken:
            raise OverflowError("unexpected")
        if store == "refused":
            raise SourceError(Reason.ACCESS_DENIED, "refused")
        return Listing({}, 3)

    async def forget(self, namespace: str, store: str) -> None:
        self.forgotten.append(f"{namespace}/{store}")


class Statuses:
    async def write(self, target: Target, status: object) -> str:
        return str(int(target.resource_version) + 1)


def store(namespace: str, name: str, version: int = 1, bucket: str = "a-bucket") -> dict[str, Any]:
    metadata = {
        "namespace": namespace,
        "name": name,
        "uid": name,
        "resourceVersion": str(version),
        "generation": version,
    }
    spec = {"s3": {"bucket": bucket, "credentialsSecretRef": {"name": "s3"}}, "pollEvery": f"{EVERY}s"}
    return {"metadata": metadata | {"generation": version}, "spec": spec}


class Polling:
    def __init__(self) -> None:
        self.buckets = Buckets()
        self.cache = ObjectCache(WorkQueue(clock))
        self.leads = True
        sources, statuses = cast("Any", None), cast("Any", Statuses())
        self.poller = StorePoller(self.cache, sources, self.buckets, statuses, clock, Metrics())

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.poller.run(lambda: self.leads))
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def polling() -> Polling:
    return Polling()


async def test_a_store_is_polled_at_once_and_then_at_its_interval(polling: Polling) -> None:
    polling.cache.upsert_store(store("team", "one"))
    async with polling.running():
        await asyncio.sleep(2)
        assert polling.buckets.lists == {"team/one": 1}
        await asyncio.sleep(EVERY - 10)
        assert polling.buckets.lists == {"team/one": 1}
        await asyncio.sleep(20)
        assert polling.buckets.lists == {"team/one": 2}


async def test_a_changed_store_is_polled_at_once(polling: Polling) -> None:
    """And its connections are closed."""
    polling.cache.upsert_store(store("team", "one"))
    async with polling.running():
        await asyncio.sleep(5)
        polling.buckets.forgotten.clear()
        polling.cache.upsert_store(store("team", "one", 9, bucket="another"))
        await asyncio.sleep(2)
    assert polling.buckets.lists == {"team/one": 2}
    assert polling.buckets.forgotten == ["team/one"]


async def test_a_deleted_store_is_forgotten(polling: Polling) -> None:
    """Without a finalizer: the cache tells that it is gone."""
    polling.cache.upsert_store(store("team", "one"))
    async with polling.running():
        await asyncio.sleep(5)
        polling.buckets.forgotten.clear()
        polling.cache.remove_store(ObjectKey("team", "one"))
        await asyncio.sleep(2 * EVERY)
    assert polling.buckets.lists == {"team/one": 1}
    assert polling.buckets.forgotten == ["team/one"]


async def test_a_standby_polls_nothing(polling: Polling) -> None:
    """It begins when it leads."""
    polling.leads = False
    polling.cache.upsert_store(store("team", "one"))
    async with polling.running():
        await asyncio.sleep(10)
        assert not polling.buckets.lists
        polling.leads = True
        await asyncio.sleep(2)
    assert polling.buckets.lists == {"team/one": 1}


async def test_polls_that_wait_end_with_the_term(polling: Polling) -> None:
    polling.buckets.seconds = 60.0
    for number in range(20):
        polling.cache.upsert_store(store("team", f"store-{number}"))
    async with polling.running():
        await asyncio.sleep(10)
        running = polling.buckets.lists.total()
        polling.leads = False
        await asyncio.sleep(300)
        assert polling.buckets.lists.total() == running
        assert polling.poller.slots.waiting == 0


async def test_a_namespace_whose_buckets_hang_delays_no_other(polling: Polling) -> None:
    polling.buckets.hanging = "hostile"
    for number in range(200):
        polling.cache.upsert_store(store("hostile", f"store-{number}"))
    async with polling.running():
        await asyncio.sleep(10)
        assert polling.poller.slots.waiting == 200 - POLLS_AT_ONCE // 2
        polling.cache.upsert_store(store("victim", "one"))
        await asyncio.sleep(1.5)
        assert polling.buckets.lists["victim/one"] == 1
    assert polling.buckets.most["hostile"] == POLLS_AT_ONCE // 2


async def test_many_stores_are_all_polled(polling: Polling) -> None:
    """Never the same one twice at once."""
    polling.buckets.seconds = 1.0
    for number in range(100):
        polling.cache.upsert_store(store("team", f"store-{number}"))
    async with polling.running():
        await asyncio.sleep(60)
    assert set(polling.buckets.lists.values()) == {1}
    assert len(polling.buckets.lists) == 100


async def test_an_unexpected_error_ends_no_other_poll(polling: Polling, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the store, without the text of the error."""
    polling.buckets.broken = "broken"
    for name in ("broken", "refused", "well"):
        polling.cache.upsert_store(store("team", name))
    async with polling.running():
        await asyncio.sleep(EVERY + 10)
    assert polling.buckets.lists["team/well"] == 2
    assert polling.buckets.lists["team/broken"] == 2
    assert "CertificateStore team/broken cannot be polled: unexpected OverflowError" in caplog.text
