"""Problems that begin for several certificates, for each way to group alerts, and beside a silence or a refusal."""

import pytest

from clientcert.sources.interface import Content
from tests.builders import DAY, HOUR, MINUTE, NOW
from tests.unit.engine.engine_harness import TEAM, EngineHarness, consumers_in
from tests.unit.engine.test_new_problems import KEY_ONLY, PAGE, Life
from tests.unit.engine.test_source_gaps import changed


@pytest.mark.parametrize("group", ["Never", "Auto", "Batch", "Policy"])
@pytest.mark.parametrize("count", [1, 3, 25])
async def test_every_certificate_is_named_once(group: str, count: int) -> None:
    """For its stage, for its problem, for another reason of it, and then by the schedule; a restart adds nothing."""
    harness, names = EngineHarness(), [f"c{number:02d}" for number in range(count)]
    harness.policy(TEAM, group=group, sourceGrace="0s")
    for name in names:
        harness.hand_out(name, days=20)
    async with harness.running():
        await harness.let_pass(5 * MINUTE)
        for times, body in ((2, PAGE), (3, KEY_ONLY)):
            for name in names:
                changed(harness, Content(body, f"sha256:{times}{name}", str(harness.api.version)), name)
            await harness.let_pass(5 * MINUTE)
            assert consumers_in(harness.slack.notified) == sorted(names * times)
            for name in names:
                harness.sources.forget(harness.record(name).key)
                harness.reload(name)
            await harness.let_pass(10 * MINUTE)
            assert consumers_in(harness.slack.notified) == sorted(names * times)
        await harness.advance(DAY)
        await harness.let_pass(5 * MINUTE)
    assert consumers_in(harness.slack.notified) == sorted(names * 4)


async def test_a_problem_within_a_silence() -> None:
    """One that was over before its end is not told, and does not hide the next one."""
    life = Life()
    async with life.harness.running():
        assert await life.told() == 1
        until = NOW + HOUR / 2
        life.harness.declare("nhs", silence={"until": f"{until:%Y-%m-%dT%H:%M:%SZ}", "reason": "moving"})
        life.holds(PAGE)
        await life.told(10 * MINUTE)
        life.holds(None)
        assert await life.told(HOUR / 2) == 1
        life.holds(PAGE)
        assert await life.told() == 2


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_an_acknowledgement(acknowledged: bool) -> None:
    """It is about the date: the team hears of the problem, the escalation does not."""
    pager = {**TEAM, "name": "pager", "escalation": True, "slack": {"channel": "#pager"}}
    life = Life(TEAM, pager, escalateAfterDays=1)
    async with life.harness.running():
        assert await life.told() == 1
        if acknowledged:
            serial = life.harness.api.statuses[-1][1]["certificate"]["serialNumber"]
            life.harness.declare("nhs", acknowledgement={"serialNumber": serial, "reason": "known"})
            await life.harness.until_idle()
            assert life.harness.condition("nhs", "Acknowledged")[0] == "True"
        life.holds(PAGE)
        assert await life.told() == 2
    assert life.harness.slack.channels == ["#team", "#team"]
