"""Letters to a contact who cannot be reached are retried rarely, and do not block a healthy certificate for long."""

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from tests.builders import DAY, HOUR
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness, until
from tests.unit.engine.fakes import Users

NO_USER = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the technical contact")
NO_CHANNEL = DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel")
WEEKLY = {**CONSUMER, "repeat": {"everyDays": 7}}


def hours_until_retry(harness: EngineHarness) -> float:
    """Hours until the next try of the letter."""
    failure = (harness.failures("nhs") or {})["consumer"]
    assert failure.next_try is not None
    return (failure.next_try - harness.clock()) / HOUR


async def test_an_undeliverable_closing_letter_is_dropped_after_a_day() -> None:
    """Nothing waits for it forever: no condition is False, and it is not retried."""
    harness = EngineHarness()
    harness.policy(TEAM, WEEKLY)
    harness.hand_out("nhs", days=20)
    async with harness.running():
        await harness.until_idle()
        harness.mail.answer = lambda _: NO_USER
        harness.put("nhs", days=365)
        await until(lambda: harness.condition("nhs", "AlertsDelivered") == ("False", "RecipientRefused"))
        await harness.let_hours_pass(23)
        assert len(harness.mail.tries) > 3
        assert harness.condition("nhs", "Ready") == ("False", "RecipientRefused")
        await harness.let_hours_pass(7)
        assert harness.condition("nhs", "Ready") == ("True", "Valid")
        tries = len(harness.mail.tries)
        await harness.advance(3 * DAY)
    assert len(harness.mail.tries) == tries
    assert harness.slack.notified == [("nhs",), ("nhs",)]


async def test_a_closing_message_to_a_missing_channel_stays_due() -> None:
    """The channel can be fixed, and the team waits for the message."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=20)
    async with harness.running():
        await harness.until_idle()
        harness.slack.answers = iter(50 * [NO_CHANNEL])
        harness.put("nhs", days=365)
        await harness.advance(3 * DAY)
        assert harness.condition("nhs", "Ready") == ("False", "ChannelNotFound")
        harness.slack.answers = iter(())
        await harness.advance(HOUR)
    assert harness.slack.notified == [("nhs",), ("nhs",)]


async def test_a_refused_contact_is_retried_with_growing_intervals() -> None:
    """The interval grows to six hours; that of a channel is ten minutes."""
    harness = EngineHarness()
    harness.policy(TEAM, WEEKLY)
    harness.mail.answer = lambda _: NO_USER
    harness.hand_out("nhs", days=20)
    async with harness.running():
        await harness.until_idle()
        for _ in range(8):
            await harness.let_hours_pass(hours_until_retry(harness))
        assert 4 < hours_until_retry(harness) <= 6


async def test_a_replacement_contact_gets_the_letter_at_once() -> None:
    """However long the previous contact was refused."""
    users = Users(Resolution("SlackUser", "", (Recipient(Role.SLACK, "U0GONE"),)))
    harness = EngineHarness(users)
    harness.policy(TEAM, WEEKLY)
    harness.direct.answer = lambda address: NO_USER if address == "U0GONE" else None
    harness.hand_out("nhs", days=20, contact={"lookup": ["Slack"]})
    async with harness.running():
        await harness.until_idle()
        await harness.let_hours_pass(9)
        assert hours_until_retry(harness) > 1
        users.answer = Resolution("SlackUser", "", (Recipient(Role.SLACK, "U012AB3CD"),))
        harness.cache.enqueue(harness.record("nhs").key)
        await until(lambda: harness.direct.sent == ["U012AB3CD"])
