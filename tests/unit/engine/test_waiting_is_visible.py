"""What waits behind a message that a place does not take is not delivered either, and says so."""

from itertools import repeat

from clientcert.api.policy import default_channel
from clientcert.errors import DeliveryError, Reason
from tests.builders import HOUR, MINUTE, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness, until

NAMES = [f"c{number:02d}" for number in range(6)]
TOKEN = {"name": "slack", "key": "token"}
REJECTED = DeliveryError(Reason.MAIL_LOGIN_REJECTED, "the mail server rejected the login")
AWAY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "Slack answered 503", retryable=True)


def conditions(whole: EngineHarness) -> set[tuple[str, str]]:
    return {whole.condition(name, "AlertsDelivered") for name in NAMES}


async def test_a_login_that_is_rejected() -> None:
    """It is wrong for all of them, at once; and right for all when it is mended, whoever had tried it."""
    whole = EngineHarness()
    whole.policy(CONSUMER, group="Never", contacts={"slackTokenSecretRef": TOKEN})
    whole.post.answer = lambda _: REJECTED
    for name in NAMES:
        whole.hand_out(name, days=20)
    async with whole.running():
        await until(lambda: conditions(whole) == {("False", "MailLoginRejected")})
        assert len(whole.post.tries) < len(NAMES)
        whole.post.answer = lambda _: None
        whole.cache.secret_changed(NAMESPACE, TOKEN["name"], "2")  # else the channel backs off longer and longer
        await until(lambda: len(whole.post.sent) == len(NAMES))
        await until(lambda: conditions(whole) == {("True", "Delivered")})


async def test_a_channel_that_is_away_once_it_has_been_for_a_while() -> None:
    """Not at the first failure: most pass. Others are not tried for it."""
    whole = EngineHarness()
    whole.policy({**TEAM, "slack": {"channel": "#team", "tokenSecretRef": TOKEN}}, group="Never")
    whole.slack.answers = repeat(AWAY)
    for name in NAMES:
        whole.hand_out(name, days=20)
    async with whole.running():
        await until(lambda: conditions(whole) == {("False", "ChannelUnavailable")})
        assert all("team" in {each.name for each in whole.record(name).status.channels} for name in NAMES)
        whole.slack.answers = iter(())
        whole.cache.secret_changed(NAMESPACE, TOKEN["name"], "2")  # else the channel backs off longer and longer
        await until(lambda: len(whole.slack.told) == len(NAMES))
        await until(lambda: conditions(whole) == {("True", "Delivered")})
    assert sorted(whole.slack.told) == [(name,) for name in NAMES]


async def test_the_operators_own_channel_stands_in_for_all_of_them() -> None:
    """After an hour, also for those that were never tried because others were before them."""
    whole = EngineHarness(own=default_channel("#operator"))
    whole.policy(CONSUMER, group="Never")
    whole.post.answer = lambda _: AWAY
    names = [f"c{number:02d}" for number in range(20)]
    for name in names:
        whole.hand_out(name, days=20)
    async with whole.running():
        await whole.passes(HOUR - SECOND)
        assert whole.slack.told == []
        await whole.passes(MINUTE)
        assert 1 < len(set(whole.post.tries)) < len(names)
        conditions = {whole.condition(name, "AlertsDelivered") for name in names}
        assert conditions == {("False", "ChannelUnavailable")}
    assert set(whole.slack.told) == {(name,) for name in names}
