"""When an outage of the API server is over, and who is told of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from clientcert.cache.api_recovery import ApiRecovery
from clientcert.errors import KubeError, Reason

AWAY = KubeError(Reason.API_UNAVAILABLE, "away", retryable=True)


@asynccontextmanager
async def running(answers: list[KubeError | None], over: Callable[[], None]) -> AsyncIterator[ApiRecovery]:
    """Asked again and again it answers so, and then always well."""

    async def ask() -> None:
        if answers and (error := answers.pop(0)):
            raise error

    outage = ApiRecovery(ask, over)
    task = asyncio.create_task(outage.run())
    yield outage
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_end_of_an_outage_has_everything_tried_again() -> None:
    """Not before it: half a second later it is asked for the first time, and a second after that again."""
    over: list[bool] = []
    async with running([AWAY], lambda: over.append(True)) as outage:
        outage.begins()
        await asyncio.sleep(1)
        assert over == []
        await asyncio.sleep(1)
    assert over == [True]


async def test_one_call_that_fails_is_no_outage() -> None:
    """A single Secret that cannot be read must not undo what everybody else's failures have taught."""
    over: list[bool] = []
    async with running([], lambda: over.append(True)) as outage:
        outage.begins()
        await asyncio.sleep(0.8)
        outage.begins()
        await asyncio.sleep(1.5)
    assert over == []


async def test_a_refusal_is_an_answer() -> None:
    """Whoever says no is there."""
    over: list[bool] = []
    async with running([AWAY, KubeError(Reason.FORBIDDEN, "no")], lambda: over.append(True)) as outage:
        outage.begins()
        await asyncio.sleep(2)
    assert over == [True]
