"""A clean stop at any moment of a renewal: what has begun is finished or stays due, and nothing is done twice.

After a kill a mail that was in flight may come again; after a stop none does.
"""

import asyncio

import pytest

from clientcert.errors import KubeError, Reason
from tests.unit.engine.renewal_scripts import SCRIPTS, renew
from tests.unit.engine.renewal_world import World

OUTAGE = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)


class Stop:
    """Stops the process when it begins its n-th write or send; its mail server takes some seconds by then."""

    def __init__(self, number: int, *, refused: int = 0) -> None:
        """`refused` is the number of writes of the API server that are refused from then on."""
        self._left, self._refused = number, refused
        self.stopping: asyncio.Task[None] | None = None
        self.at = ""

    def __call__(self, world: World) -> None:
        world.mail_seconds = 2.0
        world.before_write = lambda what: self._count(world, what)
        world.refuses = self._refuse

    def _count(self, world: World, what: str) -> None:
        self._left -= 1
        if not self._left:
            self.at, self.stopping = what, asyncio.create_task(world.process.stop_cleanly())

    def _refuse(self, what: str) -> Exception | None:
        if self.stopping is None or not self._refused or not what.startswith("PATCH"):
            return None
        self._refused -= 1
        return OUTAGE


@pytest.mark.parametrize("refused", [0, 2], ids=["", "with an outage"])
@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_stop_at_each_write(name: str, refused: int) -> None:
    """The next process signs what was written ahead, mails what is recorded, and repeats nothing."""
    undisturbed, _ = await renew(SCRIPTS[name], prepare=Stop(0))
    for number in range(1, len(undisturbed.writes) + 1):
        stop = Stop(number, refused=refused)
        world, faults = await renew(SCRIPTS[name], prepare=stop)
        assert (faults, len(world.write_aheads)) == ([], 1), stop.at
        assert not any(world.in_flight), stop.at
        assert len({each.key for each in world.mails}) == len(world.mails), stop.at
