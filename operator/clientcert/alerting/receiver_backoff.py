"""The backoff of a receiver after failed messages: of the whole, or only of the part that does not take them.

A part is a destination, such as the domain of a mailbox, for the messages of one namespace. A tenant chooses the
destination, and may choose one that always fails. So such failures cost at first that namespace alone:

- If messages to two destinations fail in a row, all messages of the namespace back off.
- If those of two namespaces do, the receiver as a whole backs off. It has accepted nothing in between.
"""

import asyncio
from dataclasses import dataclass, field, replace

from clientcert.backoff import Backoff
from clientcert.lifecycle.delivery_log import DeliveryFailure

BACKOFF = Backoff(2.0, 300.0)
PART_BACKOFF = Backoff(2.0, 30.0)
SPREAD_BACKOFF = Backoff(2.0, 10.0)
"""Of the whole, while only parts are known to fail: their failures prove nothing about the next message. It is short,
because it passes once for each namespace that fails, before it is the turn of one that does not.
"""
PROBE_SECONDS = 20.0
"""More than a message takes. While one is tried after a failure, the others wait for its result."""
PARTS_OF_A_NAMESPACE = 50
"""Tenants choose destinations. All further ones of a namespace are one part."""
_KEPT_SECONDS = 900.0
"""A part without a failure for this time is forgotten; messages are retried more often than that."""
_OTHERS = "…"


@dataclass(slots=True)
class Rest:
    """The state of a receiver, or of a part of it, after failures."""

    failures: int = 0
    until: float = 0.0
    """On the loop's clock, as all times here."""
    failed_at: float = 0.0
    asked_until: float = 0.0
    """The receiver has asked for no message before this time."""
    failure: DeliveryFailure | None = None
    """The failure of the last message, for all that wait; None if it was accepted."""

    def fail(self, backoff: Backoff, started: float, retry_after: float | None) -> None:
        """Back off after a failed message, which began at `started`. Those in flight together count as one failure."""
        now = _now()
        if started >= self.failed_at or not self.failures:
            self.failures += 1
            self.failed_at = now
        if retry_after:
            self.asked_until = max(self.asked_until, now + retry_after)
        self.until = max(self.asked_until, now + (retry_after or backoff.delay(self.failures)))

    def note(self, failure: DeliveryFailure) -> bool:
        """Keep the failure for all messages that wait; True if their statuses must report it from now on."""
        before = self.failure
        self.failure = replace(
            failure,
            since=before.since if before else failure.since,
            attempts=max(self.failures, failure.attempts),
            own_failures=0,
            next_try=None,
            channel_wide=True,
        )
        return self.failure.is_reported and not (before is not None and before.is_reported)

    def begin_probe(self) -> None:
        """Have the other messages wait for the result of the one that begins now."""
        self.until = max(self.until, _now() + PROBE_SECONDS)

    def end(self) -> None:
        """Forget the failures: a message was accepted, or the configuration has changed. A requested pause remains."""
        self.failures, self.failure, self.until = 0, None, self.asked_until


PartKey = tuple[str, str]
"""Namespace and destination; without a destination, all messages of the namespace."""


@dataclass(slots=True)
class Parts:
    """The parts of one receiver that rest. Empty as long as nothing has failed there."""

    rests: dict[str, dict[str, Rest]] = field(default_factory=dict)
    """By namespace and destination."""
    last_failed: PartKey | None = None
    """The part of the last failure, unless a message was accepted since."""

    def blocking(self, namespace: str, destination: str) -> PartKey | None:
        """The part for whose rest a message waits; None if it need not wait."""
        found = [(rest.until, part) for part, rest in self.concerning(namespace, destination)]
        until, part = max(found, default=(0.0, None))
        return part if until > _now() else None

    def concerning(self, namespace: str, destination: str) -> list[tuple[PartKey, Rest]]:
        """The parts to which a message belongs, if they rest or have failed before."""
        rests, known = self.rests.get(namespace, {}), self._known(namespace, destination)
        return [((namespace, name), rests[name]) for name in {"": 0, known: 0} if name in rests]

    def until(self, part: PartKey) -> float:
        """The end of the rest of exactly this part; 0 if it does not rest."""
        return self.rests.get(part[0], {}).get(part[1], Rest()).until

    def remembered_until(self) -> float:
        """The time when all of them may be forgotten, unless there is another failure."""
        return max(rest.failed_at for rests in self.rests.values() for rest in rests.values()) + _KEPT_SECONDS

    def begin_probe(self, namespace: str, destination: str) -> None:
        """Have other messages of the same parts wait for the result of the one that begins now."""
        for _, rest in self.concerning(namespace, destination):
            rest.begin_probe()

    def fail(self, namespace: str, destination: str, started: float) -> tuple[Rest, bool]:
        """Back off; returns the rest of the destination, and True if the whole receiver should back off as well."""
        self._forget_old()
        before, self.last_failed = self.last_failed, (namespace, destination)
        rests = self.rests.setdefault(namespace, {})
        rest = rests.setdefault(self._known(namespace, destination), Rest())
        rest.fail(PART_BACKOFF, started, None)
        if before is None or before[1] == destination:
            return rest, False
        if before[0] == namespace:
            rests.setdefault("", Rest()).fail(PART_BACKOFF, started, None)
        return rest, before[0] != namespace

    def succeed(self, namespace: str, destination: str) -> None:
        """Forget the failures of the destination and of its namespace."""
        self.last_failed = None
        for (_, name), _rest in self.concerning(namespace, destination):
            del self.rests[namespace][name]
        if not self.rests.get(namespace, True):
            del self.rests[namespace]

    def forget(self, namespace: str) -> None:
        """Forget all failures of a namespace: its configuration has changed."""
        self.rests.pop(namespace, None)

    def _known(self, namespace: str, destination: str) -> str:
        """The destination, or the name of all those for which there is no room."""
        rests = self.rests.get(namespace, {})
        return destination if destination in rests or len(rests) < PARTS_OF_A_NAMESPACE else _OTHERS

    def _forget_old(self) -> None:
        since = _now() - _KEPT_SECONDS
        for namespace, rests in tuple(self.rests.items()):
            kept = {name: rest for name, rest in rests.items() if rest.failed_at >= since}
            self.rests[namespace] = kept
            if not kept:
                del self.rests[namespace]


def _now() -> float:
    return asyncio.get_running_loop().time()
