"""The events of one history, as a stranger saw them: facts with their times, sends and written statuses.

The world writes it, the oracle reads it. Nothing here knows the operator.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Timeline(Generic[Value]):
    """The values of one fact, each from its time on."""

    def __init__(self, first: Value, begins: datetime) -> None:
        self.times, self.values = [begins], [first]

    def set(self, value: Value, when: datetime) -> None:
        """The fact has this value from now on."""
        if value != self.values[-1]:
            self.times.append(when)
            self.values.append(value)

    def at(self, when: datetime) -> Value:
        """The value at this time; the first value before its beginning."""
        return self.values[max(bisect_right(self.times, when) - 1, 0)]

    def within(self, begins: datetime, ends: datetime) -> list[Value]:
        """All values that the fact had in this time, in order."""
        first = max(bisect_right(self.times, begins) - 1, 0)
        return self.values[first : max(bisect_right(self.times, ends), first + 1)]

    def changes(self, begins: datetime, ends: datetime) -> list[datetime]:
        """The times of its changes after `begins` and up to `ends`."""
        return self.times[bisect_right(self.times, begins) : bisect_right(self.times, ends)]

    def last_change(self, before: datetime) -> datetime:
        """The time from which the value of this time holds."""
        return self.times[max(bisect_left(self.times, before) - 1, 0)]


@dataclass(frozen=True)
class Content:
    """The content of a Secret."""

    state: str = "certificate"
    """`certificate`, `gone`, `empty`, `garbage`, `forbidden` (it may not be read)."""
    serial: str = ""
    common_name: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True)
class Declared:
    """The spec of a ClientCertificate, as far as it matters here."""

    policy: str
    silent_until: datetime | None = None


@dataclass
class Declaration:
    """One ClientCertificate object; a new one of the same name has another uid."""

    name: str
    uid: str
    created: datetime
    specs: Timeline[Declared]
    statuses: Timeline[Mapping[str, Any]]
    deleted: datetime | None = None
    writes: list[datetime] = field(default_factory=list)
    """The time of each status write."""


@dataclass(frozen=True)
class Entry:
    """The content of one message, or of one line of a digest, about one certificate."""

    uid: str
    name: str
    serial: str
    closing: bool = False
    stage: int | None = None
    """Of an alert in a single message; a line of a digest does not tell it."""
    replaced: str = ""
    """The serial number of the replaced certificate, in a closing message."""


@dataclass
class Send:
    """One message that arrived at a channel."""

    time: datetime
    process: int
    channel: str
    destination: str
    entries: tuple[Entry, ...]
    is_digest: bool
    acknowledged: bool = True
    """False: the answer was lost on its way."""


@dataclass(frozen=True)
class Wait:
    """A destination has asked a process for no message before `until`."""

    time: datetime
    process: int
    destination: str
    until: datetime


@dataclass
class Chronicle:
    """One history from its beginning to its end."""

    begins: datetime
    ends: datetime
    policies: dict[str, Timeline[Mapping[str, Any] | None]] = field(default_factory=dict)
    """The spec of each policy; None while it does not exist."""
    digests: dict[str, Timeline[tuple[tuple[str, str], ...]]] = field(default_factory=dict)
    """The channel and the sentTime of each digest in a policy's status."""
    declarations: list[Declaration] = field(default_factory=list)
    secrets: dict[str, Timeline[Content]] = field(default_factory=dict)
    channels: dict[str, Timeline[str]] = field(default_factory=dict)
    """The answers of each destination: `takes` means that all is well."""
    api: Timeline[str] = field(init=False)
    """The answers of the API server: `answers` means that all is well."""
    leader: Timeline[int] = field(init=False)
    """The number of the process that leads; 0 for none."""
    offset: Timeline[float] = field(init=False)
    """The seconds by which the operator's clock is ahead."""
    terms: dict[int, datetime] = field(default_factory=dict)
    """By process: from then on another one may lead, or it is dead."""
    stops: dict[int, datetime] = field(default_factory=dict)
    """The processes that ended after SIGTERM."""
    sends: list[Send] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    tries: list[tuple[datetime, int, str]] = field(default_factory=list)
    """The time, process and destination of each message that was begun."""
    runaway: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there were more calls to the outside than can be right: the history ends there."""
    calls: int = 0
    serials: dict[str, str] = field(default_factory=dict)
    """The serial number of each certificate, by its fingerprint."""

    def __post_init__(self) -> None:
        self.api = Timeline("answers", self.begins)
        self.leader = Timeline(0, self.begins)
        self.offset = Timeline(0.0, self.begins)

    def declaration(self, uid: str) -> Declaration:
        """The object with this uid."""
        return next(each for each in self.declarations if each.uid == uid)
