"""The oracle: what its rules have in common."""

from collections.abc import Iterator
from datetime import datetime

from tests.simulation.calm import Calm
from tests.simulation.chronicle import Chronicle, Declaration, Send
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
        for status in declared.statuses.within(told.time, when):
            for each in (status.get("alerts") or {}).get("channels", ()):
                serial = self.chronicle.serials.get(each.get("fingerprintSHA256", ""), "")
                if (each["name"], serial) == (name, told.serial) and each.get("stage", 10**6) <= told.stage:
                    return True
        policy = declared.specs.at(told.time).policy
        return told.send.is_digest and self.is_in_policy(policy, told.send, when)

    def is_in_policy(self, policy: str, send: Send, when: datetime) -> bool:
        """True if the status of the policy records this digest by then."""
        clock = self.view.clock(send.time)
        return any(
            channel == send.channel and abs(datetime.fromisoformat(sent) - clock) < 10 * SECOND
            for line in self.chronicle.digests[policy].within(send.time, when)
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
