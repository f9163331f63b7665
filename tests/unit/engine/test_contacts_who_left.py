"""A contact who cannot be reached any more costs the mail server little, and a healthy certificate nothing for long."""

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from tests.builders import DAY, HOUR
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness, until
from tests.unit.engine.fakes import Users

NO_USER = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the technical contact")
NO_CHANNEL = DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel")
WEEKLY = {**CONSUMER, "repeat": {"everyDays": 7}}


def retry(whole: EngineHarness) -> float:
    """In how many hours the letter is tried again."""
    failure = (whole.failures("nhs") or {})["consumer"]
    assert failure.next_try is not None
    return (failure.next_try - whole.clock()) / HOUR


async def test_a_closing_letter_that_reached_nobody_for_a_day_is_given_up() -> None:
    """Nothing waits for it for ever: no condition is False, and nobody is tried again."""
    whole = EngineHarness()
    whole.policy(TEAM, WEEKLY)
    whole.hand_out("nhs", days=20)
    async with whole.running():
        await whole.quiet()
        whole.post.answer = lambda _: NO_USER
        whole.put("nhs", days=365)
        await until(lambda: whole.condition("nhs", "AlertsDelivered") == ("False", "RecipientRefused"))
        await whole.hours_pass(23)
        assert len(whole.post.tries) > 3
        assert whole.condition("nhs", "Ready") == ("False", "RecipientRefused")
        await whole.hours_pass(7)
        assert whole.condition("nhs", "Ready") == ("True", "Valid")
        tries = len(whole.post.tries)
        await whole.later(3 * DAY)
    assert len(whole.post.tries) == tries
    assert whole.slack.told == [("nhs",), ("nhs",)]


async def test_a_closing_message_to_a_channel_that_is_gone_stays_due() -> None:
    """Somebody can mend that, and it is the team that waits for it."""
    whole = EngineHarness()
    whole.policy(TEAM)
    whole.hand_out("nhs", days=20)
    async with whole.running():
        await whole.quiet()
        whole.slack.answers = iter(50 * [NO_CHANNEL])
        whole.put("nhs", days=365)
        await whole.later(3 * DAY)
        assert whole.condition("nhs", "Ready") == ("False", "ChannelNotFound")
        whole.slack.answers = iter(())
        await whole.later(HOUR)
    assert whole.slack.told == [("nhs",), ("nhs",)]


async def test_whoever_is_refused_is_tried_more_and_more_seldom() -> None:
    """Up to four times a day, and not every ten minutes as a channel is."""
    whole = EngineHarness()
    whole.policy(TEAM, WEEKLY)
    whole.post.answer = lambda _: NO_USER
    whole.hand_out("nhs", days=20)
    async with whole.running():
        await whole.quiet()
        for _ in range(8):
            await whole.hours_pass(retry(whole))
        assert 4 < retry(whole) <= 6


async def test_whoever_is_named_instead_is_written_to_at_once() -> None:
    """However long the one before was refused."""
    users = Users(Resolution("SlackUser", "", (Recipient(Role.SLACK, "U0GONE"),)))
    whole = EngineHarness(users)
    whole.policy(TEAM, WEEKLY)
    whole.direct.answer = lambda address: NO_USER if address == "U0GONE" else None
    whole.hand_out("nhs", days=20, contact={"lookup": ["Slack"]})
    async with whole.running():
        await whole.quiet()
        await whole.hours_pass(9)
        assert retry(whole) > 1
        users.answer = Resolution("SlackUser", "", (Recipient(Role.SLACK, "U012AB3CD"),))
        whole.cache.enqueue(whole.record("nhs").key)
        await until(lambda: whole.direct.sent == ["U012AB3CD"])
