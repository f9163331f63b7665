"""Ends a process at its N-th write or send, whichever of several proxies that comes by."""

import threading
import time
from typing import Literal

from aiohttp import web

from tests.faults.proxy import FaultyProxy
from tools.control_plane import OperatorProcess

Side = Literal["before", "after"]
SIDES: tuple[Side, Side] = ("before", "after")
_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.01
_NUMBER = web.RequestKey("number", int)


class KillSwitch:
    """Counts in one order what passes the proxies it is put on."""

    def __init__(self, number: int, side: Side) -> None:
        """Just before the `number`-th is handed on, or just after the target has answered it; 0: never."""
        self._number = number
        self._side = side
        self._lock = threading.Lock()
        self._on_their_way: set[int] = set()
        self._dead = False
        self.count = 0
        self.has_fired = False
        self.victim: OperatorProcess | None = None

    def put_on(self, *proxies: FaultyProxy) -> None:
        """What they hand on is counted from now on."""
        for proxy in proxies:
            proxy.before_write, proxy.after_write = self._before, self._after

    def open_again(self) -> None:
        """Wait until all that was handed on is answered, then hand on what the next process writes."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while self._on_their_way and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        assert not self._on_their_way
        self._dead = False

    def _before(self, request: web.Request) -> None:
        with self._lock:
            if self._dead:
                raise ConnectionError("its process is dead, and nobody had read this yet")
            self.count += 1
            request[_NUMBER] = self.count
            if (self.count, self._side) == (self._number, "before"):
                self._fire()
            self._on_their_way.add(self.count)

    def _after(self, request: web.Request) -> None:
        with self._lock:
            self._on_their_way.discard(request[_NUMBER])
            if (request[_NUMBER], self._side) == (self._number, "after"):
                self._fire()

    def _fire(self) -> None:
        assert self.victim is not None, "nothing is written before the process has started"
        self.victim.kill()
        self.has_fired = self._dead = True
        raise ConnectionError("killed, as the test asked for")
