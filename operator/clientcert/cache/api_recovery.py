"""Notices that the API server answers again, and has everything tried at once that had failed meanwhile.

By then the retries have backed off for minutes. Watches are no witness: they may live on while all else is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable

from clientcert.errors import KubeError, Reason

_DELAYS_SECONDS = (0.5, 1.0, 2.0, 5.0)
_QUIET_SECONDS = 60.0
"""An outage that begins so soon after the last one goes on from its delay: what fails again is asked for no faster."""


class ApiRecovery:
    """Asks one small question for all that wait."""

    def __init__(self, ask: Callable[[], Awaitable[object]], try_again: Callable[[], None]) -> None:
        """`ask` raises KubeError for as long as there is no answer."""
        self._ask = ask
        self._try_again = try_again
        self._began = asyncio.Event()
        self._delays = 0
        self._ended = float("-inf")

    def begins(self) -> None:
        """A call was not answered, or with an error of the server."""
        self._began.set()

    async def run(self) -> None:
        """Wait for outages, and for their ends, until cancelled."""
        while True:
            await self._began.wait()
            if asyncio.get_running_loop().time() - self._ended > _QUIET_SECONDS:
                self._delays = 0
            asked = 1
            while not await self._is_over():
                asked += 1
            self._began.clear()
            self._ended = asyncio.get_running_loop().time()
            # Answered at the first asking, it was about one call alone: that has its own retries, and nobody else's.
            if asked > 1:
                self._try_again()

    async def _is_over(self) -> bool:
        await asyncio.sleep(_DELAYS_SECONDS[min(self._delays, len(_DELAYS_SECONDS) - 1)])
        self._delays += 1
        try:
            await self._ask()
        except KubeError as error:
            return error.reason is not Reason.API_UNAVAILABLE  # a refusal is an answer
        return True
