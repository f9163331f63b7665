"""Waits a moment for who else is due, so that many alerts of one channel become one digest.

Whoever is due first joins its group and is not sent yet; each that joins has the group wait a little longer. When
nobody has joined for a while it closes. If they are many, one of them, the most urgent, is woken and sends for all;
if not, all are woken and each sends for itself.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime

from clientcert.lifecycle.spec import ObjectKey

SETTLE_SECONDS = 2.0
"""So long after the last one has joined a group closes."""
LONGEST_SECONDS = 60.0
"""So long after the first one at the latest."""
ALONE_SECONDS = 60.0
"""So long those who turned out to be few need not gather again."""
TURN_SECONDS = 15.0
"""So long one may speak for all; then it is another's turn: nobody may be waited for for ever."""


@dataclass(slots=True)
class _Group:
    few: int
    """As many as this are no digest."""
    opened: float
    patience: float
    """Times as long as others it waits."""
    heard: set[ObjectKey] = field(default_factory=set)
    """Who belongs there and is owed nothing itself."""
    members: dict[ObjectKey, datetime] = field(default_factory=dict)
    """Who waits, and until when it must be told."""
    speaker: ObjectKey | None = None
    """Who sends for all, once it is closed."""
    had_their_turn: set[ObjectKey] = field(default_factory=set)
    sending: bool = False
    timer: asyncio.TimerHandle | None = None


class AlertGroups:
    """From the event loop only; `wake` is called with each key that may go on."""

    def __init__(
        self,
        wake: Callable[[ObjectKey], None],
        *,
        settle: float = SETTLE_SECONDS,
        longest: float = LONGEST_SECONDS,
        turn: float = TURN_SECONDS,
    ) -> None:
        """All in seconds."""
        self._wake = wake
        self._settle = settle
        self._longest = longest
        self._turn = turn
        self._groups: dict[Hashable, _Group] = {}
        self._joined: dict[ObjectKey, set[Hashable]] = {}
        self._alone: dict[ObjectKey, dict[Hashable, float]] = {}
        """Who need not gather again, and until when on the loop's clock."""

    @property
    def waiting(self) -> int:
        """How many wait for others, or for who speaks for them."""
        return sum(len(group.members) for group in self._groups.values())

    def may_go(self, place: Hashable, key: ObjectKey, until: datetime, few: int, patience: float = 1.0) -> bool:
        """Whether this key sends now: alone, or for all that have joined. Else it has joined, and will be woken.

        `until` is when it must be told, `few` how many are no digest, `patience` how many times longer than others
        the first one waits for more.
        """
        if self._alone.get(key, {}).get(place, 0.0) > _now():
            return True
        group = self._groups.get(place)
        if group is None:
            group = self._groups[place] = _Group(few, _now(), patience)
        if group.speaker == key and not group.sending:
            return True
        if key not in group.members:
            group.members[key] = until
            self._joined.setdefault(key, set()).add(place)
            self._wait(place, group)
        return False

    def hear(self, place: Hashable, key: ObjectKey) -> None:
        """The key belongs there as well, and may be owed nothing yet: who is due waits a little longer for more."""
        group = self._groups.get(place)
        if group is not None and key not in group.members and key not in group.heard:
            group.heard.add(key)
            self._wait(place, group)

    def _wait(self, place: Hashable, group: _Group) -> None:
        if group.speaker is None:
            settle, longest = group.patience * self._settle, group.patience * self._longest
            self._arm(place, group, min(_now() + settle, group.opened + longest), self._close)

    def take(self, place: Hashable, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """The key sends now. For whom, the most urgent first; for itself alone if it is none that speaks for others.

        Whoever it speaks for waits until `done`.
        """
        group = self._groups.get(place)
        if group is None or group.speaker != key or group.sending:
            return (key,)
        group.sending = True
        return tuple(sorted(group.members, key=lambda member: (group.members[member], member)))

    def done(self, place: Hashable, key: ObjectKey) -> None:
        """What it has taken was sent, or was not: all are woken, and who is owed something still gathers again."""
        group = self._groups.get(place)
        if group is None or group.speaker != key or not group.sending:
            return
        everybody = tuple(group.members)
        self._end(place)
        for member in everybody:
            if member != key:
                self._wake(member)

    def judged(self, key: ObjectKey, wanted: frozenset[Hashable] = frozenset()) -> None:
        """The key was looked at, and is owed something in these places only: elsewhere nobody waits for it."""
        alone = {place: end for place, end in self._alone.pop(key, {}).items() if place in wanted and end > _now()}
        if alone:
            self._alone[key] = alone
        for place in tuple(self._joined.get(key, set()) - wanted):
            group = self._groups[place]
            if group.sending:
                continue
            self._leave(group, place, key)
            if group.speaker == key or not group.members:
                self._choose(place)

    def _close(self, place: Hashable) -> None:
        group = self._groups[place]
        if len(group.members) > group.few:
            self._choose(place)
            return
        everybody = tuple(group.members)
        self._end(place)
        for key in everybody:
            self._alone.setdefault(key, {})[place] = _now() + ALONE_SECONDS
            self._wake(key)

    def _choose(self, place: Hashable) -> None:
        """The most urgent speaks for all; if it does not in time, the next."""
        group = self._groups[place]
        if not group.members:
            self._end(place)
            return
        if group.sending:
            return
        if not group.members.keys() - group.had_their_turn:
            group.had_their_turn.clear()
        waiting = group.members.keys() - group.had_their_turn
        group.speaker = min(waiting, key=lambda member: (group.members[member], member))
        group.had_their_turn.add(group.speaker)
        self._arm(place, group, _now() + self._turn, self._choose)
        self._wake(group.speaker)

    def _leave(self, group: _Group, place: Hashable, key: ObjectKey) -> None:
        group.members.pop(key, None)
        places = self._joined.get(key, set())
        places.discard(place)
        if not places:
            self._joined.pop(key, None)

    def _end(self, place: Hashable) -> None:
        group = self._groups.pop(place)
        if group.timer is not None:
            group.timer.cancel()
        for key in tuple(group.members):
            self._leave(group, place, key)

    def _arm(self, place: Hashable, group: _Group, at: float, then: Callable[[Hashable], None]) -> None:
        if group.timer is not None:
            group.timer.cancel()
        group.timer = asyncio.get_running_loop().call_at(at, then, place)


def _now() -> float:
    return asyncio.get_running_loop().time()
