"""The oracle: what its rules have in common."""

from collections.abc import Iterator
from datetime import datetime

from tests.simulation.calm import Calm
from tests.simulation.chronicle import Chronicle, Declaration
from tests.simulation.view import SECOND, Told, View

Found = Iterator[tuple[datetime, str]]
"""When a sentence of the documentation did not hold, and how."""


class Oracle:
    """Knows what happened, and what was due."""

    def __init__(self, chronicle: Chronicle) -> None:
        self.chronicle = chronicle
        self.view = View(chronicle)
        self.calm = Calm(self.view)

    def pairs(self) -> Iterator[tuple[Declaration, str]]:
        for declared in self.chronicle.declarations:
            for name in sorted(self.view.all_channels(declared)):
                yield declared, name

    def all_told(self) -> Iterator[tuple[Declaration, str, Told]]:
        for (uid, name), all_told in list(self.view.alerts.items()):
            for told in all_told:
                yield self.view.declaration(uid), name, told

    def is_recorded(self, declared: Declaration, name: str, told: Told, when: datetime) -> bool:
        clock = self.view.clock(told.time)
        for status in declared.statuses.within(told.time, when):
            for each in (status.get("alerts") or {}).get("channels", ()):
                serial = self.chronicle.serials.get(each.get("fingerprintSHA256", ""), "")
                if (each["name"], serial) == (name, told.serial) and each.get("stage", 10**6) <= told.stage:
                    return True
        if not told.send.is_digest:
            return False
        digests = self.chronicle.digests[declared.specs.at(told.time).policy].within(told.time, when)
        return any(
            channel == name and abs(datetime.fromisoformat(sent) - clock) < 10 * SECOND
            for line in digests
            for channel, sent in line
        )

    def may_be_repeated(self, declared: Declaration, name: str, told: Told, until: datetime) -> bool:
        if not told.send.acknowledged:
            return True
        ends = [each for each in self.chronicle.terms.values() if told.time <= each <= until]
        return any(not self.is_recorded(declared, name, told, each) for each in ends)

    def record(self, declared: Declaration, name: str, when: datetime) -> tuple[str, int | None] | None:
        for each in (declared.statuses.at(when).get("alerts") or {}).get("channels", ()):
            if each["name"] == name and "lastSentTime" in each:
                return self.chronicle.serials.get(each.get("fingerprintSHA256", ""), ""), each.get("stage")
        return None
