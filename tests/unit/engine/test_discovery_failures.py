"""Discovery over a bucket and an API server that fail, or refuse."""

import asyncio
from typing import Any, cast

import pytest

from clientcert.errors import KubeError, Reason, SourceError
from tests.unit.engine.discovery_world import World, discovering, keys


@pytest.fixture
def world() -> World:
    return discovering()


async def test_without_the_right_one_create_is_refused(world: World) -> None:
    world.bucket.put(*keys(range(50)))
    world.api.errors = [KubeError(Reason.FORBIDDEN, "not allowed", status=403)] * 50
    await world.look()
    assert world.api.creates == 1
    assert world.says == ("False", "Forbidden")
    world.api.errors = []
    await world.look()
    assert len(world.api.objects) == 50
    assert world.says == ("True", "Discovered")


async def test_a_webhook_that_refuses_one_object_stops_no_other(world: World) -> None:
    """It answers with the status of a missing right."""
    world.bucket.put(*keys(range(5)))
    words = 'admission webhook "names.example" denied the request: a name must have a team'
    world.api.errors = [KubeError(Reason.FORBIDDEN, words, status=403)]
    assert await world.look() == {"Forbidden": 1}
    assert len(world.api.objects) == 4
    assert world.says == ("False", "Forbidden")


async def test_nothing_is_made_if_another_replica_may_lead_soon(world: World) -> None:
    world.bucket.put(*keys(range(20)))
    world.may_start = False
    await world.poll()
    with pytest.raises(KubeError, match="another replica may lead"):
        await world.go()
    assert world.api.objects == {}
    world.may_start = True
    await world.go()
    assert len(world.api.objects) == 20


async def test_what_the_api_server_does_not_answer_is_made_later(world: World) -> None:
    """The pass goes on where it was; nothing is made twice, and nothing is forgotten."""
    world.bucket.put(*keys(range(30)))
    away = KubeError(Reason.API_UNAVAILABLE, "away", retryable=True)
    world.api.errors = [None, None, away, None, away]
    await world.poll()
    for _ in range(2):
        try:
            await world.go()
            break
        except KubeError:
            continue
    await world.go()
    assert world.sources == keys(range(30))
    assert world.says == ("True", "Discovered")


async def test_a_bucket_that_answers_no_more_ends_the_pass(world: World) -> None:
    """The condition says so; what else the status says stays. The next LIST begins again."""
    world.bucket.put(*keys(range(100)))
    down = SourceError(Reason.SOURCE_UNAVAILABLE, "down", retryable=True)
    world.bucket.errors = dict.fromkeys(keys(range(100)), down)
    await world.poll()
    await world.go()
    assert world.bucket.reads.total() == 16
    assert world.says == ("False", "SourceUnavailable")
    world.bucket.errors = dict.fromkeys(keys(range(5)), down)
    assert await world.look() == {"SourceUnavailable": 5}
    assert world.says == ("False", "SourceUnavailable")
    assert len(world.api.objects) == 95


async def test_an_object_that_may_not_be_read_is_tried_again_after_an_hour(world: World) -> None:
    """Its ETag stays the same when the right is granted."""
    world.bucket.put(*keys(range(3)))
    world.bucket.errors = {keys([1])[0]: SourceError(Reason.ACCESS_DENIED, "denied")}
    for _ in range(2):
        assert await world.look() == {"AccessDenied": 1}
    assert world.says == ("False", "AccessDenied")
    assert world.bucket.reads[keys([1])[0]] == 1
    await asyncio.sleep(3601)
    world.bucket.errors = {}
    assert await world.look() == {}
    assert len(world.api.objects) == 3
    assert world.says == ("True", "Discovered")


async def test_other_credentials_are_tried_at_once(world: World) -> None:
    """The Secret has changed: only what failed is read again."""
    world.bucket.put(*keys(range(3)))
    world.bucket.put(*keys([3]), content=b"no certificate")
    world.bucket.errors = {keys([1])[0]: SourceError(Reason.ACCESS_DENIED, "denied")}
    assert await world.look() == {"AccessDenied": 1, "NotACertificate": 1}
    world.bucket.errors = {}
    world.credentials_change()
    assert await world.look() == {"NotACertificate": 1}
    assert world.bucket.reads == dict.fromkeys(keys([0, 2, 3]), 1) | {keys([1])[0]: 2}


async def test_an_unexpected_error_about_one_object_stops_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.bucket.put(*keys(range(10)))
    world.bucket.errors = cast("Any", {keys([3])[0]: ZeroDivisionError("secret words")})
    assert await world.look() == {"InternalError": 1}
    assert len(world.api.objects) == 9
    assert "unexpected ZeroDivisionError" in caplog.text
    assert "secret words" not in caplog.text


async def test_a_refused_object_is_skipped_with_a_reason(world: World) -> None:
    """By the schema, or by a policy of the cluster; it is tried again after an hour."""
    world.bucket.put(*keys(range(3)))
    world.api.errors = [None, KubeError(Reason.UNPROCESSABLE, "no", status=422)]
    assert await world.look() == {"Unprocessable": 1}
    assert await world.look() == {"Unprocessable": 1}
    assert len(world.api.objects) == 2
    await asyncio.sleep(3601)
    await world.look()
    assert len(world.api.objects) == 3
