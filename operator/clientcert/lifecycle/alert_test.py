"""Test alerts: the request in annotations, the record in a status, and the next step."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

INTERVAL = timedelta(minutes=1)
"""Between two tests in one namespace."""
MOST_ATTEMPTS = 2
"""A test whose end was not recorded may have been sent, so it is sent once more, and not again."""
SENT, FAILED, UNKNOWN = "Sent", "Failed", "Unknown"
"""The outcomes. Unknown: the operator ended meanwhile, both times."""


@dataclass(frozen=True, slots=True)
class ChannelOutcome:
    """The outcome of a test in one channel; reason and message are empty if it was sent."""

    name: str
    type: str
    outcome: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RecordedTest:
    """The test that a status records: it waits if it has no `began`, and is over if it has an `ended`."""

    value: str
    due: datetime | None = None
    """The time for which it waits, after others of its namespace."""
    began: datetime | None = None
    attempts: int = 0
    ended: datetime | None = None
    channels: tuple[ChannelOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class AlertTest:
    """The tests of one object: the one that its annotations ask for, and the one that its status records."""

    value: str = ""
    """A new value asks for a test; empty: none is asked for."""
    to: str = field(default="", repr=False)
    """The address that letters of the test go to; empty: to the `replyTo` of their channels. Personal."""
    recorded: RecordedTest | None = None

    @property
    def before(self) -> RecordedTest | None:
        """The record of the test that is asked for; None if the status says nothing of it."""
        return self.recorded if self.recorded is not None and self.recorded.value == self.value else None


class Step(StrEnum):
    """The next step for the tests of an object."""

    NOTHING = "Nothing"
    BEGIN = "Begin"
    """Send, as soon as the namespace may."""
    GIVE_UP = "GiveUp"
    """It has begun as often as it may, and its outcome is unknown."""
    WITHDRAW = "Withdraw"
    """It has waited, and is not wanted any more."""


def next_step(test: AlertTest | None) -> Step:
    """Decide from what is asked for and what is recorded alone."""
    if test is None:
        return Step.NOTHING
    if not test.value:
        return Step.WITHDRAW if test.recorded is not None and test.recorded.began is None else Step.NOTHING
    if test.before is None or (test.before.ended is None and test.before.attempts < MOST_ATTEMPTS):
        return Step.BEGIN
    return Step.NOTHING if test.before.ended is not None else Step.GIVE_UP


def waiting(test: AlertTest, due: datetime) -> RecordedTest:
    """The record of a test that waits."""
    return replace(test.before or RecordedTest(test.value), due=due)


def begun(test: AlertTest, now: datetime) -> RecordedTest:
    """The record that is written before anything is sent."""
    return RecordedTest(test.value, began=now, attempts=(test.before.attempts if test.before else 0) + 1)


def ended(before: RecordedTest, channels: tuple[ChannelOutcome, ...], now: datetime) -> RecordedTest:
    """The record with the outcome of each channel."""
    return replace(before, due=None, ended=now, channels=channels)
