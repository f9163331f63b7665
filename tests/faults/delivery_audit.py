"""Compares due and delivered messages: the invariants of faults.md as numbers.

A notification is identified by (object, certificate, stage, channel). Every due notification is delivered eventually,
and once; and nothing is delivered that was not due at that time.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from tools.slack_server import Posted

DAY = timedelta(days=1)
_SERIAL = re.compile(r"^Serial number[\n:] ?([0-9a-f]+)", re.MULTILINE)
_SERIAL_IN_A_SENTENCE = re.compile(r"serial number (?:is )?([0-9a-f]+)")
_EXPIRING = re.compile(r"(?:will|is due to) expire within the next (?:(\d+) days|24 hours)(?:$|, on )")
_EXPIRED = re.compile(r"expired on [0-9-]+(?: [0-9:]+ UTC)?, (?:(\d+) days? ago|less than a day ago)")
_CLOSING = re.compile(r"(?:was replaced by|can be read now:|is in place:) serial number ([0-9a-f]+),")
_LINE_OF_A_DIGEST = re.compile(r"^• (.+?); serial number ([0-9a-f]+)", re.MULTILINE)
_IN_A_DIGEST = re.compile(r": (?:(\d+) days?(?:, \d+ hours?)?|\d+ hours?|less than an hour) \(")
_PROBLEM = re.compile(r" (?:could not be read:|is missing:|needs attention:) ")
CLOSING = None
"""The stage of a closing message."""


class Key(NamedTuple):
    """The identity of a notification: the object, its certificate, the stage, and the channel."""

    uid: str
    fingerprint: str
    stage: int | None
    """Days before notAfter, as in the status; None for the closing message of the previous certificate."""
    channel: str


class Arrival(NamedTuple):
    """One message at its arrival."""

    time: datetime
    channel: str
    """The channel's name in the policy."""
    text: str
    """It contains the consumer and the stage."""
    serial: str
    """The serial number of its certificate, as in the status; empty if the text has none."""


def stage_at(not_after: datetime, now: datetime) -> int:
    """The latest stage of a daily schedule: 0 in the last 24 hours, -1 in the first 24 hours after notAfter."""
    days = -((now - not_after) // DAY)
    return days if days > 1 else 0 if not_after > now else days - 1


def stage_in(text: str) -> int | None:
    """The stage in a sentence; raises ValueError for an unknown sentence."""
    if found := _EXPIRING.search(text):
        return 0 if found[1] in {None, "1"} else int(found[1])
    if found := _EXPIRED.search(text):
        return -int(found[1] or 0) - 1
    if _CLOSING.search(text):
        return CLOSING
    if found := _IN_A_DIGEST.search(text):
        return int(found[1]) + 1 if found[1] else 0
    raise ValueError(f"neither alert nor closing message: {text}")


def is_problem(text: str) -> bool:
    """True for an alert about a problem with a source, which begins and has no stage."""
    return _PROBLEM.search(text) is not None


def in_slack(posted: Posted) -> list[Arrival]:
    """The arrivals in a Slack channel, which has the policy channel's name with `#`. Each line of a digest is one
    arrival.
    """
    channel = posted.channel.removeprefix("#")
    if lines := _LINE_OF_A_DIGEST.findall("\n".join(posted.texts())):
        return [Arrival(posted.time, channel, f"In a digest: {line}", serial) for line, serial in lines]
    closing = _CLOSING.search(posted.text)
    found = closing or next(filter(None, map(_SERIAL.search, posted.texts())), None)
    return [Arrival(posted.time, channel, posted.text, found[1] if found else "")]


def serial_in(text: str) -> str:
    """The serial number in the sentences of a letter; empty if there is none."""
    found = _SERIAL_IN_A_SENTENCE.search(text)
    return found[1] if found else ""


@dataclass
class DeliveryAudit:
    """The due and the delivered messages of one scenario so far."""

    due: set[Key] = field(default_factory=set)
    """The notifications that were due when everything had to be delivered."""
    delivered: Counter[Key] = field(default_factory=Counter)
    problems: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The alerts about a problem with a source, by channel and text. No scenario lasts until one is due again."""
    strays: list[str] = field(default_factory=list)
    """The texts of messages that were not due at their arrival."""

    @property
    def lost(self) -> set[Key]:
        """The notifications that were due and not delivered."""
        return {key for key in self.due if not self.delivered[key]}

    @property
    def repeated(self) -> Counter[Key]:
        """The notifications that were delivered more than once, with the number of repetitions."""
        return Counter({key: count - 1 for key, count in self.delivered.items() if count > 1})

    @property
    def duplicates(self) -> int:
        return self.repeated.total() + sum(count - 1 for count in self.problems.values())

    def shown(self, keys: Iterable[Key]) -> list[str]:
        """For the message of a failing test."""
        return sorted(f"{key.channel}: stage {key.stage} of {key.uid[:8]}/{key.fingerprint[:8]}" for key in keys)
