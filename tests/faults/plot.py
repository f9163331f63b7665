"""The plot of lives.py, what is owed in it, and what must hold however it ends."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.control_plane.team import DAY
from tests.faults.kill_switch import Point

Stage = int | str
Key = tuple[str, Stage, str]
"""Of a notification: certificate, stage or CLOSING, channel. There is one object and one replacement of each name."""

RENEWED, KEPT, CLOSING = "nhs", "moj", "closing"
PLOT: dict[str, tuple[Stage, ...]] = {RENEWED: (20, CLOSING), KEPT: (20, 18)}
"""What each channel is owed of each certificate, in this order."""
BOT, HOOK, MAIL, EVENTS = "bot", "hook", "mail", "events"
CHANNELS = (BOT, HOOK, MAIL, EVENTS)
DUE: frozenset[Key] = frozenset((name, stage, each) for name in PLOT for stage in PLOT[name] for each in CHANNELS)
WEBHOOKS = "/services/"
"""In the path of all that a webhook is told."""
SENDS = sum(map(len, PLOT.values()))
"""To each channel."""
SLOWEST_SEND = Point(SENDS, "before", WEBHOOKS)
"""When it is handed on, all other sends have had their answers for longer than may pass until they are recorded."""
MISSED = 2 * DAY
UNRECORDED_SECONDS = 1.5
"""So long after its answer a send is in a status: half a second for those beside it, and one patch."""


@dataclass(frozen=True)
class Life:
    """How one life ended."""

    killed: bool
    points: int
    """How many writes and sends there were."""
    delivered: Counter[Key]
    order: Mapping[tuple[str, str], list[Stage]]
    """What a channel was told of a certificate, in the order of arrival; but for Events."""
    letters: frozenset[tuple[Key, str]]
    """What each mail said, and its Message-ID."""
    in_flight: frozenset[Key]
    """Delivered when the operator was killed, no earlier than UNRECORDED_SECONDS before that, and in no status."""
    statuses: Mapping[str, Any]
    """At the end, without times."""

    @property
    def lost(self) -> frozenset[Key]:
        return DUE - frozenset(self.delivered)

    @property
    def duplicates(self) -> int:
        return self.delivered.total() - len(self.delivered)

    def faults(self, undisturbed: "Life") -> list[str]:
        """The invariants that were broken, in words."""
        found = [f"lost: {key}" for key in self.lost]
        found += [f"never due: {key}" for key in frozenset(self.delivered) - DUE]
        found += [
            f"sent {count} times, in flight {'once' if key in self.in_flight else 'never'}: {key}"
            for key, count in self.delivered.items()
            if count > 1 + (key in self.in_flight)
        ]
        found += [
            f"out of order: {place}: {stages}"
            for place, stages in self.order.items()
            if stages != sorted(stages, key=PLOT[place[0]].index)
        ]
        if not len(self.letters) == len(dict(self.letters)) == len({number for _, number in self.letters}):
            found.append(f"a mailbox cannot tell what is the same mail: {sorted(self.letters, key=str)}")
        if self.statuses != undisturbed.statuses:
            found.append(f"another end: {self.statuses} instead of {undisturbed.statuses}")
        return found
