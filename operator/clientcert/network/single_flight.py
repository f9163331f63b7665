"""Look-ups in Slack, one for all who ask the same at once, and answers that hold for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from clientcert.errors import DeliveryError, Reason

WAIT_SECONDS = 10.0
"""So long a question waits; reading a long list goes on behind it."""

_Key = TypeVar("_Key")
_Answer = TypeVar("_Answer")


class Remembered(Generic[_Key, _Answer]):
    """Answers for as long as they hold, and one look-up for all who ask the same."""

    def __init__(self, most: int, weigh: Callable[[_Answer], int]) -> None:
        """The oldest are forgotten when all together weigh more than `most`."""
        self._most = most
        self._weigh = weigh
        self._known: dict[_Key, tuple[float, _Answer]] = {}
        self._weight = 0
        self._looking: dict[_Key, asyncio.Task[_Answer]] = {}

    def recall(self, key: _Key) -> _Answer | None:
        """The answer that was given lately."""
        until, answer = self._known.get(key, (0.0, None))
        return answer if _now() < until else None

    async def look(self, key: _Key, look: Callable[[], Awaitable[tuple[_Answer, float]]]) -> _Answer:
        """Have it looked up, once however many ask; `look` gives the answer and for how many seconds it holds."""
        looking = self._looking.get(key)
        if looking is None:
            looking = self._looking[key] = asyncio.create_task(self._look(key, look))
            looking.add_done_callback(lambda done: self._forget_task(key, done))
        done, _ = await asyncio.wait({looking}, timeout=WAIT_SECONDS)
        if not done:
            words = "Slack has not answered the look-up yet"
            raise DeliveryError(Reason.CHANNEL_UNAVAILABLE, words, retryable=True)
        return looking.result()

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._looking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, key: _Key, look: Callable[[], Awaitable[tuple[_Answer, float]]]) -> _Answer:
        answer, seconds = await look()
        self._drop(key)
        self._known[key] = (_now() + seconds, answer)
        self._weight += self._weigh(answer)
        while self._weight > self._most and len(self._known) > 1:
            self._drop(next(iter(self._known)))
        return answer

    def _drop(self, key: _Key) -> None:
        if key in self._known:
            self._weight -= self._weigh(self._known.pop(key)[1])

    def _forget_task(self, key: _Key, done: asyncio.Task[_Answer]) -> None:
        self._looking.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever waited has got it; nobody may have


def _now() -> float:
    return asyncio.get_running_loop().time()
