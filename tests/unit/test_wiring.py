"""The connections of the composition root: parts that work alone must also be called."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, cast

from clientcert.alerting.grouping import AlertGroups
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.app import assemble
from clientcert.controllers.engine import Engine
from clientcert.lifecycle.spec import ObjectKey
from clientcert.notifiers.interface import Pace
from clientcert.settings import Settings
from clientcert.workqueue.work_queue import Item
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


async def test_every_kind_of_item_has_a_reconciler() -> None:
    """An item of any other kind would end a worker."""
    async with AsyncExitStack() as stack:
        parts = await assemble(Settings(), clock, stack)
        known = cast("Any", parts.engine.workers)._reconcilers
    assert set(known) == {"ClientCertificate", "CertificatePolicy", "AlertGroup"}
