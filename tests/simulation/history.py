"""A history: what people and faults do to the operator, at random times over weeks, from one seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
_BEGINNINGS = (
    datetime(2026, 10, 2, tzinfo=UTC),  # clocks go back in Europe on the 25th
    datetime(2027, 2, 20, tzinfo=UTC),  # forward on 14 and 28 March, back in Australia on 4 April
    datetime(2026, 11, 22, tzinfo=UTC),
    datetime(2028, 2, 10, tzinfo=UTC),
)
_ZONES = ("UTC", "Europe/London", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
_TIMES = ("09:00", "02:30", "00:00", "17:45", "23:59")
_HOURS = (8.5, 12.0, 23.5, 1.25)
"""The hours at which certificates end, so that many fall due together."""
CHANNELS = {"slack": "Slack", "hook": "Webhook", "mail": "Email", "pager": "Webhook", "log": "Webhook"}
"""Channels and their types."""
_POLICIES = ("p0", "p1", "p2")
_REPLACEMENTS = ("good", "good", "good", "good", "future", "expired", "stranger", "same", "shorter")
_SOURCES = ("gone", "gone", "empty", "garbage", "forbidden", "failing")
_API = ("down", "down", "no writes", "conflicts", "slow", "loses answers")
_CHANNEL = ("down", "down", "limits", "refuses", "slow", "loses answers")
_HAPPENINGS = {
    "replace": 20,
    "source": 12,
    "policy": 8,
    "lose policy": 1,
    "move": 3,
    "silence": 8,
    "unsilence": 3,
    "channel": 14,
    "api": 10,
    "kill": 12,
    "stop": 6,
    "handover": 4,
    "delete": 3,
    "clock": 1,
}
"""The events that may happen, and the weight of each."""


@dataclass(frozen=True)
class Action:
    """One thing that happens."""

    at: datetime
    what: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.at:%a %Y-%m-%d %H:%M:%S}  {self.what} {' '.join(map(str, self.args))}"


@dataclass(frozen=True)
class History:
    """All actions, in order; the same history always has the same result."""

    seed: int
    begins: datetime
    ends: datetime
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.actions))


class _Author:
    def __init__(self, seed: int, days: int, certificates: int) -> None:
        self._random = Random(seed)
        self.begins = self._random.choice(_BEGINNINGS) + timedelta(hours=self._random.randrange(24))
        self.ends = self.begins + days * DAY
        self._names = tuple(f"c{number:02}" for number in range(certificates))
        self._actions: list[Action] = []

    def write(self, seed: int, per_day: float) -> History:
        for name in _POLICIES:
            self._add(self.begins, "policy", name, self._policy())
        for name in self._names:
            policy = self._any_policy()
            when = self.begins if self._random.random() < 0.8 else self._moment()
            self._add(when, "hand out", name, policy, self._life())
        self._add(self.begins + MINUTE, "start")
        days = (self.ends - self.begins) / DAY
        for _ in range(int(days * per_day)):
            self._happening()
        return History(seed, self.begins, self.ends, tuple(sorted(self._actions, key=lambda each: each.at)))

    def _happening(self) -> None:
        random, when, name = self._random, self._moment(), self._random.choice(self._names)
        what = random.choices(tuple(_HAPPENINGS), tuple(_HAPPENINGS.values()))[0]
        args, end = self._details(what)
        subject = (self._any_policy(),) if what in {"policy", "lose policy", "channel"} else (name,)
        if what in {"api", "kill", "stop", "handover", "clock"}:
            subject = ()
        self._add(when, what, *subject, *args)
        if end:
            restored, *more = end
            lasts = self._while(3.0 if what == "api" else 20.0)
            if args[-1:] in {("slow",), ("loses answers",), ("limits",)} and what == "channel":
                lasts += DAY / 3  # long enough for some messages
            if what == "source" and random.random() < 0.3:  # it flaps
                self._add(when + 6 * MINUTE, restored, *subject)
                self._add(when + 15 * MINUTE, what, *subject, *args)
                lasts += 20 * MINUTE
            self._add(when + lasts, restored, *subject, *more)

    def _details(self, what: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The rest of the arguments, and how it ends."""
        random = self._random
        channel = random.choice((*CHANNELS, "slack"))
        details: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
            "replace": ((random.choice(_REPLACEMENTS), self._life()), ()),
            "source": ((random.choice(_SOURCES),), ("restore",)),
            "policy": ((self._policy(),), ()),
            "lose policy": ((), ("policy", self._policy())),
            "move": ((self._any_policy(),), ()),
            "silence": ((random.choice((0.05, 1.0, 2.5, 9.0)),), ()),
            "channel": ((channel, random.choice(_CHANNEL)), ("channel", channel, "takes")),
            "api": ((random.choice(_API),), ("api", "answers")),
            "kill": ((random.randrange(60), random.choice((0.5, 5.0, 600.0, 40_000.0, 200_000.0))), ()),
            "stop": ((random.choice((0.5, 5.0, 3_000.0)),), ()),
            "handover": ((random.uniform(25.0, 30.0),), ()),
            "delete": ((), ("hand out", self._any_policy(), self._life())),
            "clock": ((random.uniform(-10_000, 40_000),), ("clock", 0.0)),
        }
        return details.get(what, ((), ()))

    def _any_policy(self) -> str:
        """Most certificates have the first one."""
        return self._random.choices(_POLICIES, (6, 3, 1))[0]

    def _add(self, when: datetime, what: str, *args: Any) -> None:
        self._actions.append(Action(when, what, args))

    def _moment(self) -> datetime:
        """Any time; more often just before or while many alerts fall due."""
        random = self._random
        day = self.begins + random.uniform(0, (self.ends - self.begins) / DAY) * DAY
        if random.random() < 0.35:
            return day
        midnight = day.replace(hour=0, minute=0, second=0, microsecond=0)
        hours = random.choice((*_HOURS, *(int(each[:2]) + int(each[3:]) / 60 for each in _TIMES)))
        return max(midnight + timedelta(hours=hours, seconds=random.uniform(-25, 15)), self.begins + 2 * MINUTE)

    def _while(self, longest: float) -> timedelta:
        """From half a minute to `longest` hours."""
        shortest = 30.0
        return timedelta(seconds=shortest * (longest * 3600 / shortest) ** self._random.random())

    def _life(self) -> float:
        """Days until a certificate ends, counted from midnight."""
        return self._random.choice((2, 5, 9, 16, 25, 33, 45, 80)) + self._random.choice(_HOURS) / 24

    def _policy(self) -> dict[str, Any]:
        random = self._random
        alerts: dict[str, Any] = {**self._schedule(), "group": random.choice(("Auto", "Never", "Policy", "Policy"))}
        channels = []
        for name, kind in CHANNELS.items():
            if random.random() < 0.3:
                continue
            channel = {"name": name if random.random() < 0.85 else f"{name}-new", "type": kind}
            if random.random() < 0.4:
                channel |= self._schedule()
            channels.append(channel)
        return {"alerts": alerts, "channels": channels}

    def _schedule(self) -> dict[str, Any]:
        random = self._random
        found: dict[str, Any] = {"startDaysBefore": random.choice((7, 14, 30, 30, 60))}
        choice = random.random()
        if choice < 0.3:
            found["repeat"] = {"everyDays": random.choice((1, 2, 7))}
        elif choice < 0.5:
            found["repeat"] = {"onDays": random.choice(([7, 3, 1], [5, 0], [30, 14], [7, 6, 5, 4, 2]))}
        if random.random() < 0.4:
            found["afterExpiry"] = {"everyDays": random.choice((1, 2, 7))}
            if random.random() < 0.3:
                found["afterExpiry"]["forDays"] = random.choice((1, 5, 14))
        if random.random() < 0.5:
            found["sendAt"] = {
                "time": random.choice(_TIMES),
                "timezone": random.choice(_ZONES),
                "weekdaysOnly": random.random() < 0.4,
            }
        return found


def random_history(seed: int, *, days: int = 60, certificates: int = 24, per_day: float = 2.5) -> History:
    """The history of this seed."""
    return _Author(seed, days, certificates).write(seed, per_day)


def spec_of_policy(name: str, made: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of a CertificatePolicy, whose channels have destinations of their own."""
    channels = []
    for each in made["channels"]:
        kind, at = each["type"], f"{name}-{each['name'].removesuffix('-new')}"
        address: dict[str, Any] = {"email": {"recipients": "Contact"}}
        if kind == "Slack":
            address = {"slack": {"channel": f"#{at}", "tokenSecretRef": {"name": "slack", "key": "token"}}}
        elif kind == "Webhook":
            address = {"webhook": {"urlSecretRef": {"name": at, "key": "url"}}}
        channels.append({**each, **address})
    return {"alerts": {**made["alerts"], "channels": channels}}


def small_history(seed: int) -> History:
    """A history that takes about a second: few certificates, and much that happens to them."""
    return random_history(seed, days=14, certificates=8, per_day=5.0)
