"""Ends a process at its N-th write or send, counted over several proxies and the mail server."""

import threading
import time
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from aiohttp import web

from tests.faults.proxy import FaultyProxy
from tools.control_plane import OperatorProcess
from tools.mail_server import LoopbackMailServer, Received

Side = Literal["before", "after"]
SIDES: tuple[Side, Side] = ("before", "after")
MAILS = "/mails"
"""Used for each mail instead of the path of a request."""
_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.01


class Point(NamedTuple):
    """Just before the `number`-th request is forwarded, or just after the target has answered it; 0 means never."""

    number: int
    side: Side
    counted: str = ""
    """Only requests with this in their path are counted."""


class Answer(NamedTuple):
    """The answer of a target to a completed write."""

    time: datetime
    path: str
    body: bytes


class KillSwitch:
    """Counts the writes in all attached proxies, in one order."""

    def __init__(self, point: Point) -> None:
        self._point = point
        self._lock = threading.Lock()
        self._on_their_way: dict[int, int] = {}
        """The number of each forwarded request without an answer; 0 for requests that are not counted."""
        self._dead = False
        self.count = 0
        self.answers: list[Answer] = []
        self.fired_at: datetime | None = None
        self.victim: OperatorProcess | None = None

    @property
    def has_fired(self) -> bool:
        return self.fired_at is not None

    def attach_to(self, *proxies: FaultyProxy) -> None:
        """Count the writes in these proxies from now on."""
        for proxy in proxies:
            proxy.before_write, proxy.after_write = self._before, self._after

    def attach_to_mail(self, server: LoopbackMailServer) -> None:
        """Count the mails of this server from now on; the point after a mail is before the server confirms it."""
        server.before_mail, server.on_mail = self._before_mail, self._after_mail

    def reopen(self) -> None:
        """Wait until all forwarded writes are answered; then forward the writes of the next process."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while self._on_their_way and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        assert not self._on_their_way
        self._dead = False

    def _before(self, request: web.Request) -> None:
        if request.transport is None:
            raise ConnectionError("its process is dead, and nobody had read this yet")
        self._may_forward(request, request.path)

    def _after(self, request: web.Request, status: int, body: bytes) -> None:
        self._is_answered(request, Answer(datetime.now(UTC), request.path, body), taken=status < 300)

    def _before_mail(self, mail: Received) -> None:
        self._may_forward(mail, MAILS)

    def _after_mail(self, mail: Received) -> None:
        self._is_answered(mail, Answer(datetime.now(UTC), MAILS, mail.content), taken=True)

    def _may_forward(self, what: object, path: str) -> None:
        with self._lock:
            if self._dead:
                raise ConnectionError("its process is dead, and nobody had read this yet")
            number = 0
            if self._point.counted in path:
                self.count += 1
                number = self.count
            self._fire_at(number, "before")
            self._on_their_way[id(what)] = number

    def _is_answered(self, what: object, answer: Answer, *, taken: bool) -> None:
        with self._lock:
            number = self._on_their_way.pop(id(what))
            if taken:
                self.answers.append(answer)
            self._fire_at(number, "after")

    def _fire_at(self, number: int, side: Side) -> None:
        if not number or (number, side) != (self._point.number, self._point.side):
            return
        assert self.victim is not None, "nothing is written before the process has started"
        self._dead = True
        self.fired_at = datetime.now(UTC)  # before another thread can see that the process has ended
        self.victim.kill()
        raise ConnectionError("killed, as the test asked for")
