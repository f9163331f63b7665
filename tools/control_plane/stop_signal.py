"""Ctrl-C and SIGTERM for a program that only waits for them."""

import signal
import time

_POLL_SECONDS = 0.1


class StopSignal:
    """Records either signal from its construction on."""

    def __init__(self) -> None:
        self._came = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._remember)

    def wait(self) -> None:
        """Return after the first signal.

        It polls, because `threading.Event.wait` may not wake up: CPython calls handlers between bytecodes, so a signal
        just before the wait for a lock is not handled before that wait ends.
        """
        while not self._came:
            time.sleep(_POLL_SECONDS)

    def _remember(self, *_: object) -> None:
        self._came = True
