"""A message that waits behind a failing one is not delivered either, and its certificate reports that."""

from itertools import repeat

from clientcert.api.policy import default_channel
from clientcert.errors import DeliveryError, Reason
from tests.builders import HOUR, MINUTE, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness, until

NAMES = [f"c{number:02d}" for number in range(6)]
TOKEN = {"name": "slack", "key": "token"}
REJECTED = DeliveryError(Reason.MAIL_LOGIN_REJECTED, "the mail server rejected the login")
AWAY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "Slack answered 503", retryable=True)


def conditions(harness: EngineHarness) -> set[tuple[str, str]]:
    return {harness.condition(name, "AlertsDelivered") for name in NAMES}


async def test_a_rejected_login_is_reported_by_all_waiting_certificates() -> None:
    """It fails for all at once, and is fixed for all at once, whichever letter was tried."""
    harness = EngineHarness()
    harness.policy(CONSUMER, group="Never", contacts={"slackTokenSecretRef": TOKEN})
    harness.mail.answer = lambda _: REJECTED
    for name in NAMES:
        harness.hand_out(name, days=20)
    async with harness.running():
        await until(lambda: conditions(harness) == {("False", "MailLoginRejected")})
        assert len(harness.mail.tries) < len(NAMES)
        harness.mail.answer = lambda _: None
        harness.cache.secret_changed(NAMESPACE, TOKEN["name"], "2")  # otherwise the backoff of the channel grows
        await until(lambda: len(harness.mail.sent) == len(NAMES))
        await until(lambda: conditions(harness) == {("True", "Delivered")})


async def test_a_lasting_outage_of_a_channel_is_reported_by_all_waiting_certificates() -> None:
    """Not at the first failure, because most are transient. The waiting messages are not tried."""
    harness = EngineHarness()
    harness.policy({**TEAM, "slack": {"channel": "#team", "tokenSecretRef": TOKEN}}, group="Never")
    harness.slack.answers = repeat(AWAY)
    for name in NAMES:
        harness.hand_out(name, days=20)
    async with harness.running():
        await until(lambda: conditions(harness) == {("False", "ChannelUnavailable")})
        assert all("team" in {each.name for each in harness.record(name).status.channels} for name in NAMES)
        harness.slack.answers = iter(())
        harness.cache.secret_changed(NAMESPACE, TOKEN["name"], "2")  # otherwise the backoff of the channel grows
        await until(lambda: len(harness.slack.notified) == len(NAMES))
        await until(lambda: conditions(harness) == {("True", "Delivered")})
    assert sorted(harness.slack.notified) == [(name,) for name in NAMES]


async def test_the_fallback_channel_is_used_for_all_waiting_certificates() -> None:
    """After an hour, also for certificates whose messages were never tried."""
    harness = EngineHarness(own=default_channel("#operator"))
    harness.policy(CONSUMER, group="Never")
    harness.mail.answer = lambda _: AWAY
    names = [f"c{number:02d}" for number in range(20)]
    for name in names:
        harness.hand_out(name, days=20)
    async with harness.running():
        await harness.let_pass(HOUR - SECOND)
        assert harness.slack.notified == []
        await harness.let_pass(MINUTE)
        assert 1 < len(set(harness.mail.tries)) < len(names)
        conditions = {harness.condition(name, "AlertsDelivered") for name in names}
        assert conditions == {("False", "ChannelUnavailable")}
    assert set(harness.slack.notified) == {(name,) for name in names}
