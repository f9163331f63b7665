"""What waits for its turn, for others, or for nothing any more is looked at when something is new, and not before."""

from itertools import chain, repeat

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from tests.builders import DAY, HOUR, SECOND
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness, until
from tests.unit.engine.fakes import Users

NO_CHANNEL = DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel")
NO_USER = DeliveryError(Reason.RECIPIENT_REFUSED, "no such user")
REFUSED = DeliveryError(Reason.MESSAGE_REFUSED, "Slack refused the message")
WAIT = DeliveryError(Reason.RATE_LIMITED, "Slack asks to wait", retryable=True, retry_after=3600)
RETRIED = 62 * SECOND
"""After so long what was refused is tried again."""


def nobody_spins(whole: EngineHarness) -> bool:
    return all(moment is not None and moment > whole.clock() for moment in whole.due.values())


async def test_whoever_waits_for_a_digest_that_is_on_its_way() -> None:
    """Its own next try has passed meanwhile."""
    whole = EngineHarness()
    whole.policy(TEAM)
    names = [f"c{number:02d}" for number in range(22)]
    for name in names:
        whole.hand_out(name, days=10)
    whole.slack.answers = repeat(NO_CHANNEL)
    async with whole.running():
        await until(lambda: all(whole.failures(name) for name in names))
        whole.slack.gate.clear()
        await whole.passes(RETRIED)
        await until(lambda: len(whole.slack.tries) == 2)
        speaker = whole.slack.tries[1][0]
        del whole.due[speaker]
        assert len(whole.due) == 21
        assert nobody_spins(whole)


async def test_whoever_waits_for_a_place_that_asks_for_an_hour() -> None:
    """It has failed by itself before that."""
    whole = EngineHarness()
    whole.policy(TEAM)
    whole.slack.answers = chain([REFUSED], repeat(WAIT))
    whole.hand_out("a", days=9)
    async with whole.running():
        await until(lambda: whole.failures("a"))
        whole.hand_out("b", days=10)
        await until(lambda: whole.failures("b"))
        await whole.passes(RETRIED)
        await until(lambda: not whole.queue.depth)
        assert whole.slack.tries == [("a",), ("b",)]
        assert nobody_spins(whole)


async def test_an_escalation_that_failed_and_that_nobody_is_left_for() -> None:
    """Nothing is due any more, and no condition says that something is."""
    jo, sam = Recipient(Role.SLACK, "U012AB3CD"), Recipient(Role.BUSINESS, "sam@nhs.example")
    users = Users(Resolution("SlackUser", "the Slack user is written to", (jo, sam)))
    whole = EngineHarness(users)
    whole.policy(TEAM, {**CONSUMER, "repeat": {"everyDays": 7}}, escalateAfterDays=1)
    whole.post.answer = lambda _: NO_USER
    whole.hand_out("nhs", days=20, contact={"lookup": ["Slack"]})
    async with whole.running():
        await whole.quiet()
        await whole.later(DAY + HOUR)
        assert whole.condition("nhs", "AlertsDelivered") == ("False", "RecipientRefused")
        users.answer = Resolution("SlackUser", "the Slack user is written to", (jo,))
        await whole.passes(RETRIED)
        await until(lambda: whole.condition("nhs", "AlertsDelivered") == ("True", "Delivered"))
        await whole.quiet()
        assert nobody_spins(whole)
