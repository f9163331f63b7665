"""Shares the event loop: so much is computed in one turn of it, and the rest in the next.

When the answers to a hundred requests arrive together, a hundred tasks want to go on in the same turn of the loop, each
for a millisecond, and meanwhile nothing else is done: no answer to a probe, no renewal of the Lease.
"""

import asyncio

SLICE_SECONDS = 0.02


class LoopBudget:
    """Shared by all that compute in one event loop."""

    def __init__(self, slice_seconds: float = SLICE_SECONDS) -> None:
        self._slice = slice_seconds
        self._began: float | None = None

    async def yield_if_spent(self) -> None:
        """Return at once while this turn of the loop has time left, else in a later one. Ask before computing."""
        loop = asyncio.get_running_loop()
        while True:
            if self._began is None:
                self._began = loop.time()
                loop.call_soon(self._end)  # it is not called before the next turn
            if loop.time() - self._began < self._slice:
                return
            await asyncio.sleep(0)

    def _end(self) -> None:
        self._began = None
