"""Limits the computing time per iteration of the event loop; the rest is done in later iterations.

If the answers to a hundred requests arrive together, a hundred tasks become ready in the same iteration. Each computes
for a millisecond, and meanwhile the loop answers no probe and renews no Lease.
"""

import asyncio

SLICE_SECONDS = 0.02


class LoopBudget:
    """The budget of one iteration, shared by all tasks of one event loop."""

    def __init__(self, slice_seconds: float = SLICE_SECONDS) -> None:
        self._slice = slice_seconds
        self._began: float | None = None

    async def yield_if_spent(self) -> None:
        """Return at once while this iteration has time left, else in a later one. Call it before computing."""
        loop = asyncio.get_running_loop()
        while True:
            if self._began is None:
                self._began = loop.time()
                loop.call_soon(self._end)  # runs in the next iteration
            if loop.time() - self._began < self._slice:
                return
            await asyncio.sleep(0)

    def _end(self) -> None:
        self._began = None
