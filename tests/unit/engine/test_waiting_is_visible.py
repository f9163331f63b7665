"""What waits behind a message that a place does not take is not delivered either, and says so."""

from itertools import repeat

from clientcert.api.policy import default_channel
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import HOUR
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness, until

NAMES = [f"c{number:02d}" for number in range(6)]
LONG = 60.0
REJECTED = DeliveryError(Reason.MAIL_LOGIN_REJECTED, "the mail server rejected the login")
AWAY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "Slack answered 503", retryable=True)


def conditions(whole: EngineHarness) -> set[tuple[str, str]]:
    return {whole.condition(name, "AlertsDelivered") for name in NAMES}


async def test_a_login_that_is_rejected() -> None:
    """It is wrong for all of them, at once; and right for all when it is mended, whoever had tried it."""
    whole = EngineHarness(first_rest=0.3)
    whole.policy(CONSUMER, group="Never")
    whole.post.answer = lambda _: REJECTED
    for name in NAMES:
        whole.hand_out(name, days=20)
    async with whole.running():
        await until(lambda: conditions(whole) == {("False", "MailLoginRejected")}, LONG)
        assert len(whole.post.tries) < len(NAMES)
        whole.post.answer = lambda _: None
        whole.store.retry_failing(ObjectKey(NAMESPACE, "team"))  # else a place rests longer and longer
        await until(lambda: len(whole.post.sent) == len(NAMES), LONG)
        await until(lambda: conditions(whole) == {("True", "Delivered")}, LONG)


async def test_a_channel_that_is_away_once_it_has_been_for_a_while() -> None:
    """Not at the first failure: most pass. Others are not tried for it."""
    whole = EngineHarness(first_rest=0.1)
    whole.policy(TEAM, group="Never")
    whole.slack.answers = repeat(AWAY)
    for name in NAMES:
        whole.hand_out(name, days=20)
    async with whole.running():
        await until(lambda: conditions(whole) == {("False", "ChannelUnavailable")}, LONG)
        assert all(whole.record(name).recorded.channel("team") for name in NAMES)
        whole.slack.answers = iter(())
        whole.store.retry_failing(ObjectKey(NAMESPACE, "team"))  # else a place rests longer and longer
        await until(lambda: len(whole.slack.told) == len(NAMES), LONG)
        await until(lambda: conditions(whole) == {("True", "Delivered")}, LONG)
    assert sorted(whole.slack.told) == [(name,) for name in NAMES]


async def test_the_operators_own_channel_stands_in_for_all_of_them() -> None:
    """After an hour, and not only for the one that was tried."""
    own = default_channel("#operator")
    whole = EngineHarness(own=own, first_rest=0.1)
    whole.policy(CONSUMER, group="Never")
    whole.post.answer = lambda _: AWAY
    for name in NAMES:
        whole.hand_out(name, days=20)
    async with whole.running():
        await until(lambda: conditions(whole) == {("False", "ChannelUnavailable")}, LONG)
        assert whole.slack.told == []
        [place] = [each for each in whole.pacer._places.values() if each.trouble]
        assert place.trouble is not None
        place.trouble.since -= HOUR
        for name in NAMES:
            (whole.record(name).failing or {})["consumer"].since = place.trouble.since
            whole.scheduler.wake(whole.record(name).key)
        await until(lambda: len(whole.slack.told) == len(NAMES), LONG)
