"""Ends a process at its N-th write or send, whichever of several proxies that comes by."""

import threading
import time
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from aiohttp import web

from tests.faults.proxy import FaultyProxy
from tools.control_plane import OperatorProcess

Side = Literal["before", "after"]
SIDES: tuple[Side, Side] = ("before", "after")
_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.01
_NUMBER = web.RequestKey("number", int)


class Point(NamedTuple):
    """Just before the `number`-th is handed on, or just after the target has answered it; 0: never."""

    number: int
    side: Side
    counted: str = ""
    """Only what has this in its path is counted."""


class Answer(NamedTuple):
    """What a target said to a write that it has done."""

    time: datetime
    path: str
    body: bytes


class KillSwitch:
    """Counts in one order what passes the proxies it is put on."""

    def __init__(self, point: Point) -> None:
        self._point = point
        self._lock = threading.Lock()
        self._on_their_way: set[int] = set()
        self._dead = False
        self.count = 0
        self.answers: list[Answer] = []
        self.fired_at: datetime | None = None
        self.victim: OperatorProcess | None = None

    @property
    def has_fired(self) -> bool:
        return self.fired_at is not None

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
            if self._dead or request.transport is None:
                raise ConnectionError("its process is dead, and nobody had read this yet")
            if self._point.counted in request.path:
                self.count += 1
                request[_NUMBER] = self.count
            self._fire_at(request, "before")
            self._on_their_way.add(id(request))

    def _after(self, request: web.Request, status: int, body: bytes) -> None:
        with self._lock:
            self._on_their_way.discard(id(request))
            if status < 300:
                self.answers.append(Answer(datetime.now(UTC), request.path, body))
            self._fire_at(request, "after")

    def _fire_at(self, request: web.Request, side: Side) -> None:
        if (request.get(_NUMBER), side) != (self._point.number, self._point.side):
            return
        assert self.victim is not None, "nothing is written before the process has started"
        self.victim.kill()
        self._dead = True
        self.fired_at = datetime.now(UTC)
        raise ConnectionError("killed, as the test asked for")
