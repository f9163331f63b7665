"""Faults of calls to Slack, and a script that assigns them to calls."""

import json
import math
import random
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Fault:
    """The answer to one call instead of the usual one."""

    status: int = 200
    body: str = ""
    """Empty: the usual answer, if the status is 200."""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before the answer."""
    cut: bool = False
    """True if the connection ends without an answer."""
    accepted: bool = False
    """True if the message is accepted before the fault happens, which the sender cannot know."""

    @property
    def fails(self) -> bool:
        """True if the answer is not the usual one."""
        return self.cut or self.status != 200 or bool(self.body)

    @property
    def kind(self) -> str:
        """The content type of the body."""
        return "application/json" if self.body.startswith("{") else "text/html"

    @classmethod
    def rate_limited(cls, seconds: int | str | None = 1) -> "Fault":
        headers = {} if seconds is None else {"Retry-After": str(seconds)}
        return cls(status=429, body=json.dumps({"ok": False, "error": "ratelimited"}), headers=headers)

    @classmethod
    def error(cls, code: str) -> "Fault":
        """A refusal by the Web API: HTTP 200 and `ok: false`."""
        return cls(body=json.dumps({"ok": False, "error": code}))

    @classmethod
    def http(cls, status: int, body: str = "no", **headers: str) -> "Fault":
        return cls(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    @classmethod
    def slow(cls, seconds: float) -> "Fault":
        return cls(delay=seconds)

    @classmethod
    def cut_off(cls) -> "Fault":
        return cls(cut=True)

    def once_accepted(self) -> "Fault":
        """The same fault, after the message was accepted."""
        return replace(self, accepted=True)


PASS = Fault()
"""No fault: `fail_next(PASS, Fault.http(500))` lets the first call through."""


@dataclass(slots=True)
class RateLimit:
    """At most `calls` calls in any `seconds` seconds; the answer to the next one is a 429 with a Retry-After."""

    calls: int
    seconds: float
    _taken: deque[datetime] = field(default_factory=deque)

    def take(self, now: datetime) -> Fault:
        """The fault of this call, if it exceeds the limit."""
        while self._taken and now - self._taken[0] >= timedelta(seconds=self.seconds):
            self._taken.popleft()
        if len(self._taken) < self.calls:
            self._taken.append(now)
            return PASS
        passed = (now - self._taken[0]).total_seconds()
        return Fault.rate_limited(math.ceil(self.seconds - passed))


class FaultScript:
    """Chooses the fault of the next call. A place is a channel, a method of the Web API, or "" for all calls."""

    def __init__(self) -> None:
        self._next: dict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._rates: dict[str, tuple[float, Fault]] = {}
        self._random = random.Random(0)

    def next(self, place: str, faults: tuple[Fault, ...]) -> None:
        self._next[place].extend(faults)

    def always(self, place: str, fault: Fault) -> None:
        self._always[place] = fault

    def rate(self, place: str, share: float, fault: Fault, seed: int) -> None:
        self._random.seed(seed)
        self._rates[place] = (share, fault)

    def clear(self, place: str) -> None:
        for script in (self._next, self._always, self._rates):
            script.pop(place, None)

    def clear_all(self) -> None:
        for script in (self._next, self._always, self._rates):
            script.clear()

    def take(self, *places: str) -> Fault:
        """The fault of a call that concerns these places, the most specific first."""
        for place in (*places, ""):
            if self._next.get(place):
                return self._next[place].popleft()
            if place in self._always:
                return self._always[place]
            share, fault = self._rates.get(place, (0.0, PASS))
            if self._random.random() < share:
                return fault
        return PASS
