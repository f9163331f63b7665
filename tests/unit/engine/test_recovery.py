"""The end of an outage of the API server is detected, and triggers all retries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from clientcert.controllers.recovery import Recovery
from clientcert.errors import KubeError, Reason

AWAY = KubeError(Reason.API_UNAVAILABLE, "away", retryable=True)


class Recovered(Recovery):
    """Records each end of an outage."""

    def __init__(self) -> None:
        super().__init__(*(cast("Any", None) for _ in range(7)))
        self.ended: list[tuple[str, bool]] = []

    def api_answers(self, namespace: str, *, refused: bool) -> None:
        self.ended.append((namespace, refused))


@asynccontextmanager
async def outage(*answers: KubeError | None) -> AsyncIterator[tuple[asyncio.Event, Recovered]]:
    """An API server that gives these answers first and succeeds afterwards; and the event that begins an outage."""
    left = list(answers)

    async def count(_namespace: str) -> int:
        if left and (error := left.pop(0)):
            raise error
        return 0

    begins, recovery = asyncio.Event(), Recovered()
    client = SimpleNamespace(outage=begins.wait, outage_is_over=begins.clear)
    resync = SimpleNamespace(count=count)
    task = asyncio.create_task(recovery.watch_outages(cast("Any", client), cast("Any", resync), ""))
    yield begins, recovery
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_end_of_an_outage_triggers_all_retries() -> None:
    """Not before the end: the first probe is half a second later, and the next one a second after that."""
    async with outage(AWAY) as (begins, recovery):
        begins.set()
        await asyncio.sleep(1)
        assert recovery.ended == []
        await asyncio.sleep(1)
    assert recovery.ended == [("", False)]


async def test_a_single_failed_call_is_no_outage() -> None:
    """A single Secret that cannot be read must not reset the backoff of everything else."""
    async with outage() as (begins, recovery):
        begins.set()
        await asyncio.sleep(0.8)
        begins.set()
        await asyncio.sleep(1.5)
    assert recovery.ended == []


async def test_a_refusal_ends_an_outage() -> None:
    """A server that refuses a request is available."""
    async with outage(AWAY, KubeError(Reason.FORBIDDEN, "no")) as (begins, recovery):
        begins.set()
        await asyncio.sleep(2)
    assert recovery.ended == [("", False)]
