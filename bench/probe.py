"""Requests /healthz continuously: a slow response shows a stall of the event loop."""

import http.client
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

INTERVAL_SECONDS = 0.01


class HealthProbe:
    """A thread that sends a request every ten milliseconds, one at a time. A context manager.

    The response time is more than the loop's own stall: it includes the transfer of the response, and any other delay
    of the operator's process.
    """

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="health probe", daemon=True)
        self.seconds: list[float] = []
        """The response time of each request."""

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
