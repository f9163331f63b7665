"""A term begins once the certificates were listed for the first time: beside busy workers, a long list never ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from clientcert.cache.informers import Informers, Watches
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.resync import Resync
from clientcert.errors import KubeError, Reason
from clientcert.kube.client import Page
from clientcert.kube.list_watch import ListWatch
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import NOW
from tests.unit.engine.test_object_cache import body

CERTIFICATES = "/apis/clientcert.dev/v1alpha1/clientcertificates"


class Api:
    """Answers lists without an item; all of them fail while `refuses` is set."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self.refuses = False

    async def pages(self, path: str, *, metadata_only: bool = False) -> AsyncIterator[Page]:
        self.listed.append(path)
        if self.refuses:
            raise KubeError(Reason.FORBIDDEN, "no rights")
        yield Page("1", [])

    async def get(self, path: str) -> Any:
        raise KubeError(Reason.NOT_FOUND, f"{path} is gone")


class Namespace:
    """All namespaces, as one watch."""

    def __init__(self, known: bool) -> None:
        self.api = Api()
        cache = ObjectCache(WorkQueue(lambda: NOW))
        if known:
            cache.upsert_certificate(body("1"))
        client = cast("Any", self.api)
        self.certificates = ListWatch(client, CERTIFICATES, LoopBudget())
        others = ListWatch(client, "/others", LoopBudget())
        watches = Watches(others, self.certificates, *[others] * 4)
        self.informers = Informers(cache, {"": watches}, LoopBudget())
        self.resync = Resync(cache, client, self.informers, cast("Any", None), Metrics())

    async def begins_within(self, seconds: float) -> bool:
        freshening = asyncio.create_task(self.resync.freshen())
        done, _ = await asyncio.wait([freshening], timeout=seconds)
        freshening.cancel()
        return bool(done)


async def test_a_term_waits_for_the_first_list() -> None:
    """However long it takes, within five minutes; and then nothing is listed a second time."""
    place = Namespace(known=False)
    await place.resync.prime("")
    freshening = asyncio.create_task(place.resync.freshen())
    await asyncio.sleep(200)
    assert not freshening.done()
    place.certificates.attempted.set()
    await freshening
    assert CERTIFICATES not in place.api.listed


async def test_a_term_that_begins_during_the_first_list_lists_again() -> None:
    """Another replica may have written after the list had begun."""
    place = Namespace(known=True)
    await place.resync.prime("")
    place.certificates.attempted.set()
    assert await place.begins_within(1)
    assert CERTIFICATES in place.api.listed


async def test_a_list_that_never_ends_holds_no_term_up_for_ever() -> None:
    """After five minutes the term begins with what is known."""
    place = Namespace(known=False)
    await place.resync.prime("")
    assert not await place.begins_within(299)
    assert await place.begins_within(302)


async def test_a_namespace_that_cannot_be_listed_holds_no_term_up() -> None:
    """Neither if its policies are refused, nor if its certificates are."""
    place = Namespace(known=False)
    place.api.refuses = True
    priming = asyncio.create_task(place.resync.prime(""))
    assert await place.begins_within(5)
    priming.cancel()
    place = Namespace(known=False)
    await place.resync.prime("")
    place.api.refuses = True

    async def watch() -> None:
        async for _ in place.certificates.changes():
            pass

    watching = asyncio.create_task(watch())
    assert await place.begins_within(5)
    watching.cancel()
