"""Rows 13 to 16: the bucket is unavailable, refuses, is slow, or reports changes."""

import asyncio

import pytest
from aiohttp import web

from tests.control_plane.buckets import STORE, Backup
from tests.control_plane.waiting import eventually, until
from tests.faults.scenario import World, row
from tests.scenarios import in_store
from tools.certificates import Issued

TOO_LARGE = b"-" * (2 * 1024 * 1024)
DEADLINE_SECONDS = 15
FEW = 4
"""Requests for one certificate in COUNTED_SECONDS: for its bucket and its key, at least five seconds apart."""
COUNTED_SECONDS = 6


def hand_out(world: World, bucket: Backup, name: str, *, days: int, falls_due_in: float | None = None) -> Issued:
    """Like `World.hand_out`, in the bucket."""
    issued = world.issue(name, days=days, falls_due_in=falls_due_in)
    bucket.upload(name, issued)
    world.declare(name, issued, source=in_store(STORE, bucket.key(name)))
    return issued


@pytest.mark.slow
@row(13, "S3 answers 503; an alert falls due meanwhile")
def test_the_bucket_is_unavailable(world: World, bucket: Backup) -> None:
    """The last known date still alerts; polls are retried with a growing backoff, and recover without a change."""
    bucket.declare()
    world.operator_starts()
    hand_out(world, bucket, "nhs", days=14, falls_due_in=8)
    world.all_is_delivered()
    bucket.proxy.refuses(503, "SlowDown")
    bucket.trigger_poll()
    lists = bucket.proxy.lists
    world.waits(5, until_due="nhs")
    world.all_is_delivered()
    assert bucket.proxy.lists - lists <= 3
    lists = bucket.proxy.lists
    bucket.proxy.behaviour = None
    world.is_fixed()
    until(lambda: bucket.proxy.lists > lists)
    world.all_is_delivered()
    eventually(bucket.store_says, ("True", "Polled"))


@pytest.mark.slow
@row(13, "S3 answers 503 for half a minute")
def test_the_bucket_stays_unavailable(world: World, bucket: Backup) -> None:
    """A short outage is not reported; a longer one is reported in the condition of the store."""
    bucket.declare()
    world.operator_starts()
    hand_out(world, bucket, "nhs", days=14)
    world.all_is_delivered()
    bucket.proxy.refuses(503, "SlowDown")
    bucket.trigger_poll()
    eventually(bucket.store_says, ("False", "SourceUnavailable"), seconds=30)
    bucket.proxy.behaviour = None
    world.is_fixed()
    eventually(bucket.store_says, ("True", "Polled"), seconds=45)
    world.all_is_delivered()


@pytest.mark.slow
@row(14, "S3 answers AccessDenied, NoSuchKey, NoSuchBucket; an alert falls due meanwhile")
def test_the_bucket_refuses(world: World, bucket: Backup) -> None:
    """Three reasons with advice; alerts continue; each recovers without a change."""
    team = world.team
    bucket.declare()
    operator = world.operator_starts()
    issued = hand_out(world, bucket, "nhs", days=14, falls_due_in=8)
    world.all_is_delivered()
    for reason, words, break_it, mend_it in (
        (
            "AccessDenied",
            "s3:ListBucket",
            lambda: bucket.proxy.refuses(403, "AccessDenied"),
            lambda: setattr(bucket.proxy, "behaviour", None),
        ),
        (
            "SourceNotFound",
            "upload it, or correct spec.source.s3.key",
            lambda: bucket.client.delete_object(bucket.bucket, bucket.key("nhs")),
            lambda: bucket.upload("nhs", issued),
        ),
        (
            "BucketNotFound",
            "create it, or correct CertificateStore",
            lambda: bucket.declare_store(bucket="another-bucket"),
            lambda: bucket.declare_store(),
        ),
    ):
        break_it()
        bucket.trigger_poll()
        eventually(lambda reason=reason: team.condition("nhs", "Ready"), ("False", reason))
        assert words in team.words("nhs", "Ready")
        eventually(lambda reason=reason: reason in team.events("nhs"), expected=True)
        assert operator.metric("x509_source_errors_total", reason=reason) >= 1
        if reason == "AccessDenied":
            requests = len(bucket.proxy.paths)
            world.waits(COUNTED_SECONDS, until_due="nhs")
            assert len(bucket.proxy.paths) - requests <= FEW
            world.all_is_delivered()
        mend_it()
        world.is_fixed()
        if reason == "SourceNotFound":
            bucket.trigger_poll()  # the next poll is tomorrow
        eventually(lambda: team.condition("nhs", "Ready"), ("True", "ExpiringSoon"))
    world.all_is_delivered()


@pytest.mark.slow
@row(14, "the bucket is deleted, and made again; an alert falls due meanwhile")
def test_the_bucket_is_deleted(world: World, bucket: Backup) -> None:
    """The reason has advice; alerts continue; polls are retried, and recover without a change."""
    team = world.team
    bucket.declare(poll_every="10s")
    operator = world.operator_starts()
    hand_out(world, bucket, "nhs", days=14, falls_due_in=12)
    world.all_is_delivered()
    bucket.delete_bucket()
    world.waits(0, until_due="nhs")
    world.all_is_delivered()
    eventually(lambda: team.condition("nhs", "Ready"), ("False", "BucketNotFound"))
    eventually(bucket.store_says, ("False", "BucketNotFound"))
    for words in (team.words("nhs", "Ready"), team.words(STORE, "Ready", of="CertificateStore")):
        assert words.endswith(f"does not exist: create it, or correct CertificateStore {STORE}.")
    eventually(lambda: "BucketNotFound" in team.events("nhs"), expected=True)
    assert operator.metric("x509_source_errors_total", reason="BucketNotFound") >= 1
    requests = len(bucket.proxy.paths)
    world.waits(COUNTED_SECONDS)
    assert len(bucket.proxy.paths) - requests <= FEW
    bucket.recreate()
    world.is_fixed()
    eventually(lambda: team.condition("nhs", "Ready"), ("True", "ExpiringSoon"), seconds=45)
    eventually(bucket.store_says, ("True", "Polled"))
    world.all_is_delivered()


@pytest.mark.slow
@row(15, "one object slow, one truncated, one of 2 MiB; the one beside them is well")
def test_the_bucket_is_slow_and_sends_too_much_or_too_little(world: World, bucket: Backup) -> None:
    """Other certificates are alerted at once; a deadline limits the wait, and a cap the size; all recover after the
    fix.
    """
    asked: list[float] = []

    async def behave(request: web.Request) -> web.StreamResponse | None:
        if "slow" in request.path:
            asked.append(asyncio.get_running_loop().time())
            await asyncio.sleep(4 * DEADLINE_SECONDS)
        if "cut" in request.path:
            response = web.StreamResponse(headers={"Content-Length": "4096", "ETag": '"0"'})
            await response.prepare(request)
            await response.write(b"-----BEGIN CERTIFICATE-----\n")
            request.transport.close()
            return response
        return None

    bucket.proxy.behaviour = behave
    bucket.declare()
    world.operator_starts()
    for name in ("slow", "cut"):
        hand_out(world, bucket, name, days=14)
    bucket.upload("large", TOO_LARGE)
    bucket.watch("large")
    hand_out(world, bucket, "well", days=14)
    eventually(lambda: world.notified("well", "team"), 1)
    eventually(lambda: world.team.condition("large", "Ready"), ("False", "TooLarge"))
    until(lambda: len(asked), lambda count: count >= 2, seconds=DEADLINE_SECONDS + 15)
    assert DEADLINE_SECONDS <= asked[1] - asked[0] < DEADLINE_SECONDS + 10
    bucket.proxy.behaviour = None
    world.is_fixed()
    world.all_is_delivered(within=60)


@row(16, "polls of an unchanged ETag; another ETag of the same certificate")
def test_only_a_new_etag_is_read(world: World, bucket: Backup) -> None:
    """No GET for an unchanged ETag; the same certificate under a new ETag is read, and starts no new cycle of
    alerts.
    """
    bucket.declare()
    operator = world.operator_starts()
    issued = hand_out(world, bucket, "nhs", days=14)
    world.all_is_delivered()
    bucket.poll(operator)
    gets, version = bucket.proxy.gets, world.team.status("nhs")["source"]["version"]
    bucket.poll(operator)
    assert bucket.proxy.gets == gets
    bucket.upload("nhs", b"uploaded again\n" + issued.certificate_pem)
    world.is_fixed()
    bucket.poll(operator)
    until(lambda: world.team.status("nhs")["source"]["version"] != version)
    assert bucket.proxy.gets == gets + 1
    world.all_is_delivered()
    assert world.notified("nhs", "team") == 1
