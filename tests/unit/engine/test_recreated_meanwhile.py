"""An object that is deleted, or deleted and created again, while it is compared: the answer is about the old one.

Watch and answer come over two connections, so the event may come first.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import pytest

from clientcert.cache.informers import Informers, Watches
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.resync import Resync
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import Page
from clientcert.kube.list_watch import ListWatch
from clientcert.lifecycle.spec import ObjectKey
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from tests.unit.engine.test_object_cache import KEY, KINDS, RecordingQueue

LISTED = {"CertificatePolicy": "/certificatepolicies", "CertificateStore": "/certificatestores"}
"""The kinds whose objects are listed whole, and not read one by one."""


class Api:
    """Has no object. `meanwhile` is called before an answer arrives: of a GET, or of a LIST of the `listed` kind."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)
    listed = "a kind"
    last: dict[str, Any] | None = None
    """The object as it was before it was deleted; it is in the answers still."""

    async def pages(self, path: str, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        found = []
        if path.endswith(self.listed):
            self.meanwhile()
            found = [self.last] if self.last else []
        yield Page("99", found)

    async def get(self, path: str) -> Any:
        self.meanwhile()
        if self.last is None:
            raise KubeError(Reason.NOT_FOUND, f"{path} is gone")
        return self.last


def compared(api: Api, cache: ObjectCache) -> Resync:
    others = ListWatch(cast("Any", api), "/others", LoopBudget())
    informers = Informers(cache, {"": Watches(others, others, *[others] * 4)}, LoopBudget())
    return Resync(cache, cast("Any", api), informers, cast("Any", None), Metrics())


@pytest.mark.parametrize("recreated", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_the_new_one_stays(kind: str, recreated: bool) -> None:
    """And one that is gone for good is removed."""
    api, cache = Api(), ObjectCache(cast("Any", RecordingQueue()))
    records, calls, (first, _) = KINDS[kind]
    found: Mapping[ObjectKey, Any] = records(cache)
    upsert, _ = calls(cache)
    upsert(first)
    new = {**first, "metadata": {**first["metadata"], "uid": "another", "resourceVersion": "50"}}
    api.listed = LISTED.get(kind, api.listed)
    if recreated:
        api.meanwhile = lambda: upsert(new)
    await compared(api, cache).repair("")
    assert [record.uid for record in found.values()] == (["another"] if recreated else [])
    assert set(found) <= {KEY}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deleted_one_stays_deleted(kind: str) -> None:
    """The answer was on its way when the watch told of the deletion."""
    api, cache = Api(), ObjectCache(cast("Any", RecordingQueue()))
    records, calls, (first, newer) = KINDS[kind]
    calls(cache)[0](first)
    removals = {
        "ClientCertificate": cache.remove_certificate,
        "CertificatePolicy": cache.policies.remove,
        "CertificateStore": cache.remove_store,
        "CertificateRevocation": cache.revocations.remove,
        "CertificateRenewal": cache.renewals.remove,
    }
    api.listed, api.last = LISTED.get(kind, api.listed), newer
    api.meanwhile = lambda: removals[kind](KEY, "u1")
    await compared(api, cache).repair("")
    assert not records(cache)
