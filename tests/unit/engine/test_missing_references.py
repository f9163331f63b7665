"""Objects that a certificate refers to are used from its first reconcile, in any order of the watch events."""

import pytest

from clientcert.cache.missing_references import MissingReferences
from clientcert.cache.object_cache import ObjectCache
from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.spec import ObjectKey
from tests.unit.engine.test_object_cache import KEY, RecordingQueue, body, policy

NAMED = "?fieldSelector=metadata.name="
POLICIES = "/apis/clientcert.dev/v1alpha1/namespaces/team/certificatepolicies"
STORES = "/apis/clientcert.dev/v1alpha1/namespaces/team/certificatestores"
IN_STORE = {"type": "S3", "s3": {"storeRef": {"name": "backup"}, "key": "nhs.pem"}}
BACKUP = {"metadata": body("11")["metadata"] | {"name": "backup"}, "spec": {"s3": {"bucket": "b"}}}


class Api:
    """Answers a LIST with its objects, and accepts every status."""

    def __init__(self, **there):
        self.there = there
        self.asked = []
        self.error = None

    async def get(self, path):
        self.asked.append(path)
        if self.error:
            raise self.error
        found = self.there.get(path.rpartition("=")[2])
        return {"items": [found] if found else []}


@pytest.fixture
def store():
    return ObjectCache(RecordingQueue())


async def fetch(store, api, missing=None):
    missing = missing or MissingReferences(store, api)
    if store.lacks_references(store.certificates[KEY]):
        await missing.fetch(store.certificates[KEY])
    return missing


async def test_a_policy_is_read_before_its_watch_event_arrives(store):
    """It is read before the first reconcile."""
    store.upsert_certificate(body(policyRef={"name": "mine"}))
    api = Api(mine=policy("mine", "9", "slack"))
    await fetch(store, api)
    assert set(store.policies.policies) == {ObjectKey("team", "mine")}
    assert api.asked == [f"{POLICIES}{NAMED}mine"]


async def test_a_store_is_read_before_its_watch_event_arrives(store):
    store.upsert_certificate(body(source=IN_STORE))
    api = Api(backup=BACKUP)
    await fetch(store, api)
    assert set(store.stores) == {ObjectKey("team", "backup")}
    assert api.asked == [f"{STORES}{NAMED}backup"]


async def test_a_cached_reference_is_not_requested(store):
    store.upsert_store(BACKUP)
    store.policies.upsert(policy("mine", "9", "slack"))
    store.upsert_certificate(body(source=IN_STORE, policyRef={"name": "mine"}))
    api = Api()
    await fetch(store, api)
    assert api.asked == []


async def test_a_missing_reference_is_requested_once(store):
    """Until the spec changes, because the new spec may refer to another object."""
    store.upsert_certificate(body(policyRef={"name": "none"}))
    api = Api()
    missing = await fetch(store, api)
    await fetch(store, api, missing)
    assert api.asked == [f"{POLICIES}{NAMED}none"]
    store.upsert_certificate(body("20", generation=2, policyRef={"name": "other"}))
    await fetch(store, api, missing)
    assert api.asked == [f"{POLICIES}{NAMED}none", f"{POLICIES}{NAMED}other"]


async def test_an_api_server_outage_delays_no_reconcile(store):
    """The defaults are used, as for any unusable policy, and the next reconcile requests it again."""
    store.upsert_certificate(body(policyRef={"name": "mine"}))
    api = Api(mine=policy("mine", "9", "slack"))
    api.error = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
    missing = await fetch(store, api)
    assert store.policies.policies == {}
    api.error = None
    await fetch(store, api, missing)
    assert set(store.policies.policies) == {ObjectKey("team", "mine")}
