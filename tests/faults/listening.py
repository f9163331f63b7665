"""Run a receiver of HTTP calls for a synchronous test."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Protocol, TypeVar


class Runs(Protocol):
    """Anything that listens within a block."""

    def running(self) -> AbstractAsyncContextManager[Any]: ...


Receiver = TypeVar("Receiver", bound=Runs)
_START_SECONDS = 10.0


@contextmanager
def listening(receiver: Receiver) -> Iterator[Receiver]:
    """Run it in a separate thread, until the `with` block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="receiver", daemon=True)
    thread.start()
    running = receiver.running()
    try:
        asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(_START_SECONDS)
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(_START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_SECONDS)
        loop.close()
