"""A bucket and an API server that do as a test says, and the discovery over them."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from clientcert.cache.decoding import next_configuration
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.store_discovery.candidates import LIMITS, KeyLimits
from clientcert.controllers.store_discovery.examiner import Examiner
from clientcert.controllers.store_discovery.fenced_writer import FencedWriter
from clientcert.controllers.store_discovery.making import Maker
from clientcert.controllers.store_discovery.pruning import Pruner
from clientcert.controllers.store_discovery.reconciler import StoreDiscovery
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
        self.conflicts = 0
        """Of the next deletes."""

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

    async def delete(self, path: str, uid: str, resource_version: str) -> None:
        if self.conflicts:
            self.conflicts -= 1
            raise KubeError(Reason.CONFLICT, "it has changed", status=409, retryable=True)
        metadata = self.objects.pop((path.split("/")[5], path.rpartition("/")[2]))["metadata"]
        assert (metadata["uid"], metadata["resourceVersion"]) == (uid, resource_version)


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
    def __init__(self, limits: KeyLimits = LIMITS) -> None:
        self.bucket, self.api, self.may_start, self.knows_all = Bucket(), Api(), True, True
        self.queue, budget, metrics = WorkQueue(clock), LoopBudget(), Metrics()
        self.queue.open()
        self.cache = ObjectCache(self.queue)
        sources = SourceCache(self.cache, {S3Source: self.bucket}, cast("Any", None), clock, metrics, budget)
        writer = FencedWriter(cast("Any", self.api), lambda _: self.may_start)
        maker = Maker(self.cache, self.bucket, sources, writer, clock, metrics)
        examiner = Examiner(self.cache, maker, clock, budget)
        pruner = Pruner(self.cache, writer, clock, metrics, budget)
        informers = cast("Any", SimpleNamespace(know_certificates=lambda _: self.knows_all))
        self.discovery = StoreDiscovery(
            self.cache, informers, self.queue, examiner, pruner, ROLES, clock, budget, limits
        )

    async def poll(self, name: str = STORE.name) -> None:
        """As the poller does."""
        record = self.cache.stores[ObjectKey("team", name)]
        wanted = {
            each.spec.source.key
            for each in self.cache.certificates.values()
            if isinstance(each.spec.source, S3Source) and each.spec.source.store == name
        }
        assert self.discovery.may_look(record)
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


def keys(numbers: Iterable[int]) -> list[str]:
    return [f"c{number:05}/client.pem" for number in numbers]


def discovering(limits: KeyLimits = LIMITS) -> World:
    """With one store, in mode Create."""
    world = World(limits)
    world.cache.upsert_store(store())
    return world
