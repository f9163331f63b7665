"""A clean stop records what was sent, also if a first write of the status fails; nothing is sent meanwhile."""

import asyncio
from collections.abc import Iterator

import pytest

from clientcert.errors import KubeError, Reason
from tests.unit.engine.engine_harness import TEAM, EngineHarness, until

CONFLICT = KubeError(Reason.CONFLICT, "the object has moved on", status=409, retryable=True)
AWAY = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)
BROKEN = KubeError(Reason.API_UNAVAILABLE, "the API server answered 500", status=500, retryable=True)
MANY = [f"c{number:02d}" for number in range(22)]


class Refusals(dict[str, Exception]):
    """Refuse a number of writes, one after another."""

    def __init__(self, errors: list[Exception]) -> None:
        super().__init__()
        self._errors = iter(errors)

    def items(self) -> Iterator[tuple[str, Exception]]:  # type: ignore[override]
        self.clear()
        if (error := next(self._errors, None)) is not None:
            self["PATCH"] = error
        return iter(super().items())


def recorded(harness: EngineHarness, name: str) -> list[str]:
    """The channels in the last status that the API server has accepted."""
    status = harness.last_status(harness.record(name).key)
    return [each["name"] for each in (status.get("alerts") or {}).get("channels", ()) if each.get("lastSentTime")]


async def drained(harness: EngineHarness) -> None:
    harness.is_leader = False  # as after `resign`
    draining = asyncio.create_task(harness.workers.drain())
    await asyncio.sleep(0)
    harness.slack.gate.set()
    await asyncio.wait_for(draining, 10)


@pytest.mark.parametrize("errors", [[CONFLICT], [AWAY], [BROKEN], [CONFLICT, AWAY, CONFLICT], [AWAY] * 5])
async def test_an_alert_in_flight_is_recorded_although_the_status_is_refused_at_first(errors: list[Exception]) -> None:
    """SIGTERM comes while Slack has not answered yet; the next leader would repeat an alert that is not recorded."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=14)
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries)
        harness.api.refusals = Refusals(errors)
        await drained(harness)
    assert harness.slack.notified == [("nhs",)]
    assert "team" in recorded(harness, "nhs")
    assert not harness.outbox.unrecorded_items()


async def test_a_digest_in_flight_is_recorded_by_its_policy_and_by_its_members() -> None:
    """Although the first six writes fail."""
    harness = EngineHarness()
    harness.policy(TEAM)
    for name in MANY:
        harness.hand_out(name, days=10)
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries)
        harness.api.refusals = Refusals([AWAY] * 6)
        await drained(harness)
    assert harness.slack.notified == [tuple(MANY)]
    assert all("team" in recorded(harness, name) for name in MANY)
    assert any("certificatepolicies" in path for path, status in harness.api.statuses if status.get("digests"))


async def test_nothing_is_sent_after_the_signal() -> None:
    """An alert that falls due while the process ends is left to the next leader."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=14)
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries)
        harness.hand_out("moj", days=14)
        await drained(harness)
    assert harness.slack.tries == [("nhs",)]


async def test_a_deleted_object_does_not_hold_up_the_stop() -> None:
    """It was told and then deleted: there is no status to record it in."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=14)
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries)
        harness.delete("nhs")
        await drained(harness)
    assert not harness.outbox.unrecorded_items()


async def test_a_write_that_is_never_answered_holds_up_no_other() -> None:
    """The other one is refused once more in the meantime, and is written before the time is over."""
    harness = EngineHarness()
    harness.policy(TEAM)
    for name in ("nhs", "moj"):
        harness.hand_out(name, days=14)
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: len(harness.slack.tries) == 2)
        harness.api.refusals = {"PATCH": AWAY}
        harness.slack.gate.set()
        await until(lambda: len(harness.outbox._unanswered) == 2)
        harness.api.held = {"nhs": asyncio.sleep(60)}
        harness.api.refusals = Refusals([AWAY])
        harness.is_leader = False
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(harness.workers.drain(), 3)
    assert ["team" in recorded(harness, name) for name in ("nhs", "moj")] == [False, True]


async def test_the_record_of_a_digest_is_written_before_the_statuses_of_its_members() -> None:
    """It counts for all of them: after a stop whose time is over before their turn, none is told again."""
    harness = EngineHarness()
    harness.policy(TEAM)
    for name in MANY:
        harness.hand_out(name, days=10)
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries)
        harness.api.refusals = {"PATCH": AWAY}
        harness.slack.gate.set()
        await until(lambda: len(harness.outbox.unrecorded_items()) == len(MANY) + 1)
        await until(lambda: not harness.queue.active_items())
        harness.api.refusals = {}
        before = len(harness.api.statuses)
        await drained(harness)
    assert "certificatepolicies" in harness.api.statuses[before][0]
