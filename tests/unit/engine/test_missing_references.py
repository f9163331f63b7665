"""What a certificate names counts from the beginning, whichever watch is the quicker one."""

import pytest

from clientcert.cache.missing_references import MissingReferences
from clientcert.cache.object_cache import ObjectCache
from clientcert.errors import KubeError, Reason
from clientcert.lifecycle.spec import ObjectKey
from tests.unit.engine.test_object_cache import KEY, Enqueued, body, policy

NAMED = "?fieldSelector=metadata.name="
POLICIES = "/apis/clientcert.dev/v1alpha1/namespaces/team/certificatepolicies"
STORES = "/apis/clientcert.dev/v1alpha1/namespaces/team/certificatestores"
IN_STORE = {"type": "S3", "s3": {"storeRef": {"name": "backup"}, "key": "nhs.pem"}}
BACKUP = {"metadata": body("11")["metadata"] | {"name": "backup"}, "spec": {"s3": {"bucket": "b"}}}


class Api:
    """Answers a LIST by what there is, and takes every status."""

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
    return ObjectCache(Enqueued())


async def fetch(store, api, missing=None):
    missing = missing or MissingReferences(store, api)
    if store.lacks_references(store.certificates[KEY]):
        await missing.fetch(store.certificates[KEY])
    return missing


async def test_a_policy_whose_event_is_still_on_its_way(store):
    """It is taken over before the first reconcile."""
    store.upsert_certificate(body(policyRef={"name": "mine"}))
    api = Api(mine=policy("mine", "9", "slack"))
    await fetch(store, api)
    assert set(store.policies) == {ObjectKey("team", "mine")}
    assert api.asked == [f"{POLICIES}{NAMED}mine"]


async def test_a_store_whose_event_is_still_on_its_way(store):
    store.upsert_certificate(body(source=IN_STORE))
    api = Api(backup=BACKUP)
    await fetch(store, api)
    assert set(store.stores) == {ObjectKey("team", "backup")}
    assert api.asked == [f"{STORES}{NAMED}backup"]


async def test_what_is_known_is_not_asked_for(store):
    store.upsert_store(BACKUP)
    store.upsert_policy(policy("mine", "9", "slack"))
    store.upsert_certificate(body(source=IN_STORE, policyRef={"name": "mine"}))
    api = Api()
    await fetch(store, api)
    assert api.asked == []


async def test_what_is_not_there_is_asked_for_once(store):
    """Until the spec changes: then it may name something else."""
    store.upsert_certificate(body(policyRef={"name": "none"}))
    api = Api()
    missing = await fetch(store, api)
    await fetch(store, api, missing)
    assert api.asked == [f"{POLICIES}{NAMED}none"]
    store.upsert_certificate(body("20", generation=2, policyRef={"name": "other"}))
    await fetch(store, api, missing)
    assert api.asked == [f"{POLICIES}{NAMED}none", f"{POLICIES}{NAMED}other"]


async def test_an_api_server_that_does_not_answer_holds_nothing_up(store):
    """The defaults stand in, as for any policy that cannot be used, and the next look asks again."""
    store.upsert_certificate(body(policyRef={"name": "mine"}))
    api = Api(mine=policy("mine", "9", "slack"))
    api.error = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
    missing = await fetch(store, api)
    assert store.policies == {}
    api.error = None
    await fetch(store, api, missing)
    assert set(store.policies) == {ObjectKey("team", "mine")}
