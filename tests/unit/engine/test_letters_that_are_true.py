"""Nobody is written to about somebody else's certificate, nor told of letters that were never sent."""

from tests.builders import DAY
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness

CONTACT = {"technical": {"email": "jo@nhs.example"}, "business": {"email": "sam@nhs.example"}}


async def test_a_certificate_of_somebody_else_is_the_teams_to_mend() -> None:
    """The consumer hears of the right one, and of no renewal, since there was none."""
    whole = EngineHarness()
    whole.policy(TEAM, CONSUMER)
    whole.hand_out("nhs", days=12, consumer="nhs-england", contact=CONTACT)
    async with whole.running():
        await whole.quiet()
        assert whole.condition("nhs", "IdentityMatches") == ("False", "IdentityMismatch")
        assert (whole.slack.told, whole.post.sent) == ([("nhs-england",)], [])
        whole.declare("nhs", contact=CONTACT)
        await whole.quiet()
    assert whole.condition("nhs", "IdentityMatches") == ("True", "Matches")
    assert whole.post.sent == ["jo@nhs.example"]


async def test_a_wrong_certificate_in_the_place_of_a_good_one_keeps_no_letter_back() -> None:
    """The good one still ends when it ends."""
    whole = EngineHarness()
    whole.policy(TEAM, {**CONSUMER, "startDaysBefore": 10})
    whole.hand_out("nhs", days=12, contact=CONTACT)
    whole.put("other", days=300)
    async with whole.running():
        await whole.quiet()
        whole.secrets.held["nhs"] = whole.secrets.held["other"]
        whole.cache.secret_changed(whole.record("nhs").key.namespace, "nhs", "another")
        await whole.quiet()
        assert whole.condition("nhs", "IdentityMatches") == ("False", "IdentityMismatch")
        await whole.later(3 * DAY)
    assert whole.post.sent == ["jo@nhs.example"]


async def test_an_escalation_waits_for_the_letter_that_it_speaks_of() -> None:
    """The team's alerts began long before; whatever else is escalated counts from those."""
    whole = EngineHarness()
    pager = {**TEAM, "name": "pager", "escalation": True, "slack": {"channel": "#pager"}}
    weekly = {**CONSUMER, "startDaysBefore": 7, "repeat": {"everyDays": 7}}
    whole.policy(TEAM, weekly, pager, escalateAfterDays=3)
    whole.hand_out("nhs", days=10, contact=CONTACT)
    async with whole.running():
        await whole.quiet()
        letters = []
        for _ in range(7):
            await whole.later(DAY)
            letters.append(len(whole.post.sent))
    assert letters == [0, 0, 0, 1, 1, 1, 2]
    assert whole.post.sent == ["jo@nhs.example", "sam@nhs.example"]
    assert len(whole.slack.told) == 8 + 5
