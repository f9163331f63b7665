"""Nobody gets a letter about somebody else's certificate, or a reference to letters that were never sent."""

from tests.builders import DAY
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness

CONTACT = {"technical": {"email": "jo@nhs.example"}, "business": {"email": "sam@nhs.example"}}


async def test_only_the_team_is_alerted_about_a_certificate_of_another_consumer() -> None:
    """The consumer gets letters about the right certificate only, and none about a renewal, since there was none."""
    harness = EngineHarness()
    harness.policy(TEAM, CONSUMER)
    harness.hand_out("nhs", days=12, consumer="nhs-england", contact=CONTACT)
    async with harness.running():
        await harness.until_idle()
        assert harness.condition("nhs", "IdentityMatches") == ("False", "IdentityMismatch")
        assert (harness.slack.notified, harness.mail.sent) == ([("nhs-england",)], [])
        harness.declare("nhs", contact=CONTACT)
        await harness.until_idle()
    assert harness.condition("nhs", "IdentityMatches") == ("True", "Matches")
    assert harness.mail.sent == ["jo@nhs.example"]


async def test_a_wrong_certificate_in_the_source_delays_no_letter() -> None:
    """The valid certificate still expires on its date."""
    harness = EngineHarness()
    harness.policy(TEAM, {**CONSUMER, "startDaysBefore": 10})
    harness.hand_out("nhs", days=12, contact=CONTACT)
    harness.put("other", days=300)
    async with harness.running():
        await harness.until_idle()
        harness.secrets.held["nhs"] = harness.secrets.held["other"]
        harness.cache.secret_changed(harness.record("nhs").key.namespace, "nhs", "another")
        await harness.until_idle()
        assert harness.condition("nhs", "IdentityMatches") == ("False", "IdentityMismatch")
        await harness.advance(3 * DAY)
    assert harness.mail.sent == ["jo@nhs.example"]


async def test_an_escalation_letter_counts_from_the_first_letter() -> None:
    """The team's alerts began long before; other escalations count from those."""
    harness = EngineHarness()
    pager = {**TEAM, "name": "pager", "escalation": True, "slack": {"channel": "#pager"}}
    weekly = {**CONSUMER, "startDaysBefore": 7, "repeat": {"everyDays": 7}}
    harness.policy(TEAM, weekly, pager, escalateAfterDays=3)
    harness.hand_out("nhs", days=10, contact=CONTACT)
    async with harness.running():
        await harness.until_idle()
        letters = []
        for _ in range(7):
            await harness.advance(DAY)
            letters.append(len(harness.mail.sent))
    assert letters == [0, 0, 0, 1, 1, 1, 2]
    assert harness.mail.sent == ["jo@nhs.example", "sam@nhs.example"]
    assert len(harness.slack.notified) == 8 + 5
