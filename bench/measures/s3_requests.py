"""P1: the number of requests to a bucket in steady state.

The operator reads 1,000 certificates from one CertificateStore that is polled every 10 seconds, through a proxy that
counts each request on its way to a real S3 server. The interval begins with the first page of a LIST after all
certificates were read, and ends just before the first page of the LIST `sizes.polls` polls later; the figure is the
number of requests divided by the number of polls.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench import bucket, fleet
from bench.bucket import Bucket, filled_bucket
from bench.counting_proxy import CountingProxy, counting
from bench.goals import Bound, Figure, Outcome
from bench.kubernetes import all_of
from bench.scene import Scene

GOAL = "S3 requests in steady state at 1,000 certificates ≤ 1.1 x ⌈keys/1000⌉ a poll"
_NAMESPACE = "stored"
_STORE = "backup-prod"
_POLL_SECONDS = 10


async def measure(scene: Scene) -> Outcome:
    async with (
        filled_bucket(scene) as filled,
        counting(filled.server.endpoint) as proxy,
        _declared(scene, filled, proxy),
        scene.operator(env={"CLIENTCERT_ALLOWED_HOSTS": proxy.host}),
    ):
        await scene.statuses.all_written(filled.certificates, 120)
        await scene.statuses.quiet(2)
        first_scan = len(proxy.requests)
        scene.say(f"all read after {first_scan} requests; counting over {scene.sizes.polls} polls")
        steady, polls = await _steady(scene, proxy, first_scan)
    return Outcome(
        GOAL,
        (Figure(f"{polls} polls, {steady} requests", steady / polls, "a poll", Bound.AT_MOST, 1.1 * filled.lists),),
        against=f"{filled.keys} keys: {filled.lists} pages a LIST; the incumbent makes {filled.certificates} and more",
        details={"keys": filled.keys, "requestsUntilAllRead": first_scan},
    )


async def _steady(scene: Scene, proxy: CountingProxy, first_scan: int) -> tuple[int, int]:
    """The number of requests, and the number of polls that they belong to."""

    def beginnings() -> list[int]:
        return [n for n, request in enumerate(proxy.requests) if n >= first_scan and request.begins_a_list]

    polls = scene.sizes.polls
    patience = (polls + 2) * _POLL_SECONDS + 30
    await scene.statuses.until(lambda: len(beginnings()) > polls, patience, f"{polls} polls of the bucket")
    found = beginnings()
    return found[polls] - found[0], polls


@asynccontextmanager
async def _declared(scene: Scene, filled: Bucket, proxy: CountingProxy) -> AsyncIterator[None]:
    """Create a CertificateStore and a ClientCertificate for each consumer; they are deleted at the end."""
    server = filled.server
    await scene.create_namespace(_NAMESPACE)
    credentials = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    await scene.kubernetes.create(
        f"/api/v1/namespaces/{_NAMESPACE}/secrets",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3"}, "stringData": credentials},
    )
    s3 = {"bucket": bucket.NAME, "region": server.region, "endpoint": f"http://{proxy.host}"}
    spec = {"s3": {**s3, "credentialsSecretRef": {"name": "s3"}}, "pollEvery": f"{_POLL_SECONDS}s"}
    stores = f"/apis/{fleet.API_VERSION}/namespaces/{_NAMESPACE}/certificatestores"
    store = {"apiVersion": fleet.API_VERSION, "kind": "CertificateStore", "metadata": {"name": _STORE}, "spec": spec}
    await scene.kubernetes.create(stores, store)
    collection = fleet.certificates_in(_NAMESPACE)

    async def create(index: int) -> None:
        await scene.kubernetes.create(collection, fleet.stored_certificate(index, _NAMESPACE, _STORE))

    await all_of(create, range(filled.certificates))
    try:
        yield
    finally:
        await scene.kubernetes.delete(collection)
        await scene.kubernetes.delete(stores)
        await scene.statuses.until(lambda: not scene.statuses.objects, 60, "the watch to show that all are deleted")
