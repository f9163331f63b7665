"""Ctrl-C and SIGTERM for a program that has nothing more to do than to wait for them."""

import signal
import time

_POLL_SECONDS = 0.1


class StopSignal:
    """Remembers from now on that either of them came."""

    def __init__(self) -> None:
        self._came = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._remember)

    def wait(self) -> None:
        """Return when one has come.

        It looks again and again, since `threading.Event.wait` may sleep on: CPython calls handlers between
        bytecodes, so that a signal that comes just before a lock is waited for is not seen before that wait ends.
        """
        while not self._came:
            time.sleep(_POLL_SECONDS)

    def _remember(self, *_: object) -> None:
        self._came = True
