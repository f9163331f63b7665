"""Waits a moment for who else is due, so that many alerts of one channel become one digest.

Whoever is due first joins its group and is not sent yet; each that joins has the group wait a little longer. When
nobody has joined for a while it closes. If they are many, one of them, the most urgent, is woken and sends for all;
if not, all are woken and each sends for itself.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime

from clientcert.lifecycle.declaration import ObjectKey

SETTLE_SECONDS = 2.0
"""So long after the last one has joined a group closes."""
LONGEST_SECONDS = 60.0
"""So long after the first one at the latest."""
ALONE_SECONDS = 60.0
"""So long those who turned out to be few need not gather again."""


@dataclass(slots=True)
class _Group:
    few: int
    """As many as this are no digest."""
    opened: float
    members: dict[ObjectKey, datetime] = field(default_factory=dict)
    """Who waits, and until when it must be told."""
    closed: bool = False
    speaker: ObjectKey | None = None
    """Who sends for all, once it is closed and they are many."""
    timer: asyncio.TimerHandle | None = None


class Gathering:
    """From the event loop only; `wake` is called with each key that may go on."""

    def __init__(
        self, wake: Callable[[ObjectKey], None], *, settle: float = SETTLE_SECONDS, longest: float = LONGEST_SECONDS
    ) -> None:
        self._wake = wake
        self._settle = settle
        self._longest = longest
        self._groups: dict[Hashable, _Group] = {}
        self._joined: dict[ObjectKey, set[Hashable]] = {}

    @property
    def waiting(self) -> int:
        """How many wait for others, or for who speaks for them."""
        return sum(len(group.members) for group in self._groups.values() if not group.closed or group.speaker)

    def may_go(self, place: Hashable, key: ObjectKey, until: datetime, few: int) -> bool:
        """Whether this key sends now: alone, or for all that have joined. Else it has joined, and will be woken.

        `until` is when it must be told, `few` how many are no digest.
        """
        group = self._groups.get(place)
        if group is None:
            group = self._groups[place] = _Group(few, _now())
        if group.closed and (group.speaker is None or group.speaker == key):
            return True
        if key not in group.members:
            group.members[key] = until
            self._joined.setdefault(key, set()).add(place)
            if not group.closed:
                self._arm(place, group, min(_now() + self._settle, group.opened + self._longest), self._close)
        return False

    def take(self, place: Hashable, key: ObjectKey) -> tuple[ObjectKey, ...]:
        """The key sends now. For whom, the most urgent first; for itself alone if it is none that speaks for others."""
        group = self._groups.get(place)
        if group is None or group.speaker != key:
            return (key,)
        everybody = sorted(group.members, key=lambda member: (group.members[member], member))
        self._end(place)
        return tuple(everybody)

    def judged(self, key: ObjectKey, wanted: frozenset[Hashable] = frozenset()) -> None:
        """The key was looked at, and is owed something in these places only: elsewhere nobody waits for it."""
        for place in tuple(self._joined.get(key, set()) - wanted):
            group = self._groups[place]
            self._leave(place, group, key)
            if group.speaker == key:
                self._choose(place, group)

    def _close(self, place: Hashable) -> None:
        group = self._groups[place]
        group.closed = True
        if len(group.members) > group.few:
            self._choose(place, group)
            return
        for key in tuple(group.members):
            self._leave(place, group, key)
            self._wake(key)
        self._arm(place, group, _now() + ALONE_SECONDS, self._end)

    def _choose(self, place: Hashable, group: _Group) -> None:
        """The most urgent speaks for all."""
        if not group.members:
            self._end(place)
            return
        group.speaker = min(group.members, key=lambda member: (group.members[member], member))
        self._wake(group.speaker)

    def _leave(self, place: Hashable, group: _Group, key: ObjectKey) -> None:
        del group.members[key]
        places = self._joined[key]
        places.discard(place)
        if not places:
            del self._joined[key]

    def _end(self, place: Hashable) -> None:
        group = self._groups.pop(place)
        if group.timer is not None:
            group.timer.cancel()
        for key in tuple(group.members):
            self._leave(place, group, key)

    def _arm(self, place: Hashable, group: _Group, at: float, then: Callable[[Hashable], None]) -> None:
        if group.timer is not None:
            group.timer.cancel()
        group.timer = asyncio.get_running_loop().call_at(at, then, place)


def _now() -> float:
    return asyncio.get_running_loop().time()
