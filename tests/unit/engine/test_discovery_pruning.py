"""Deletions by discovery, and the objects that it keeps since the LIST is no proof, or a person has a claim."""

from typing import Any

import pytest

from tests.builders import DAY, NOW
from tests.unit.engine.discovery_world import STORE, World, certificate, discovering, store

GONE = "left/client.pem"
REQUEST = {
    "metadata": {"namespace": "team", "name": "left-1", "uid": "1", "resourceVersion": "1", "generation": 1},
    "spec": {"certificateRef": {"name": "left-prod"}, "serialNumber": "1", "reuse": True, "requestedBy": "sam"},
}


@pytest.fixture
def world() -> World:
    """One certificate is in the bucket, and another one not for eight days."""
    world = discovering()
    world.cache.upsert_store(store(version=2, prune=True))
    world.bucket.put("nhs/client.pem")
    return world


def made(world: World, **metadata: Any) -> dict[str, Any]:
    """The object that discovery made of the one that has vanished."""
    body = certificate("left-prod", GONE)
    given = {"labels": {"clientcert.dev/discovered": "true"}, "annotations": {"clientcert.dev/discovered-by": "backup"}}
    body["metadata"] |= given | metadata
    since = f"{NOW - 8 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    return world.api.put(body | {"status": {"source": {"gap": {"beginTime": since, "keyGoneTime": since}}}})


async def test_what_is_gone_for_a_week(world: World) -> None:
    world.cache.upsert_certificate(made(world))
    await world.look()
    assert world.sources == ["nhs/client.pem"]


async def test_not_what_came_after_the_list_had_begun(world: World) -> None:
    """The LIST was not asked for its key, so it does not tell whether that is there. The next one does."""
    await world.poll()
    world.cache.upsert_certificate(made(world))
    await world.go()
    assert GONE in world.sources
    await world.look()
    assert world.sources == ["nhs/client.pem"]


async def test_what_changed_meanwhile_is_looked_at_again(world: World) -> None:
    """As by a write of its status; one that changes all the time waits for the next LIST."""
    world.cache.upsert_certificate(made(world))
    world.api.conflicts = 1
    await world.look()
    assert world.sources == ["nhs/client.pem"]
    world.cache.upsert_certificate(made(world))
    world.api.conflicts = 10
    await world.poll()
    assert await world.go() < 20
    assert GONE in world.sources


async def test_not_while_a_request_to_renew_it_is_open(world: World) -> None:
    world.cache.upsert_certificate(made(world))
    body: dict[str, Any] = REQUEST | {"metadata": {**REQUEST["metadata"], "creationTimestamp": "2026-01-01T00:00:00Z"}}
    world.cache.renewals.upsert(body)
    await world.look()
    assert GONE in world.sources
    world.cache.renewals.remove(next(iter(world.cache.renewals.renewals)))
    await world.look()
    assert world.sources == ["nhs/client.pem"]


async def test_not_what_has_lost_its_label(world: World) -> None:
    """Somebody has removed it, to keep the object; that changes no generation, and leaves no manager of a field."""
    world.cache.upsert_certificate(made(world, labels={}))
    await world.look()
    assert GONE in world.sources


async def test_not_after_other_credentials(world: World) -> None:
    """The LIST was that of another user, or of another bucket."""
    world.cache.upsert_certificate(made(world))
    await world.poll()
    world.credentials_change()
    assert await world.discovery.reconcile(STORE) is None
    assert GONE in world.sources


async def test_not_before_all_is_known(world: World) -> None:
    world.cache.upsert_certificate(made(world))
    await world.poll()
    world.knows_all = False
    await world.discovery.reconcile(STORE)
    assert GONE in world.sources
