"""The time of a simulation: weeks pass in the time that it takes to compute what happens in them."""

import asyncio
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.virtual_time import VirtualTimeLoop


class SkippingLoop(VirtualTimeLoop):
    """A task that wakes up four times a second to read the clock is no reason to stop at each of these moments.

    Time passes in one step until something else happens, or until the polling task has work by its own account.
    """

    def __init__(self) -> None:
        super().__init__()
        self.polls: dict[asyncio.Task[Any], Callable[[], float]] = {}
        """The tasks that poll, with the seconds until each has work."""
        self.skip_further(self._seconds)

    def _seconds(self, to_next_timer: float) -> float:
        waiting = {getattr(task, "_fut_waiter", None) for task in self.polls} - {None}
        timers = [
            handle.when()
            for handle in self._scheduled  # type: ignore[attr-defined]
            if not handle.cancelled() and not (handle._args and handle._args[0] in waiting)
        ]
        due = min((seconds() for seconds in self.polls.values()), default=math.inf)
        longest = min(min(timers, default=math.inf) - self.time(), due)
        return max(to_next_timer, longest) if longest < math.inf else to_next_timer


class WorldClock:
    """True time, which follows the loop, and the operator's clock, which may be set wrongly."""

    def __init__(self, begins: datetime) -> None:
        self._loop = asyncio.get_running_loop()
        self._began, self._start = begins, self._loop.time()
        self.offset = timedelta()

    def true(self) -> datetime:
        """The real time."""
        return self._began + timedelta(seconds=self._loop.time() - self._start)

    def operator(self) -> datetime:
        """The time of the operator's clock."""
        return self.true() + self.offset
