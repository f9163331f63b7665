"""Reads a chronicle: what was due for one certificate in one channel, as far as the operator could know it."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from tests.simulation.chronicle import Chronicle, Content, Declaration, Send
from tests.simulation.expected import Channel, channels, every_day, latest, slots_between

SECOND = timedelta(seconds=1)
LAG = 40 * SECOND
"""The operator may go by what was true this long ago: a watch delivers, a message is on its way."""
LAG_WHEN_CUT_OFF = 90 * SECOND
"""The same for a leader whose Lease still runs."""
AT_LAST = frozenset({"failing", "gone", "empty"})
"""A Secret that answers 500, or holds nothing, is a problem after a grace."""
GRACE = 300 * SECOND
"""The longest grace."""
RETRIED_WITHIN = 900 * SECOND
"""A Secret that may not be read is read again after this time at the latest, also from an API server that is away."""
_JUST_BEFORE = timedelta(microseconds=1)
_EMAIL = "Email"


@dataclass(frozen=True)
class Due:
    """The message that is due for one certificate in one channel."""

    serial: str
    stage: int


@dataclass(frozen=True)
class _Facts:
    when: datetime
    """The time of the declaration and the policy."""
    now: datetime
    """The time at which they are looked at."""
    content: Content
    noticed: bool
    """True if the grace of a problem has passed."""


@dataclass(frozen=True)
class Told:
    """One arrival: a message, or one line of a digest."""

    send: Send
    serial: str
    stage: int
    """Days before notAfter; of a line of a digest the latest stage that may have been due."""
    at_most: int
    """The earliest stage that may have been due."""
    unexplained: bool = False
    """True for a line of a digest that names a certificate for which nothing was due."""

    @property
    def time(self) -> datetime:
        return self.send.time


class View:
    """Answers the questions of the rules."""

    def __init__(self, chronicle: Chronicle) -> None:
        self.chronicle = chronicle
        self.contents = {each.serial: each for line in chronicle.secrets.values() for each in line.values}
        self.alerts: dict[tuple[str, str], list[Told]] = defaultdict(list)
        self.closings: dict[tuple[str, str], list[tuple[Send, str, str]]] = defaultdict(list)
        """By uid and channel: the message, the replaced serial number, and the new one."""
        self._declarations = {each.uid: each for each in chronicle.declarations}
        self._channels = lru_cache(maxsize=None)(lambda name, at: channels(name, self._policy(name).values[at]))
        for send in chronicle.sends:
            for entry in send.entries:
                if entry.closing:
                    self.closings[entry.uid, send.channel].append((send, entry.replaced, entry.serial))
                else:
                    self.alerts[entry.uid, send.channel].append(self._told(send, entry.uid, entry.serial, entry.stage))

    def declaration(self, uid: str) -> Declaration:
        return self._declarations[uid]

    def clock(self, when: datetime) -> datetime:
        """The time of the operator's clock."""
        return when + timedelta(seconds=self.chronicle.offset.at(when))

    def channel(self, declared: Declaration, name: str, when: datetime) -> Channel | None:
        """The channel in the policy of this certificate; None if it has no such channel."""
        policy = declared.specs.at(when).policy
        line = self._policy(policy)
        return self._channels(policy, max(bisect_right(line.times, when) - 1, 0)).get(name)

    def all_channels(self, declared: Declaration) -> set[str]:
        """The names of all channels that the certificate has ever had."""
        policies = {each.policy for each in declared.specs.values}
        return {
            name
            for each in policies
            for at in range(len(self._policy(each).values))
            for name in self._channels(each, at)
        }

    def silent(self, declared: Declaration, when: datetime) -> bool:
        until = declared.specs.at(when).silent_until
        return until is not None and self.clock(when) < until

    def accepted(self, declared: Declaration, when: datetime) -> str:
        """The serial number in the status; empty before there is one."""
        return str((declared.statuses.at(when).get("certificate") or {}).get("serialNumber", ""))

    def content(self, declared: Declaration, when: datetime) -> Content:
        return self.chronicle.secrets[declared.name].at(when)

    def replaces(self, declared: Declaration, content: Content, when: datetime) -> bool:
        """True for a certificate of this consumer that is valid now."""
        if content.state != "certificate" or content.common_name != declared.name:
            return False
        assert content.not_before
        assert content.not_after
        return content.not_before <= self.clock(when) <= content.not_after

    def due(self, declared: Declaration, name: str, when: datetime) -> list[Due]:
        """The message that is due by the facts of this moment: one alert, or none."""
        content, since = self.content(declared, when), self.chronicle.secrets[declared.name].last_change(when)
        return self._due_by(declared, name, _Facts(when, when, content, when - since > GRACE))

    def _due_by(self, declared: Declaration, name: str, facts: "_Facts") -> list[Due]:
        when, content = facts.when, facts.content
        if when < declared.specs.times[0] or (declared.deleted and when >= declared.deleted):
            return []
        channel = self.channel(declared, name, when)
        if channel is None or self.silent(declared, when):
            return []
        before = self.accepted(declared, when)
        is_new = content.state == "certificate" and (not before or self.replaces(declared, content, facts.now))
        found = self._due_for(declared, channel, content.serial if is_new else before, facts)
        return [found] if found else []

    def _due_for(self, declared: Declaration, channel: Channel, serial: str, facts: "_Facts") -> Due | None:
        problem = bool(self.problem(declared, serial, facts.when, facts.content))
        if facts.content.state in AT_LAST:
            problem = facts.noticed
        foreign = bool(serial) and self.contents[serial].common_name != declared.name
        if not serial and (not problem or channel.type == _EMAIL):
            return None
        if channel.type == _EMAIL and foreign and facts.content.serial == serial:
            return None
        plan, ends = channel.plan, self.contents[serial].not_after if serial else declared.created
        if problem and channel.type != _EMAIL:
            plan = every_day(plan, dated=bool(serial))
        assert ends
        stage = latest(plan, ends, self.clock(facts.now))
        return None if stage is None else Due(serial, stage)

    def problem(self, declared: Declaration, serial: str, when: datetime, content: Content) -> str:
        """Why the source has no usable certificate, which is alerted about every day; empty if it has one."""
        if content.state != "certificate":
            return content.state
        assert content.not_before
        assert content.not_after
        if content.common_name != declared.name:
            return "stranger"
        is_another = content.serial != serial and content.not_before <= self.clock(when)
        return "expired" if is_another and content.not_after < self.clock(when) else ""

    def problems(self, declared: Declaration, serial: str, when: datetime) -> set[str]:
        """The problems that a message of this time may tell of; an empty text: none, as in a grace.

        The grace begins when a process first sees the source gone.
        """
        found = set()
        for moment in self.moments(declared, when):
            content = self.content(declared, moment)
            found.add(self.problem(declared, serial, moment, content))
            since = max(
                self.chronicle.secrets[declared.name].last_change(moment), self.chronicle.leader.last_change(moment)
            )
            if content.state in AT_LAST and moment - since < GRACE:
                found.add("")
            if content.state == "forbidden" and "down" in self.chronicle.api.within(moment - RETRIED_WITHIN, moment):
                found.add("unavailable")
        return found

    def slots(
        self, declared: Declaration, name: str, serial: str, between: tuple[datetime, datetime]
    ) -> Iterator[datetime]:
        """The slots of this channel after the first time and up to the second, by the facts of the first."""
        begins, ends = between
        channel, offset = self.channel(declared, name, begins), timedelta(seconds=self.chronicle.offset.at(begins))
        if channel is None:
            return
        plan, expires = channel.plan, self.contents[serial].not_after if serial else declared.created
        if channel.type != _EMAIL and self.problem(declared, serial, begins, self.content(declared, begins)):
            plan = every_day(plan, dated=bool(serial))
        assert expires
        for slot in slots_between(plan, expires, begins + offset, ends + offset):
            yield slot - offset

    def moments(self, declared: Declaration, when: datetime) -> Iterator[datetime]:
        """The moments whose facts a message of this time may show: this one, and before and after each change."""
        since, chronicle = self.since(when), self.chronicle
        lines = [declared.specs, declared.statuses, chronicle.secrets[declared.name], chronicle.offset]
        lines += [self._policy(each.policy) for each in declared.specs.within(since, when)]
        changes = {moment for line in lines for moment in line.changes(since, when)}
        yield when
        yield since
        for change in changes:
            yield change
            yield change - _JUST_BEFORE

    def since(self, when: datetime) -> datetime:
        """The time of the oldest facts that the operator may still go by."""
        chronicle = self.chronicle
        lag = LAG_WHEN_CUT_OFF if 0 in chronicle.leader.within(when - LAG_WHEN_CUT_OFF, when) else LAG
        since = when - lag
        while "down" in chronicle.api.within(since, when):
            begins = [at for at, mode in zip(chronicle.api.times, chronicle.api.values, strict=True) if mode == "down"]
            began = begins[bisect_right(begins, when) - 1] - lag
            if began >= since:
                break
            since = began
        return max(since, chronicle.begins)

    def all_due(self, declared: Declaration, name: str, when: datetime) -> set[Due]:
        """Everything that may have been due in this channel for a message that arrives now.

        Source and policy have watches of their own: either may be known before the other.
        """
        found: set[Due] = set()
        moments = set(self.moments(declared, when))
        for content in {self.content(declared, moment) for moment in moments}:
            for moment in moments:
                for noticed in (True, False) if content.state in AT_LAST else (True,):
                    for now in {moment, when}:
                        found.update(self._due_by(declared, name, _Facts(moment, now, content, noticed)))
        return found

    def epoch(self, declared: Declaration, serial: str, when: datetime) -> int:
        """The number of changes of the accepted certificate when this one was told of."""
        line = declared.statuses
        at, seen, count = bisect_right(line.times, when), "", 0
        for status in line.values[:at]:
            now = str((status.get("certificate") or {}).get("serialNumber", ""))
            count += now != seen
            seen = now
        return count if seen == serial else count + 1

    def _told(self, send: Send, uid: str, serial: str, stage: int | None) -> Told:
        if stage is not None:
            return Told(send, serial, stage, stage)
        due = self.all_due(self.declaration(uid), send.channel, send.time)
        stages = [each.stage for each in due if each.serial == serial]
        return Told(send, serial, min(stages, default=0), max(stages, default=0), unexplained=not stages)

    def _policy(self, name: str):  # type: ignore[no-untyped-def]
        return self.chronicle.policies[name]

    def first_after(self, told: list[Told], when: datetime) -> int:
        """The position of the first arrival at or after this time."""
        return bisect_left([each.time for each in told], when)
