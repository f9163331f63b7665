"""Discovery: what is read, made and kept in memory, over a bucket and an API server that do as a test says."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clientcert.api.discovery import object_names
from clientcert.cache.decoding import next_configuration
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.store_discovery import candidates
from clientcert.controllers.store_discovery.fenced_writer import FencedWriter
from clientcert.controllers.store_discovery.making import Maker
from clientcert.controllers.store_discovery.pruning import Pruner
from clientcert.controllers.store_discovery.reconciler import IN_A_TURN, STORE_DISCOVERY, StoreDiscovery
from clientcert.errors import KubeError, Reason, SourceError
from clientcert.lifecycle.spec import ObjectKey, S3Source, SourceRef
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.sources.interface import Content, Listing
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import DAY, NOW
from tools.certificates import CertificateAuthority

STORE = ObjectKey("team", "backup")
ROLES = {"create": "discover", "delete": "prune"}
PEM = CertificateAuthority.create("CA").issue("nhs", NOW - DAY, NOW + 100 * DAY).certificate_pem


def clock() -> datetime:
    return NOW + timedelta(seconds=asyncio.get_running_loop().time())


class Bucket:
    """All stores have the same objects."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        """Content and ETag by key."""
        self.reads: Counter[str] = Counter()
        self.errors: dict[str, SourceError] = {}
        self.at_once = self.most_at_once = 0

    def put(self, *keys: str, content: bytes = PEM, etag: str = "1") -> None:
        self.objects |= dict.fromkeys(keys, (content, etag))

    async def read(self, _namespace: str, ref: SourceRef) -> Content:
        self.reads[ref.key] += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        if ref.key in self.errors:
            raise self.errors[ref.key]
        return Content(*self.objects[ref.key])


class Api:
    """The ClientCertificates of an API server; a watch delivers them when a test says so."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.creates = 0
        self.errors: list[KubeError | None] = []
        """Of the next creates; None: it succeeds."""

    async def create(self, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
        assert path.endswith("/clientcertificates?fieldManager=clientcert-discovery")
        await asyncio.sleep(0.01)
        self.creates += 1
        if self.errors and (error := self.errors.pop(0)):
            raise error
        return self.put(manifest)

    def put(self, manifest: dict[str, Any]) -> dict[str, Any]:
        metadata = manifest["metadata"]
        key = metadata["namespace"], metadata["name"]
        if key in self.objects:
            raise KubeError(Reason.CONFLICT, "it exists", status=409, retryable=True)
        given = {"uid": metadata["name"], "generation": 1, "creationTimestamp": "2026-11-01T00:00:00Z"}
        self.objects[key] = manifest | {"metadata": metadata | given | {"resourceVersion": str(len(self.objects) + 1)}}
        return self.objects[key]

    async def get_with_managers(self, path: str) -> tuple[dict[str, Any], frozenset[str]]:
        key = path.split("/")[5], path.rpartition("/")[2]
        if key not in self.objects:
            raise KubeError(Reason.NOT_FOUND, "gone", status=404)
        return self.objects[key], frozenset({"clientcert-discovery"})


def store(name: str = STORE.name, version: int = 1, prefix: str = "", **discovery: Any) -> dict[str, Any]:
    metadata = {"namespace": "team", "name": name, "uid": name, "resourceVersion": str(version), "generation": version}
    spec = {"s3": {"bucket": "b", "region": "eu-west-2", "prefix": prefix, "credentialsSecretRef": {"name": "s3"}}}
    fields = {"environment": "prod", "mode": "Create", "limit": 10_000, **discovery}
    return {"metadata": metadata, "spec": {**spec, "discovery": fields}}


def certificate(name: str, key: str, store: str = STORE.name) -> dict[str, Any]:
    source = {"type": "S3", "s3": {"storeRef": {"name": store}, "key": key}}
    spec = {"consumer": name, "environment": "x", "contact": {"lookup": ["Slack"]}, "source": source}
    return {"metadata": {"namespace": "team", "name": name}, "spec": spec}


class World:
    def __init__(self) -> None:
        self.bucket, self.api, self.may_start, self.knows_all = Bucket(), Api(), True, True
        self.queue, budget, metrics = WorkQueue(clock), LoopBudget(), Metrics()
        self.queue.open()
        self.cache = ObjectCache(self.queue)
        sources = SourceCache(self.cache, {S3Source: self.bucket}, cast("Any", None), clock, metrics, budget)
        writer = FencedWriter(cast("Any", self.api), lambda _: self.may_start)
        maker = Maker(self.cache, self.bucket, sources, writer, clock, metrics)
        pruner = Pruner(self.cache, writer, clock, metrics, budget)
        informers = cast("Any", SimpleNamespace(know_certificates=lambda _: self.knows_all))
        self.discovery = StoreDiscovery(self.cache, informers, self.queue, maker, pruner, ROLES, clock, budget)

    async def poll(self, name: str = STORE.name) -> None:
        """As the poller does."""
        record = self.cache.stores[ObjectKey("team", name)]
        wanted = {
            each.spec.source.key
            for each in self.cache.certificates.values()
            if isinstance(each.spec.source, S3Source) and each.spec.source.store == name
        }
        keys = await self.discovery.collector(record, wanted)
        assert keys is not None
        keys.begin()
        for key, (_, etag) in sorted(self.bucket.objects.items()):
            if key not in wanted:
                keys.add(key, etag)
        etags = {key: etag for key, (_, etag) in self.bucket.objects.items() if key in wanted}
        self.discovery.listed(record, keys, Listing(etags, len(self.bucket.objects)))

    def credentials_change(self) -> None:
        """As a watch of Secrets tells it."""
        record = self.cache.stores[STORE]
        self.cache.stores[STORE] = replace(record, configuration=next_configuration())

    async def go(self, name: str = STORE.name) -> int:
        """Turns until the store is not due any more; the number of turns."""
        turns = 1
        while await self.discovery.reconcile(ObjectKey("team", name)) is not None:
            turns += 1
        return turns

    async def look(self, name: str = STORE.name) -> dict[str, int]:
        """A whole pass; the skipped keys by reason."""
        await self.poll(name)
        await self.go(name)
        return self.skipped(name)

    def skipped(self, name: str = STORE.name) -> dict[str, int]:
        result = self.discovery.result(self.cache.stores[ObjectKey("team", name)])
        assert result is not None
        return {each.reason: each.count for each in result.outcome.skipped}

    @property
    def says(self) -> tuple[str, str]:
        result = self.discovery.result(self.cache.stores[STORE])
        assert result is not None
        assert result.condition is not None
        return result.condition.status, result.condition.reason

    @property
    def sources(self) -> list[str]:
        return sorted(each["spec"]["source"]["s3"]["key"] for each in self.api.objects.values())


@pytest.fixture
def world() -> World:
    world = World()
    world.cache.upsert_store(store())
    return world


def keys(numbers: Iterable[int]) -> list[str]:
    return [f"c{number:05}/client.pem" for number in numbers]


async def test_each_object_is_read_once(world: World) -> None:
    """A few at once, in turns of the queue; not again while its ETag is the same, whether it was made or skipped."""
    world.bucket.put(*keys(range(300)))
    world.bucket.put(*keys(range(300, 500)), content=b"no certificate")
    await world.poll()
    assert await world.go() == 500 // IN_A_TURN + 1
    assert world.skipped() == {"NotACertificate": 200}
    assert (len(world.api.objects), world.bucket.reads.total()) == (300, 500)
    assert world.bucket.most_at_once <= 8
    assert await world.look() == {"NotACertificate": 200}
    assert world.bucket.reads.total() == 500
    world.bucket.put(*keys([499]), etag="2")
    assert await world.look() == {"NotACertificate": 199}
    assert world.bucket.reads.total() == 501


async def test_a_report_of_ten_thousand_is_read_once(world: World) -> None:
    """With what is no certificate, which takes less time to read."""
    world.cache.upsert_store(store(version=2, mode="Report"))
    world.bucket.put(*keys(range(10_000)), content=b"")
    assert await world.look() == {"Empty": 10_000}
    assert await world.look() == {"Empty": 10_000}
    assert world.bucket.reads.total() == 10_000


async def test_the_limit_is_exact_whatever_is_no_certificate(world: World) -> None:
    """What is behind it is not read; in a report neither."""
    world.bucket.put(*keys(range(0, 40, 2)), content=b"no certificate")
    world.bucket.put(*keys(range(1, 40, 2)))
    for version, mode in ((2, "Report"), (3, "Create")):
        world.cache.upsert_store(store(version=version, mode=mode, limit=7))
        assert await world.look() == {"LimitReached": 26, "NotACertificate": 7}
        assert world.says == ("False", "LimitReached")
    assert len(world.api.objects) == 7
    assert world.sources == keys(range(1, 15, 2))


async def test_a_namespace_has_a_limit_for_what_is_not_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its stores share it; another namespace has its own."""
    world.bucket.put(*keys(range(40)), content=b"no certificate")
    monkeypatch.setattr("clientcert.controllers.store_discovery.reconciler.MOST_KEYS", 25)
    assert candidates.MOST_KEYS == 20_000
    world.cache.upsert_store(store("second"))
    assert await world.look() == {"NotACertificate": 25, "TooManyKeys": 15}
    assert world.says == ("False", "TooManyKeys")
    assert await world.look("second") == {"TooManyKeys": 40}


async def test_keys_that_wait_for_their_turn_count_as_well(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred stores of one namespace may be listed before the first of them is read."""
    world.bucket.put(*keys(range(40)))
    monkeypatch.setattr("clientcert.controllers.store_discovery.reconciler.MOST_KEYS", 25)
    world.cache.upsert_store(store("second"))
    await world.poll()
    await world.poll("second")
    await world.go("second")
    assert world.skipped("second") == {"TooManyKeys": 40}


async def test_without_the_right_one_create_is_refused(world: World) -> None:
    world.bucket.put(*keys(range(50)))
    world.api.errors = [KubeError(Reason.FORBIDDEN, "not allowed", status=403)] * 50
    await world.look()
    assert world.api.creates == 1
    assert world.says == ("False", "Forbidden")
    world.api.errors = []
    await world.look()
    assert len(world.api.objects) == 50
    assert world.says == ("True", "Discovered")


async def test_a_webhook_that_refuses_one_object_stops_no_other(world: World) -> None:
    """It answers with the status of a missing right."""
    world.bucket.put(*keys(range(5)))
    words = 'admission webhook "names.example" denied the request: a name must have a team'
    world.api.errors = [KubeError(Reason.FORBIDDEN, words, status=403)]
    assert await world.look() == {"Forbidden": 1}
    assert len(world.api.objects) == 4
    assert world.says == ("False", "Forbidden")


async def test_nothing_is_made_if_another_replica_may_lead_soon(world: World) -> None:
    world.bucket.put(*keys(range(20)))
    world.may_start = False
    await world.poll()
    with pytest.raises(KubeError, match="another replica may lead"):
        await world.go()
    assert world.api.objects == {}
    world.may_start = True
    await world.go()
    assert len(world.api.objects) == 20


async def test_what_the_api_server_does_not_answer_is_made_later(world: World) -> None:
    """The pass goes on where it was; nothing is made twice, and nothing is forgotten."""
    world.bucket.put(*keys(range(30)))
    away = KubeError(Reason.API_UNAVAILABLE, "away", retryable=True)
    world.api.errors = [None, None, away, None, away]
    await world.poll()
    for _ in range(2):
        try:
            await world.go()
            break
        except KubeError:
            continue
    await world.go()
    assert world.sources == keys(range(30))
    assert world.says == ("True", "Discovered")


async def test_a_bucket_that_answers_no_more_ends_the_pass(world: World) -> None:
    """The condition says so; what else the status says stays. The next LIST begins again."""
    world.bucket.put(*keys(range(100)))
    down = SourceError(Reason.SOURCE_UNAVAILABLE, "down", retryable=True)
    world.bucket.errors = dict.fromkeys(keys(range(100)), down)
    await world.poll()
    await world.go()
    assert world.bucket.reads.total() == 16
    assert world.says == ("False", "SourceUnavailable")
    world.bucket.errors = dict.fromkeys(keys(range(5)), down)
    assert await world.look() == {"SourceUnavailable": 5}
    assert world.says == ("False", "SourceUnavailable")
    assert len(world.api.objects) == 95


async def test_an_object_that_may_not_be_read_is_tried_again_after_an_hour(world: World) -> None:
    """Its ETag stays the same when the right is granted."""
    world.bucket.put(*keys(range(3)))
    world.bucket.errors = {keys([1])[0]: SourceError(Reason.ACCESS_DENIED, "denied")}
    for _ in range(2):
        assert await world.look() == {"AccessDenied": 1}
    assert world.says == ("False", "AccessDenied")
    assert world.bucket.reads[keys([1])[0]] == 1
    await asyncio.sleep(3601)
    world.bucket.errors = {}
    assert await world.look() == {}
    assert len(world.api.objects) == 3
    assert world.says == ("True", "Discovered")


async def test_other_credentials_are_tried_at_once(world: World) -> None:
    """The Secret has changed: only what failed is read again."""
    world.bucket.put(*keys(range(3)))
    world.bucket.put(*keys([3]), content=b"no certificate")
    world.bucket.errors = {keys([1])[0]: SourceError(Reason.ACCESS_DENIED, "denied")}
    assert await world.look() == {"AccessDenied": 1, "NotACertificate": 1}
    world.bucket.errors = {}
    world.credentials_change()
    assert await world.look() == {"NotACertificate": 1}
    assert world.bucket.reads == dict.fromkeys(keys([0, 2, 3]), 1) | {keys([1])[0]: 2}


async def test_nothing_is_made_until_all_that_is_there_is_known(world: World) -> None:
    """The first list of ClientCertificates may fail for minutes while the bucket is listed: each would get a second."""
    world.bucket.put(*keys(range(3)))
    world.knows_all = False
    await world.poll()
    due = await world.discovery.reconcile(STORE)
    assert due is not None
    assert due > clock()
    assert (world.bucket.reads.total(), world.api.objects) == (0, {})
    world.cache.upsert_certificate(world.api.put(certificate("by-hand", keys([1])[0])))
    world.knows_all = True
    await world.go()
    assert world.sources == keys(range(3))
    assert world.bucket.reads.total() == 2


async def test_a_report_does_not_count_what_is_watched_since_the_list(world: World) -> None:
    """After a start, the LIST of the bucket may come before that of the ClientCertificates."""
    world.cache.upsert_store(store(version=2, mode="Report"))
    world.bucket.put(*keys(range(3)))
    await world.poll()
    for number in range(2):
        world.cache.upsert_certificate(world.api.put(certificate(f"by-hand-{number}", keys([number])[0])))
    await world.go()
    result = world.discovery.result(world.cache.stores[STORE])
    assert result is not None
    assert result.outcome.would_create == 1
    assert world.bucket.reads.total() == 1


class TestASecondObject:
    """A source that any object watches never gets one."""

    async def test_not_if_the_watch_is_behind(self, world: World) -> None:
        """A person has applied the manifest of an import: the name is taken, which shows it."""
        world.bucket.put("nhs/client.pem")
        world.api.put(certificate("nhs-prod", "nhs/client.pem"))
        assert await world.look() == {}
        assert world.sources == ["nhs/client.pem"]
        assert world.says == ("True", "Discovered")

    async def test_not_if_it_comes_during_the_pass(self, world: World) -> None:
        """By any name: the cache is asked right before each create."""
        world.bucket.put("nhs/client.pem")
        await world.poll()
        world.cache.upsert_certificate(world.api.put(certificate("by-hand", "nhs/client.pem")))
        await world.go()
        assert world.sources == ["nhs/client.pem"]

    async def test_not_by_another_store_of_the_bucket(self, world: World) -> None:
        """Both look at the same time, with patterns by which the names differ."""
        world.cache.upsert_store(store("second", keyPattern="{consumer}/live/client.pem"))
        world.cache.upsert_store(store(version=2, keyPattern="nhs/{consumer}/client.pem"))
        world.bucket.put("nhs/live/client.pem")
        await world.poll()
        await world.poll("second")
        await asyncio.gather(world.go(), world.go("second"))
        assert world.sources == ["nhs/live/client.pem"]

    async def test_not_if_its_store_is_not_known_yet(self, world: World) -> None:
        """It may be of this bucket: a watch, or a person, may be slower with the store than with what names it."""
        world.bucket.put("nhs/client.pem", "weather/client.pem")
        world.cache.upsert_certificate(world.api.put(certificate("by-hand", "nhs/client.pem", store="later")))
        world.cache.upsert_certificate(world.api.put(certificate("elsewhere", "weather/client.pem", store="other")))
        elsewhere = store("other")
        elsewhere["spec"]["s3"]["bucket"] = "another"
        world.cache.upsert_store(elsewhere)
        await world.look()
        assert world.sources == ["nhs/client.pem", "weather/client.pem", "weather/client.pem"]

    @pytest.mark.parametrize("endpoint", ["https://minio.example", "https://MINIO.example:443/"])
    async def test_not_by_a_store_that_spells_its_server_otherwise(self, world: World, endpoint: str) -> None:
        for name, spelling in ((STORE.name, "https://minio.example:443"), ("second", endpoint)):
            body = store(name, version=2)
            body["spec"]["s3"]["endpoint"] = spelling
            world.cache.upsert_store(body)
        world.bucket.put("nhs/client.pem")
        world.cache.upsert_certificate(world.api.put(certificate("by-hand", "nhs/client.pem", store="second")))
        assert await world.look() == {}
        assert world.sources == ["nhs/client.pem"]

    async def test_a_name_that_another_source_has_is_not_one(self, world: World) -> None:
        world.bucket.put("nhs/client.pem")
        world.api.put(certificate("nhs-prod", "elsewhere"))
        await world.look()
        other = object_names("nhs", "prod", S3Source("backup", "nhs/client.pem")).other
        assert set(world.api.objects) == {("team", "nhs-prod"), ("team", other)}

    async def test_nor_if_both_names_are_taken(self, world: World) -> None:
        world.bucket.put("nhs/client.pem", "weather/client.pem")
        for name in object_names("nhs", "prod", S3Source("backup", "nhs/client.pem")):
            world.api.put(certificate(name, f"elsewhere/{name}"))
        assert await world.look() == {"NameTaken": 1}
        assert await world.look() == {"NameTaken": 1}
        assert world.says == ("False", "NameTaken")
        assert len(world.api.objects) == 3


async def test_a_changed_spec_ends_the_pass(world: World) -> None:
    """The poller lists the bucket again at once."""
    world.bucket.put(*keys(range(10)))
    await world.poll()
    world.cache.upsert_store(store(version=2, mode="Report"))
    await world.go()
    assert world.api.objects == {}


async def test_another_bucket_or_other_credentials_end_the_pass(world: World) -> None:
    """Also in the middle of a turn: what the LIST has shown is not there, or not seen, any more."""
    world.bucket.put(*keys(range(50)))
    await world.poll()
    world.credentials_change()
    assert await world.discovery.reconcile(STORE) is None
    assert world.api.objects == {}
    await world.poll()
    turn = asyncio.create_task(world.go())
    while len(world.api.objects) < 8:
        await asyncio.sleep(0.01)
    other = store(version=2)
    other["spec"]["s3"]["bucket"] = "other"
    world.cache.upsert_store(other)
    made = len(world.api.objects)
    await turn
    assert len(world.api.objects) == made


async def test_a_store_that_is_deleted_makes_nothing(world: World) -> None:
    world.bucket.put(*keys(range(10)))
    await world.poll()
    world.cache.remove_store(STORE)
    assert await world.discovery.reconcile(STORE) is None
    assert world.api.objects == {}


async def test_a_new_term_begins_without_what_was_listed_before(world: World) -> None:
    """Another replica has led since. What the poller lists before the queue is open is not lost."""
    world.bucket.put(*keys(range(10)))
    await world.poll()
    world.discovery.end_term()
    await world.go()
    assert world.api.objects == {}
    await world.poll()
    world.queue.open()
    world.discovery.begin_term()
    item = await world.queue.take()
    assert item is not None
    assert (item.kind, item.key) == (STORE_DISCOVERY, STORE)


async def test_an_unexpected_error_about_one_object_stops_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.bucket.put(*keys(range(10)))
    world.bucket.errors = cast("Any", {keys([3])[0]: ZeroDivisionError("secret words")})
    assert await world.look() == {"InternalError": 1}
    assert len(world.api.objects) == 9
    assert "unexpected ZeroDivisionError" in caplog.text
    assert "secret words" not in caplog.text


async def test_a_refused_object_is_skipped_with_a_reason(world: World) -> None:
    """By the schema, or by a policy of the cluster; it is tried again after an hour."""
    world.bucket.put(*keys(range(3)))
    world.api.errors = [None, KubeError(Reason.UNPROCESSABLE, "no", status=422)]
    assert await world.look() == {"Unprocessable": 1}
    assert await world.look() == {"Unprocessable": 1}
    assert len(world.api.objects) == 2
    await asyncio.sleep(3601)
    await world.look()
    assert len(world.api.objects) == 3
