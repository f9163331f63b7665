"""One at a time through what takes long.

botocore computes for a millisecond before a request and for another one after it. When a hundred certificates are
read at once, those come together in the same turn of the event loop, and nothing else is done for 200 ms.
"""

import asyncio


class Turns:
    """Shared by all stores: for the loop it makes no difference whose requests they are."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def next(self) -> None:
        """Wait until the loop has gone round since whoever was here before."""
        async with self._lock:
            await asyncio.sleep(0)
