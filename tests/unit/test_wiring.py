"""The connections of the composition root: parts that work alone must also be called."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from clientcert.alerting.grouping import ALERT_GROUP, AlertGroups
from clientcert.alerting.groups import GroupSpec, _Group
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.app import _heartbeat, assemble
from clientcert.app_adapters import get_secret
from clientcert.cache.informers import Watches
from clientcert.cache.object_cache import ObjectCache
from clientcert.controllers.engine import Engine
from clientcert.errors import KubeError, Reason, SettingsError, SourceError
from clientcert.kube.decoding import Object
from clientcert.lifecycle.spec import ObjectKey, S3Source
from clientcert.loop_budget import LoopBudget
from clientcert.network.byte_budget import BUDGET_BYTES, MIB
from clientcert.notifiers.interface import Pace
from clientcert.settings import Settings
from clientcert.sources.interface import WriteOrder
from clientcert.workqueue.work_queue import Item, WorkQueue
from tests.builders import DAY, KEY, NOW
from tests.unit.engine.test_object_cache import body

PLACE, OTHER = Pace("a channel", 0.01), Item("ClientCertificate", ObjectKey("integration", "other"))


def clock() -> datetime:
    return NOW + timedelta(seconds=asyncio.get_running_loop().time())


def parts_of(engine: Engine) -> tuple[ChannelRateLimiter, AlertGroups]:
    certificates = cast("Any", engine.workers)._reconcilers["ClientCertificate"]
    return certificates._dispatcher._limiter, certificates._dispatcher._groups


async def test_a_deleted_certificate_is_removed_from_groups_and_slots() -> None:
    """Neither in a group, nor with a slot that others wait for."""
    async with AsyncExitStack() as stack:
        parts = await assemble(Settings(), clock, stack)
        engine = parts.engine
        limiter, groups = parts_of(engine)
        engine._queue.open()
        working = asyncio.create_task(engine.workers.run())
        mine = Item("ClientCertificate", KEY)
        engine.cache.upsert_certificate(body() | {"metadata": body()["metadata"] | KEY._asdict()})
        await engine._queue.take()
        assert limiter.acquire(PLACE, OTHER, (0, NOW))
        assert not limiter.acquire(PLACE, mine, (0, NOW + DAY))
        await asyncio.sleep(0.05)
        assert limiter.waiting == 1
        engine.cache.remove_certificate(KEY)
        engine._queue.done(mine, None)
        await asyncio.sleep(0.05)
        assert (limiter.waiting, groups.waiting) == (0, 0)
        engine.workers.stop()
        await working


async def test_a_group_that_is_open_again_gives_back_its_slot() -> None:
    """It was granted for a message that is not due yet; all others of the channel would wait until its end."""
    async with AsyncExitStack() as stack:
        parts = await assemble(Settings(), clock, stack)
        queue, (limiter, groups) = parts.engine._queue, parts_of(parts.engine)
        group = GroupSpec(ObjectKey("integration", "tls/team/digest/"), KEY, "team", 1)
        now = asyncio.get_running_loop().time()
        groups._groups[group.key] = _Group(group, now, now)
        queue.open()
        working = asyncio.create_task(parts.engine.workers.run())
        assert limiter.acquire(PLACE, OTHER, (0, NOW))
        limiter.finished(PLACE, OTHER, accepted=True)
        assert not limiter.acquire(PLACE, Item(ALERT_GROUP, group.key), (0, NOW))
        await asyncio.sleep(0.05)
        assert limiter.waiting == 0
        assert limiter.acquire(PLACE, OTHER, (0, NOW))
        parts.engine.workers.stop()
        await working


async def test_every_kind_of_item_has_a_reconciler() -> None:
    """An item of any other kind would end a worker."""
    async with AsyncExitStack() as stack:
        parts = await assemble(Settings(), clock, stack)
        known = cast("Any", parts.engine.workers)._reconcilers
    ours = {"ClientCertificate", "CertificatePolicy", "CertificateRenewal", "CertificateRevocation"}
    tests = {"ClientCertificate test alert", "CertificatePolicy test alert"}
    others = {"AlertGroup", "NoticeGroup", "RequestRetention", "RevocationLists", "CertificateStore discovery"}
    assert set(known) == ours | tests | others


async def test_renewals_leave_workers_for_everything_else() -> None:
    """Each makes ten calls or more: an alert would wait behind those of all workers."""
    async with AsyncExitStack() as stack:
        queue = cast("Any", (await assemble(Settings(), clock, stack)).engine.workers)._queue
    queue.open()
    for number in range(1_000):
        queue.enqueue(Item("CertificateRenewal", ObjectKey(f"team-{number % 20}", f"r{number}")))
    queue.enqueue(certificate := Item("ClientCertificate", ObjectKey("team-1", "nhs")))
    found = [await queue.take() for _ in range(17)]
    assert found.count(certificate) == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.take(), 1)


async def test_a_stalled_bucket_holds_up_no_answer_of_the_api_server() -> None:
    """Not even that to a status write of the same namespace: while one is not answered, no message is sent at all."""
    async with AsyncExitStack() as stack:
        parts = await assemble(Settings(), clock, stack)
        buckets = cast("Any", parts.sources)._sources[S3Source]._limits.bytes
        api = cast("Any", parts.client)._budget
        with buckets.reservation("team") as stalled:
            await stalled.resize(2 * BUDGET_BYTES)
            async with asyncio.timeout(1):
                with api.reservation("team") as answer:
                    await answer.resize(MIB)


async def test_an_operator_that_only_observes_has_nothing_to_send_by() -> None:
    """And may write nothing but statuses, and its Lease. Other settings are checked as ever."""
    async with AsyncExitStack() as stack:
        parts = await assemble(Settings(observe_only=True), clock, stack)
        known = cast("Any", parts.engine.workers)._reconcilers
        assert known["ClientCertificate"]._dispatcher._notifiers == {}
        assert known["CertificateRenewal"]._notices._notifiers == {}
        assert known["ClientCertificate"]._evaluator.observe_only
        with pytest.raises(KubeError) as refused:
            await parts.client.create("/api/v1/namespaces/team/events", {})
        assert refused.value.reason is Reason.OBSERVE_ONLY
        assert not cast("Any", parts.engine.leadership)._client._observe_only
        assert parts.metrics.registry.get_sample_value("clientcert_observe_only") == 1.0
        order = WriteOrder("", b"a certificate")
        with pytest.raises(SourceError, match="only observes"):
            await known["CertificateRenewal"]._steps._writers[S3Source].write("team", S3Source("backup", "key"), order)
        with pytest.raises(SettingsError, match="CLIENTCERT_SLACK_WEBHOOK_URL"):
            await assemble(Settings(observe_only=True, slack_webhook_url="http://slack.example"), clock, stack)


async def test_the_heartbeat_of_an_operator_that_only_observes() -> None:
    """There is none: another cluster may have the same URL, and its calls say that somebody is alerted."""
    settings = Settings(heartbeat_url="https://switch.example/x", observe_only=True)
    async with AsyncExitStack() as stack:
        parts = await assemble(settings, clock, stack)
        assert _heartbeat(settings, parts, lambda: True) is None
        assert _heartbeat(replace(settings, observe_only=False), parts, lambda: True) is not None
        assert _heartbeat(Settings(), parts, lambda: True) is None


class Client:
    """Remembers each path that is read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    async def get(self, path: str) -> Object:
        self.read.append(path)
        return {}


async def test_a_secret_is_read_no_older_than_the_last_change_of_one() -> None:
    """Not than the list that came after it: the cache of an API server before 1.31 may not reach that for minutes."""
    client = Client()
    watches = Watches.of(cast("Any", client), "", ObjectCache(WorkQueue(lambda: NOW)), LoopBudget())
    for version, object_version in (("", ""), ("50", ""), ("50", "10")):
        if version:
            watches.secrets.established.set()
        watches.secrets.version, watches.secrets.object_version = version, object_version
        await get_secret(cast("Any", client), {"": watches}, "team", "nhs")
    path = "/api/v1/namespaces/team/secrets/nhs"
    assert client.read == [path, path, f"{path}?resourceVersion=10"]
