"""Keeps garbage collection from stalling the event loop, however many objects the operator knows.

A full collection passes over every object that is alive: a tenth of a second for 10,000 certificates, a second for
100,000. So what stays alive leaves the collected generations (`gc.freeze`) soon after it was made, and each collection
is about the objects of a moment.

A large new container is one object, but a collection looks at each of its elements, several times and in every
generation that it passes: 50 ms for 30,000 that are spread over the memory. `unscanned` makes those.
"""

import asyncio
import gc
from collections.abc import Callable, Iterable, Sized
from functools import partial
from typing import TypeVar

_Container = TypeVar("_Container")
_Element = TypeVar("_Element")

_THRESHOLDS = (2_000, 5, 1_000)
"""Look often among new objects, and leave full collections to `keep_short`."""
_CHECK_SECONDS = 0.25
LARGE = 10_000
"""Elements of a container from which on collections would notice it."""
_GROWTH = 2
"""Collections of the second generation since the last full one; each stands for 10,000 more objects than before."""


def configure() -> None:
    """Set the thresholds of the interpreter."""
    gc.set_threshold(*_THRESHOLDS)


def unscanned(make: Callable[[], _Container], size: int = LARGE) -> _Container:
    """Make a container that no collection looks into, if it has or will have a large `size`.

    It is freed with its last reference, as all others, but not if it is part of a reference cycle. No dictionary: an
    empty one is not known to the collector yet.
    """
    if size < LARGE:
        return make()
    gc.collect()  # else what is garbage now would stay for ever
    made = make()
    gc.freeze()
    return made


def unscanned_tuple(elements: Iterable[_Element], most: int = LARGE) -> tuple[_Element, ...]:
    """The elements as a tuple that no collection looks into; `most` is how many they can be if they have no length."""
    return unscanned(partial(tuple, elements), len(elements) if isinstance(elements, Sized) else most)


async def keep_short() -> None:
    """Collect and freeze whenever many new objects have stayed alive; run it beside everything else."""
    while True:
        await asyncio.sleep(_CHECK_SECONDS)
        if gc.get_count()[2] >= _GROWTH:
            gc.collect()
            gc.freeze()
