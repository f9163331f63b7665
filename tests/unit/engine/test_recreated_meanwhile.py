"""An object that is deleted and created again while it is compared: the answer is about the old one, the new one stays.

Watch and answer come over two connections, so the event about the new one may come first.
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

    async def pages(self, path: str, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        if path.endswith(self.listed):
            self.meanwhile()
        yield Page("99", [])

    async def get(self, path: str) -> Any:
        self.meanwhile()
        raise KubeError(Reason.NOT_FOUND, f"{path} is gone")


def compared(api: Api, cache: ObjectCache) -> Resync:
    others = ListWatch(cast("Any", api), "/others", LoopBudget())
    informers = Informers(cache, {"": Watches(others, others, *[others] * 4)}, LoopBudget())
    return Resync(cache, cast("Any", api), informers, Metrics())


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
