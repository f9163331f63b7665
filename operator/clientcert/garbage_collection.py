"""Keeps garbage collection from stalling the event loop, however many objects the operator knows.

A full collection passes over every object that is alive: a tenth of a second for 10,000 certificates, a second for
100,000. So what stays alive leaves the collected generations (`gc.freeze`) soon after it was made, and each collection
is about the objects of a moment.
"""

import asyncio
import gc

_THRESHOLDS = (2_000, 5, 1_000)
"""Look often among new objects, and leave full collections to `keep_short`."""
_CHECK_SECONDS = 0.25
_GROWTH = 2
"""Collections of the second generation since the last full one; each stands for 10,000 objects that stayed."""


def configure() -> None:
    """Set the thresholds of the interpreter."""
    gc.set_threshold(*_THRESHOLDS)


async def keep_short() -> None:
    """Collect and freeze whenever many new objects have stayed alive; run it beside everything else."""
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        if gc.get_count()[2] >= _GROWTH:
            gc.collect()
            gc.freeze()
