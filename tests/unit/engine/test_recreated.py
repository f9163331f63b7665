"""An object that is deleted and created anew under the same name is another object, and inherits nothing.

The API server tells the two apart by their uid.
"""

import asyncio

import pytest

from clientcert.errors import KubeError, Reason
from tests.builders import MINUTE
from tests.unit.engine.engine_harness import TEAM, EngineHarness, until

AWAY = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
GONE = KubeError(Reason.NOT_FOUND, "there is no such object", status=404)
NAMES = [f"c{number:02d}" for number in range(25)]


@pytest.mark.parametrize("error", [pytest.param(GONE, id="404"), pytest.param(AWAY, id="no answer")])
async def test_a_failed_status_write_of_the_deleted_object_does_not_concern_the_new_one(error: KubeError) -> None:
    """The new object stays in the cache and has its own alert; no other certificate's alert is held back."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("again", days=14)
    answer = harness.api.held["/again/"] = asyncio.get_running_loop().create_future()
    async with harness.running():
        await until(lambda: "/again/" not in harness.api.held)  # the PATCH is on its way
        assert harness.slack.notified == [("again",)]
        harness.recreate("again")
        answer.set_exception(error)
        await harness.until_idle()
        harness.hand_out("other", days=14)
        await harness.let_pass(30 * MINUTE)
    assert harness.slack.notified == [("again",), ("again",), ("other",)]
    assert [channel.name for channel in harness.record("again").status.channels] == ["events", "team"]
    assert not harness.outbox.is_blocked()


async def test_a_digest_about_the_deleted_object_is_not_one_about_the_new_one() -> None:
    """It was recreated while the digest was being sent, and has an alert of its own; the others have no second one."""
    harness = EngineHarness()
    harness.policy(TEAM)
    for name in NAMES:
        harness.hand_out(name, days=10)
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries)
        harness.recreate("c03")
        await asyncio.sleep(1)
        harness.slack.gate.set()
        await harness.let_pass(30 * MINUTE)
    assert harness.slack.notified == [tuple(NAMES), ("c03",)]
