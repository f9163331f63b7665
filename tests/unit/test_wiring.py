"""What the composition root has to connect: parts that work alone, and are of no use when nobody calls them."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime

from clientcert.app import _Parts
from clientcert.lifecycle.spec import ObjectKey
from clientcert.settings import Settings
from tests.builders import DAY, KEY, NOW

PLACE, OTHER = "a channel", ObjectKey("integration", "other")


def clock() -> datetime:
    return NOW


async def test_whoever_is_deleted_waits_for_nobody_and_is_waited_for_by_nobody() -> None:
    """Neither in a digest that it may speak for, nor with a turn that others wait for."""
    async with AsyncExitStack() as stack:
        parts = _Parts(Settings(), clock, stack)
        await parts.engine()
        assert not parts._gathering.may_go(PLACE, KEY, NOW + DAY, 20)
        assert parts._pacer.may_send(PLACE, OTHER, (0, NOW), 0.01)
        assert not parts._pacer.may_send(PLACE, KEY, (0, NOW), 0.01)
        await asyncio.sleep(0.05)
        assert (parts._gathering.waiting, parts._pacer.waiting) == (1, 1)
        parts._forget(KEY)
        assert (parts._gathering.waiting, parts._pacer.waiting) == (0, 0)
