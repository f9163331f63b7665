"""A group's message contains the certificates that belong to it when it is sent, and is recorded however it ends."""

from typing import Any

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.delivery_log import MessageKind
from clientcert.lifecycle.policy import Channel
from clientcert.notifiers.interface import Pace
from tests.builders import MINUTE
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness, until

NAMES = [f"c{number:02d}" for number in range(25)]
ELSEWHERE = {"name": "team", "type": "Slack", "slack": {"channel": "#other"}}
"""A channel of another policy; it has the same name as the one of the first policy."""


def digests(harness: EngineHarness) -> list[Any]:
    """The digests in the last status of the policy that has any."""
    return next((status["digests"] for _, status in reversed(harness.api.statuses) if "digests" in status), [])


async def test_a_digest_that_is_being_sent_at_the_end_of_a_term_is_recorded() -> None:
    """The workers finish what they do. The policy's status records it at once, or the next leader would repeat it."""
    harness = EngineHarness()
    harness.policy(TEAM)
    for name in NAMES:
        harness.hand_out(name, days=10)
    harness.slack.gate.clear()
    async with harness.running():
        await until(lambda: harness.slack.tries)
        harness.workers.stop()
        harness.slack.gate.set()
        await until(lambda: not harness.queue.active_items())
    assert harness.slack.notified == [tuple(NAMES)]
    assert len(digests(harness)) == 1
    harness.workers.begin_term()
    async with harness.running():
        await harness.let_pass(30 * MINUTE)
    assert harness.slack.notified == [tuple(NAMES)]


async def test_a_certificate_that_has_another_policy_by_now_is_in_no_digest_of_the_first() -> None:
    """The digest failed before. It is sent to its own channel, although the most urgent member waits in another one."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.policy(ELSEWHERE, name="other", group="Never")
    for name in NAMES:
        harness.hand_out(name, days=10)
    harness.hand_out("moved", days=2)
    harness.hand_out("busy", days=10, policyRef={"name": "other"})
    harness.slack.answers = iter(
        [
            DeliveryError(Reason.RATE_LIMITED, "Slack answered 429", retryable=True, retry_after=600.0),
            DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel: create it"),
        ]
    )
    async with harness.running():
        await until(lambda: len(harness.slack.tries) == 2)
        assert harness.slack.tries == [("busy",), ("moved", *NAMES)]
        harness.declare("moved", policyRef={"name": "other"})
        await harness.let_pass(30 * MINUTE)
    sent = sorted(zip(harness.slack.channels, harness.slack.notified, strict=True))
    assert sent == [("#other", ("busy",)), ("#other", ("moved",)), ("#team", tuple(NAMES))]


async def test_no_letter_about_a_batch_is_sent_once_leadership_may_end_before_it() -> None:
    """The evaluation of all its certificates takes time, so the fence is asked once more after it."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    pace = harness.mail.pace

    def lose_the_lease(namespace: str, channel: Channel, kind: MessageKind) -> Pace | None:
        harness.is_leader = False  # the slot is reserved after the fence was asked for the first time
        return pace(namespace, channel, kind)

    harness.mail.pace = lose_the_lease  # type: ignore[method-assign]
    for name in ("first", "second", "third"):
        requester = {"requester": {"email": "ops@host.example"}}
        harness.hand_out(name, days=10, profile="Host", batch="spring", contact=requester)
    async with harness.running():
        await until(lambda: not harness.is_leader)
        await harness.let_pass(MINUTE)
        assert harness.mail.tries == []
        harness.mail.pace, harness.is_leader = pace, True  # type: ignore[method-assign]
        await harness.let_pass(MINUTE)
    assert harness.mail.sent == ["ops@host.example"]
