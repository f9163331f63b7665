"""Asks /healthz all the time: whoever has to wait for an answer has seen the event loop stand still."""

import http.client
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

INTERVAL_SECONDS = 0.01


class HealthProbe:
    """A thread that asks every ten milliseconds, one question at a time. A context manager.

    What it sees is more than the loop's own stalls: the answer's way through the machine is in it, and whatever else
    kept the operator from a core.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="health probe", daemon=True)
        self.seconds: list[float] = []
        """How long each answer took."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def longest(self) -> float:
        return max(self.seconds, default=0.0)

    def _ask(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.wait(INTERVAL_SECONDS):
            connection = connection or http.client.HTTPConnection(self._address, timeout=10)
            before = time.monotonic()
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection = None  # it does not listen yet, or has ended
                continue
            self.seconds.append(time.monotonic() - before)
