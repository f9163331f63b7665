"""No collection looks into a container of all that the operator knows: that would stall the event loop."""

import gc
import weakref
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cache.comparison import CachedKind, Comparison
from clientcert.cache.lazy_index import LazyIndex
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.garbage_collection import LARGE, unscanned
from clientcert.kube.client import Page
from clientcert.kube.list_watch import Listed, ListWatch
from clientcert.lifecycle.spec import ObjectKey, SecretSource
from clientcert.loop_budget import LoopBudget
from clientcert.shared_sources import SharedSourcesSearch
from clientcert.workqueue.work_queue import Item, WorkQueue
from tests.builders import NOW, declaration
from tests.unit.engine.one_record import record

KEYS = unscanned(lambda: tuple([ObjectKey("team", f"c{number}") for number in range(LARGE)]))
Large = set[tuple[str, int]]


def scanned() -> Large:
    """Type and address of each large container that the next collections look into.

    Those of other tests are among them, until something is exempt: then all that is there leaves the generations.
    """
    gc.collect()
    every = (each for each in gc.get_objects() if isinstance(each, tuple | list | set | frozenset | dict))
    return {(type(each).__name__, id(each)) for each in every if len(each) >= LARGE}


def read_from(key: ObjectKey) -> CertificateRecord:
    """One whose Secret has its own name."""
    return record(key=key, spec=declaration(source=SecretSource(key.name, "tls.crt")))


class Api:
    """Lists all objects on one page, and tells what a collection looks into before it."""

    def __init__(self) -> None:
        self.scanned: Large = set()

    async def pages(self, _path: str, *, metadata_only: bool) -> AsyncIterator[Page]:
        assert metadata_only
        self.scanned = scanned()
        yield Page(
            "9", [{"metadata": {"namespace": "team", "name": each.name, "resourceVersion": "1"}} for each in KEYS]
        )


def test_a_large_container_is_in_no_generation_and_a_small_one_is() -> None:
    before = scanned()
    large, small = unscanned(set[int]), unscanned(list[list[int]], LARGE - 1)
    large.update(range(LARGE))
    assert scanned() <= before
    assert any(each is small for each in gc.get_objects())
    assert not any(each is large for each in gc.get_objects())


def test_it_is_freed_with_its_last_reference_and_what_was_garbage_is_freed_as_well() -> None:
    class Container(set[int]):
        pass

    garbage = Container()
    cycle: list[Any] = [garbage]
    cycle.append(cycle)
    of_garbage = weakref.ref(garbage)
    del garbage, cycle
    made = unscanned(Container)
    of_made = weakref.ref(made)
    assert of_garbage() is None
    del made
    assert of_made() is None


async def test_a_comparison_has_none() -> None:
    known = unscanned(lambda: {key: cast("Any", SimpleNamespace(uid="u", resource_version="1")) for key in KEYS})
    before, api, nothing = scanned(), Api(), cast("Any", None)
    await Comparison(cast("Any", api), CachedKind(CLIENT_CERTIFICATE, known, nothing, nothing)).compare("")
    assert api.scanned <= before


async def test_a_list_of_secrets_has_none() -> None:
    cache = ObjectCache(WorkQueue(lambda: NOW))
    for key in KEYS:
        cache.certificates[key] = read_from(key)
        cache._references.add(cache.certificates[key])
    gc.freeze()
    before, api = scanned(), Api()
    watch = ListWatch(
        cast("Any", api), "/api/v1/secrets", LoopBudget(), wanted=lambda: cache.secrets_wanted(""), metadata_only=True
    )
    missing = [change.missing async for change in watch.list() if isinstance(change, Listed)]
    assert missing == [set()]
    assert api.scanned <= before
    every = cache.certificates_of(ObjectKey("team", ""))
    assert (len(every), scanned()) == (LARGE, before)


def test_what_is_enqueued_together_is_in_none() -> None:
    """Until all have joined the queue: also keys that have no length, of which at most the whole fleet can be."""
    cache = ObjectCache(queue := WorkQueue(lambda: NOW))
    queue.open()
    for key in KEYS:
        cache.certificates[key] = read_from(key)
    gc.freeze()
    before = scanned()
    cache.enqueue_all(dict.fromkeys(KEYS))
    assert scanned() <= before
    cache.reread_all(iter(KEYS))
    assert scanned() <= before


def test_a_scrape_has_none() -> None:
    records = unscanned(lambda: [read_from(key) for key in KEYS])
    before = scanned()
    search = SharedSourcesSearch(len(records))
    search.note(records)
    assert scanned() <= before


async def test_an_index_that_is_filled_has_none() -> None:
    index = LazyIndex[str]()
    known = dict.fromkeys(KEYS)
    gc.freeze()
    before, during = scanned(), list[Large]()

    def name_of(key: ObjectKey) -> str:
        if key is KEYS[LARGE // 2]:
            during.append(scanned())
        return key.name

    await index.fill(known, name_of)
    assert index.objects("c7") == (KEYS[7],)
    assert during == [before]


def test_the_items_of_a_queue_are_in_none() -> None:
    queue = WorkQueue(lambda: NOW)
    queue.open()
    for key in KEYS:
        queue.schedule(Item("certificate", key), 60)
    gc.freeze()
    before = scanned()
    items = queue.scheduled_items()
    assert scanned() <= before
    assert len(items) == LARGE
