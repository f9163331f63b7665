"""An event loop on virtual time: when every task sleeps, the clock jumps to the next timer instead of waiting for it.

A test of code that knows only the loop's clock is exact, takes no time, and does not depend on the load of the machine.
Work in a thread takes no virtual time: the clock stops until its result is available.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

_START_SECONDS = 1_000_000.0
"""The clock of a real loop is far from 0, too: code may take 0 for "long ago"."""


class _SkippingSelector(selectors.DefaultSelector):
    """Returns at once where a real selector would wait for a timer, and counts the seconds as passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = _START_SECONDS
        self.calls_in_threads = 0
        self.longer: Callable[[float], float] = lambda seconds: seconds

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.get_map():  # the first is the loop's own, which threads use to wake it
            raise RuntimeError("the peer of a socket has no virtual time: mark this test with real_time")
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[Any]:
        found = super().select(0)
        if found or timeout == 0:
            return found
        if timeout is None or self.calls_in_threads:
            return super().select(None)
        self.now += self.longer(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """For tasks, timers and threads, without sockets."""

    def __init__(self) -> None:
        self._skipping = _SkippingSelector()
        super().__init__(self._skipping)

    def skip_further(self, longer: Callable[[float], float]) -> None:
        """When all tasks sleep, skip `longer(seconds)` instead of the seconds to the next timer."""
        self._skipping.longer = longer

    def time(self) -> float:
        """In seconds; `call_later`, `asyncio.sleep` and `asyncio.timeout` use it."""
        return self._skipping.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """As in any loop; `asyncio.to_thread` uses it, too."""
        result = super().run_in_executor(executor, func, *args)
        self._skipping.calls_in_threads += 1
        result.add_done_callback(self._thread_is_done)
        return result

    async def shutdown_default_executor(self, *args: Any) -> None:
        self._skipping.calls_in_threads += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._skipping.calls_in_threads -= 1

    def _thread_is_done(self, _: object) -> None:
        self._skipping.calls_in_threads -= 1


class ForwardedLoop(asyncio.SelectorEventLoop):
    """For tests with sockets: its clock is a real one, and a test sets it forward instead of waiting."""

    def __init__(self) -> None:
        self._ahead = 0.0
        super().__init__()

    def time(self) -> float:
        """In seconds, as of any loop."""
        return super().time() + self._ahead

    def forward(self, seconds: float) -> None:
        """Let these seconds pass now."""
        self._ahead += seconds


def forward(seconds: float) -> None:
    """Let these seconds pass on the clock of the running loop: what was cached for less has expired."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ForwardedLoop), "this test runs on another loop"
    loop.forward(seconds)
