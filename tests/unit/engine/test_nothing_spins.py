"""No busy loop: a certificate that waits for a digest, a rate limit or a recipient waits for a change."""

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
"""The time after which a refused message is retried."""


def nothing_is_due_now(harness: EngineHarness) -> bool:
    return all(moment is not None and moment > harness.clock() for moment in harness.due.values())


async def test_members_wait_for_the_end_of_a_digest_in_flight() -> None:
    """The certificate's own next try has passed meanwhile."""
    harness = EngineHarness()
    harness.policy(TEAM)
    names = [f"c{number:02d}" for number in range(22)]
    for name in names:
        harness.hand_out(name, days=10)
    harness.slack.answers = repeat(NO_CHANNEL)
    async with harness.running():
        await until(lambda: all(harness.failures(name) for name in names))
        harness.slack.gate.clear()
        await harness.let_pass(RETRIED)
        await until(lambda: len(harness.slack.tries) == 2)
        most_urgent = harness.slack.tries[1][0]
        del harness.due[most_urgent]
        assert len(harness.due) == 21
        assert nothing_is_due_now(harness)


async def test_certificates_wait_for_a_retry_after_of_an_hour() -> None:
    """The certificate's own send has failed before."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.slack.answers = chain([REFUSED], repeat(WAIT))
    harness.hand_out("a", days=9)
    async with harness.running():
        await until(lambda: harness.failures("a"))
        harness.hand_out("b", days=10)
        await until(lambda: harness.failures("b"))
        await harness.let_pass(RETRIED)
        await until(lambda: not harness.queue.depth)
        assert harness.slack.tries == [("a",), ("b",)]
        assert nothing_is_due_now(harness)


async def test_a_failed_escalation_without_a_recipient_ends() -> None:
    """Nothing is due any more, and no condition reports otherwise."""
    jo, sam = Recipient(Role.SLACK, "U012AB3CD"), Recipient(Role.BUSINESS, "sam@nhs.example")
    users = Users(Resolution("SlackUser", "the Slack user is written to", (jo, sam)))
    harness = EngineHarness(users)
    harness.policy(TEAM, {**CONSUMER, "repeat": {"everyDays": 7}}, escalateAfterDays=1)
    harness.mail.answer = lambda _: NO_USER
    harness.hand_out("nhs", days=20, contact={"lookup": ["Slack"]})
    async with harness.running():
        await harness.until_idle()
        await harness.advance(DAY + HOUR)
        assert harness.condition("nhs", "AlertsDelivered") == ("False", "RecipientRefused")
        users.answer = Resolution("SlackUser", "the Slack user is written to", (jo,))
        await harness.let_pass(RETRIED)
        await until(lambda: harness.condition("nhs", "AlertsDelivered") == ("True", "Delivered"))
        await harness.until_idle()
        assert nothing_is_due_now(harness)
