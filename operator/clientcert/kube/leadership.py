"""The interface of leader election, and the leadership of a single replica."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Protocol

from clientcert import __version__


class Leadership(Protocol):
    """The leadership of this replica. Only the leader polls, writes and sends."""

    @property
    def since(self) -> float:
        """The time when this replica last became the leader, by time.monotonic()."""

    @property
    def is_leader(self) -> bool:
        """True if this replica is the leader now."""

    @property
    def leader_version(self) -> str | None:
        """The version of the replica that leads or led last; empty if it named none, None if there was none."""

    def allows(self, seconds: float) -> bool:
        """True if work that takes up to `seconds` would end before another replica can become the leader."""

    def terms(self) -> AsyncIterator[asyncio.Event]:
        """Yield at the start of each term of this replica, with an event that is set when the term ends."""

    async def run(self) -> None:
        """Take part in the election until cancelled."""

    def resign(self) -> None:
        """Allow no more work, and begin no other term: the process is about to end."""

    async def release(self) -> None:
        """Give up leadership; call it after all work has ended."""


class AlwaysLeader:
    """The only replica there is (`--no-leader-election`)."""

    is_leader = True
    leader_version = __version__

    def __init__(self) -> None:
        self.since = time.monotonic()
        self._resigned = False

    def allows(self, seconds: float) -> bool:  # noqa: ARG002
        """Return True until it has resigned: there is no other replica."""
        return not self._resigned

    def resign(self) -> None:
        """Allow no more work: the process is about to end."""
        self._resigned = True

    async def terms(self) -> AsyncIterator[asyncio.Event]:
        """Yield one term without an end."""
        yield asyncio.Event()

    async def run(self) -> None:
        """Wait until cancelled: there is no election."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Do nothing: there is no Lease."""
