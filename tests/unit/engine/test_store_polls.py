"""Polls: each store when it is due, few at once, namespaces in turn, and only while this replica leads."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.controllers.certificate_store import POLLS_AT_ONCE, StorePoller
from clientcert.controllers.store_discovery.reconciler import StoreDiscovery
from clientcert.errors import KubeError, Reason, SourceError
from clientcert.kube.status_writer import Target
from clientcert.lifecycle.spec import ObjectKey, S3Source
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.sources.interface import Listing
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import NOW, declaration
from tests.unit.engine.one_record import record

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
        self.etags: dict[str, str] = {}
        self.for_discovery: list[bool] = []
        """Of each LIST: whether discovery looks through it."""

    async def list(self, namespace: str, store: str, wanted: AbstractSet[str], others: object = None) -> Listing:
        self.lists[f"{namespace}/{store}"] += 1
        self.for_discovery.append(others is not None)
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
        return Listing(self.etags, 3)

    async def forget(self, namespace: str, store: str) -> None:
        self.forgotten.append(f"{namespace}/{store}")


class Statuses:
    """An API server with one store: it accepts writes of its newest version, unless it fails."""

    def __init__(self) -> None:
        self.written: list[tuple[str, dict[str, Any]]] = []
        """Time in seconds and status of each accepted write."""
        self.newest: dict[str, Any] | None = None
        """If this is set, each older version is refused."""
        self._fails_until = -math.inf

    def fails_for(self, seconds: float) -> None:
        self._fails_until = asyncio.get_running_loop().time() + seconds

    async def write(self, target: Target, status: dict[str, Any]) -> str:
        now = asyncio.get_running_loop().time()
        if now < self._fails_until:
            raise KubeError(Reason.API_UNAVAILABLE, "no answer", retryable=True)
        if self.newest is not None and self.newest["metadata"]["resourceVersion"] != target.resource_version:
            raise KubeError(Reason.CONFLICT, "the object has changed", status=409)
        self.written.append((now, status))
        return str(int(target.resource_version) + 1)

    async def get(self, _path: str) -> dict[str, Any]:
        assert self.newest is not None
        return self.newest


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


class Steps(LoopBudget):
    """Each step in an iteration of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0
        self.meanwhile: dict[int, Callable[[], object]] = {}
        """By number of steps: what happens while the poll waits for the next iteration."""

    async def yield_if_spent(self) -> None:
        self.taken += 1
        await asyncio.sleep(0)
        self.meanwhile.get(self.taken, int)()


class Polling:
    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        """`known` is the version of the last read of each certificate, "" by default."""
        self.steps = Steps()
        versions = known or {}

        def state(certificate: CertificateRecord) -> Any:
            return SimpleNamespace(observation=SimpleNamespace(version=versions.get(certificate.key.name, "")))

        self.buckets = Buckets()
        self.cache = ObjectCache(WorkQueue(clock))
        self.leads = self.knows_all = True
        self.statuses = Statuses()
        sources, api, nothing = cast("Any", SimpleNamespace(state=state)), cast("Any", self.statuses), cast("Any", None)
        informers = cast("Any", SimpleNamespace(know_certificates=lambda _: self.knows_all))
        discovery = StoreDiscovery(self.cache, informers, WorkQueue(clock), nothing, nothing, {}, clock, self.steps)
        self.poller = StorePoller(self.cache, sources, self.buckets, discovery, api, api, clock, Metrics(), self.steps)

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
        assert polling.buckets.forgotten == []  # the connection that read its certificates is kept
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


def ready_of(status: dict[str, Any]) -> tuple[str, str]:
    found = status["conditions"][0]
    return found["status"], found["reason"]


async def test_a_status_that_meets_a_newer_version_is_written_into_that(polling: Polling) -> None:
    """Somebody has changed a label: nothing is polled again for it."""
    polling.cache.upsert_store(store("team", "one"))
    newest = store("team", "one", 5)
    newest["metadata"]["generation"] = 1
    polling.statuses.newest = newest
    async with polling.running():
        await asyncio.sleep(2)
    assert [ready_of(status) for _, status in polling.statuses.written] == [("True", "Polled")]
    assert polling.cache.stores[ObjectKey("team", "one")].resource_version == "6"
    assert polling.buckets.lists == {"team/one": 1}


async def test_a_status_that_meets_another_spec_is_not_written(polling: Polling) -> None:
    """The bucket that it is about is not the one that the object names by now; that one is polled."""
    polling.cache.upsert_store(store("team", "refused"))
    polling.statuses.newest = store("team", "refused", 5, bucket="another")
    async with polling.running():
        await asyncio.sleep(3)
    assert polling.buckets.lists == {"team/refused": 2}
    assert [status["conditions"][0]["observedGeneration"] for _, status in polling.statuses.written] == [5]


async def test_a_status_that_the_api_server_does_not_take_stays_due(polling: Polling) -> None:
    """With a backoff, and without another LIST; after an outage at once."""
    polling.cache.upsert_store(store("team", "one"))
    polling.statuses.fails_for(40)
    async with polling.running():
        await asyncio.sleep(45)
        assert polling.statuses.written == []
        polling.poller.retry_writes()
        await asyncio.sleep(1.5)
    assert [ready_of(status) for _, status in polling.statuses.written] == [("True", "Polled")]
    assert polling.buckets.lists == {"team/one": 1}


async def test_a_status_is_written_as_soon_as_the_api_server_takes_it(polling: Polling) -> None:
    polling.cache.upsert_store(store("team", "refused"))
    polling.statuses.fails_for(20)
    async with polling.running():
        await asyncio.sleep(50)
    assert [ready_of(status) for _, status in polling.statuses.written] == [("False", "AccessDenied")]


async def test_a_new_term_polls_again_and_writes_nothing_of_the_last_one(polling: Polling) -> None:
    """Another replica has led, and may have found something else."""
    polling.cache.upsert_store(store("team", "one"))
    polling.statuses.fails_for(10)
    async with polling.running():
        await asyncio.sleep(5)
        polling.leads = False
        await asyncio.sleep(20)
        assert polling.statuses.written == []
        assert polling.buckets.lists == {"team/one": 1}
        polling.buckets.seconds, polling.leads = 3.0, True
        await asyncio.sleep(2)
        assert polling.statuses.written == []
        await asyncio.sleep(3)
    assert polling.buckets.lists == {"team/one": 2}
    assert [ready_of(status) for _, status in polling.statuses.written] == [("True", "Polled")]


def watch(polling: Polling, count: int) -> None:
    """ClientCertificates of the store."""
    for number in range(count):
        key = ObjectKey("team", f"c{number}")
        found = record(key=key, spec=declaration(source=S3Source("one", f"{key.name}/client.pem")))
        polling.cache.certificates[key] = found
        polling.cache._references.add(found)


async def test_discovery_looks_through_no_list_that_was_begun_before_all_is_known(polling: Polling) -> None:
    """The keys of the first LIST are gathered while the last ClientCertificates arrive, so a second one follows."""
    body = store("team", "one")
    body["spec"]["discovery"] = {"environment": "prod"}
    polling.cache.upsert_store(body)
    watch(polling, 3)
    polling.knows_all = False

    def arrive() -> None:
        polling.knows_all = True

    polling.steps.meanwhile = {2: arrive}
    async with polling.running():
        await asyncio.sleep(5)
    assert polling.buckets.for_discovery == [False, True]


async def test_many_certificates_of_one_bucket_are_compared_in_steps() -> None:
    """One that is deleted between two of them is passed over; those are read whose ETag is not the known one."""
    polling = Polling(known={f"c{number}": "as-listed" for number in range(0, 30, 2)})
    polling.buckets.etags = {f"c{number}/client.pem": "as-listed" for number in range(30)}
    polling.cache.upsert_store(store("team", "one"))
    watch(polling, 30)
    last = max(polling.cache.certificates)
    polling.steps.meanwhile = {31: partial(polling.cache.remove_certificate, last)}
    async with polling.running():
        await asyncio.sleep(2)
    assert polling.steps.taken == 60
    assert [status["certificates"] for _, status in polling.statuses.written] == [29]
    reread = {key.name for key in polling.cache.certificates if polling.cache.take_source_change(key)}
    assert reread == {f"c{number}" for number in range(1, 30, 2)} - {last.name}
