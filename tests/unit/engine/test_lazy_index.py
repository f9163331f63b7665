"""Objects that only renewals look up are indexed when one does, whatever changes meanwhile, and costs no neighbour."""

import asyncio
from typing import Any

import pytest

from clientcert.cache.lazy_index import LazyIndex
from clientcert.cache.object_cache import ObjectCache
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import NOW
from tests.unit.engine.test_object_cache import body

ISSUER = "CN=Integration CA"


def certificate(name: str, serial_number: str, version: int = 10) -> dict[str, Any]:
    accepted = {
        "subjectDN": "CN=nhs",
        "issuerDN": ISSUER,
        "serialNumber": serial_number,
        "fingerprintSHA256": "a93b",
        "notBefore": "2026-08-14T09:00:00Z",
        "notAfter": "2026-12-06T10:00:00Z",
        "keyAlgorithm": "ECDSA P-256",
    }
    status = {"observedGeneration": 1, "phase": "Valid", "certificate": accepted}
    found = body(str(version), uid=f"u-{name}", status=status)
    return {**found, "metadata": {**found["metadata"], "name": name}}


def new_cache(*certificates: dict[str, Any]) -> ObjectCache:
    cache = ObjectCache(WorkQueue(lambda: NOW))
    for each in certificates:
        cache.upsert_certificate(each)
    return cache


def names(cache: ObjectCache, serial_number: str) -> set[str]:
    return {each.name for each in cache.serials.with_serial("team", ISSUER, serial_number)}


async def test_what_changes_while_the_index_is_filled_is_in_it_as_it_is() -> None:
    """Before its turn, and after it; whoever waited for the first reader has a full index, too."""
    cache = new_cache(*(certificate(f"c{number}", "1") for number in range(3_000)))
    filling = [asyncio.create_task(cache.serials.fill()) for _ in range(64)]
    await asyncio.sleep(0)
    assert len(names(cache, "1")) == 1_000, "however many wait for it"
    for name in ("c0", "c2999"):
        cache.upsert_certificate(certificate(name, "2", 11))
    for name in ("c1", "c2998"):
        cache.remove_certificate(ObjectKey("team", name))
    cache.upsert_certificate(certificate("new", "1"))
    await asyncio.gather(*filling)
    assert names(cache, "2") == {"c0", "c2999"}
    assert names(cache, "1") == {f"c{number}" for number in range(2, 2_998)} | {"new"}


async def test_the_last_ones_that_share_a_certificate_are_told_of_each_other() -> None:
    """A request that waits names a few of them. Each of thousands would cause work for all others."""
    cache = new_cache(*(certificate(f"c{number:02}", "1") for number in range(10)))
    await cache.serials.fill()
    told = []
    for number in range(9):
        before = cache.certificates[ObjectKey("team", f"c{number:02}")]
        told.append(len(cache.serials.change(before, None)))
    assert told == [0, 0, 0, 6, 5, 4, 3, 2, 1]
    assert names(cache, "1") == {"c09"}


@pytest.mark.parametrize("gone", ["first", "second", "third"])
def test_any_of_several_may_go(gone: str) -> None:
    index = LazyIndex[str]()
    every = {name: ObjectKey("team", name) for name in ("first", "second", "third")}
    for each in (*every.values(), *every.values()):
        index.add("serial", each)
    assert sorted(index.objects("serial")) == sorted(every.values())
    index.discard("serial", every.pop(gone))
    index.discard("serial", ObjectKey("team", "never there"))
    assert sorted(index.objects("serial")) == sorted(every.values())
    for each in every.values():
        index.discard("serial", each)
    assert index.objects("serial") == ()
    assert (index._first, index._others) == ({}, {})
