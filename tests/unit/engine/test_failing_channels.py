"""What one place does not take holds no other place up, and is forgotten with the place."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat

import pytest

from clientcert.api.policy import default_channel
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.spec import ObjectKey
from clientcert.notifiers.email.notifier import PACE_SECONDS
from tests.builders import DAY, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness, until
from tests.unit.engine.fakes import Users

TENANT = "tenant"
FULL = DeliveryError(Reason.RECIPIENT_UNAVAILABLE, "the mail server cannot take mails to the contact", retryable=True)
ASKS_TO_WAIT = DeliveryError(Reason.RATE_LIMITED, "Slack asked to wait", retryable=True, retry_after=3600)
GONE = DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel: create it")
REJECTED = DeliveryError(Reason.MAIL_LOGIN_REJECTED, "the mail server rejected the login", retry_after=1.0)
NO_USER = DeliveryError(Reason.RECIPIENT_REFUSED, "Slack refused the message (user_disabled)")
GONE_USER, JO = Recipient(Role.SLACK, "U0GONE"), Recipient(Role.TECHNICAL, "jo@nhs.example")
MEMBER = Resolution("SlackUser", "", (Recipient(Role.SLACK, "U012AB3CD"),))
ESCALATION = {**TEAM, "name": "pager", "escalation": True}
ANOTHER = {**TEAM, "name": "another", "slack": {"channel": "#another"}}


async def test_a_mailbox_that_takes_nothing_holds_up_no_other() -> None:
    """However many of one tenant's are full, or their domain unknown, and however urgent: the mail server is well."""
    whole = EngineHarness()
    whole.policy(CONSUMER, namespace=TENANT)
    whole.policy(CONSUMER)
    whole.post.answer = lambda address: FULL if "full" in address else None
    for number in range(6):
        whole.hand_out(f"full{number}", days=2, namespace=TENANT)
    async with whole.running():
        await until(lambda: len(whole.post.tries) == 6)
        whole.hand_out("nhs", days=20)
        await until(lambda: whole.post.sent == ["jo@nhs.example"])
        await whole.quiet()
        assert len(whole.post.tries) == 7
        whole.post.answer = lambda _: None
        await whole.later(5 * SECOND)
    assert len(whole.post.sent) == 7


@pytest.mark.parametrize("slack", ["asks to wait", "hangs"])
async def test_a_slack_that_takes_nothing_holds_up_no_mail(slack: str) -> None:
    """Its users are another place than the mail server, though the channel is of the same type."""
    whole = EngineHarness(Users(MEMBER))
    whole.policy(CONSUMER, namespace=TENANT)
    whole.policy(CONSUMER)
    whole.direct.answer = lambda _: ASKS_TO_WAIT
    if slack == "hangs":
        whole.direct.gate.clear()
    for number in range(6):
        whole.hand_out(f"internal{number}", days=2, namespace=TENANT, contact={"lookup": ["Slack"]})
    async with whole.running():
        await until(lambda: whole.direct.tries)
        await asyncio.sleep(0.1)
        whole.hand_out("nhs", days=20)
        await until(lambda: whole.post.sent == ["jo@nhs.example"])


async def test_a_mail_server_that_takes_nothing_holds_up_no_direct_message() -> None:
    """And the other way round."""
    whole = EngineHarness(Users(MEMBER))
    whole.policy(CONSUMER)
    whole.post.answer = lambda _: DeliveryError(Reason.CHANNEL_UNAVAILABLE, "it cannot be reached", retryable=True)
    whole.hand_out("nhs", days=2)
    async with whole.running():
        await until(lambda: whole.post.tries)
        whole.hand_out("internal", days=20, contact={"lookup": ["Slack"]})
        await until(lambda: whole.direct.sent == ["U012AB3CD"])


@pytest.mark.parametrize(
    ("reason", "passes"), [(Reason.MAIL_LOGIN_REJECTED, False), (Reason.CHANNEL_UNAVAILABLE, True)]
)
async def test_a_mail_instead_of_a_direct_message_holds_up_no_direct_message(reason: Reason, passes: bool) -> None:
    """Slack has refused its user for good, and nothing else; the mail server is another place."""
    users = Users(replace(MEMBER, recipients=(GONE_USER, JO)))
    whole = EngineHarness(users)
    whole.policy(CONSUMER, group="Never")
    whole.direct.answer = lambda address: NO_USER if address == GONE_USER.address else None
    whole.post.answer = lambda _: DeliveryError(reason, "no mail for now", retryable=passes)
    whole.hand_out("urgent", days=2, contact={"lookup": ["Slack"]})
    async with whole.running():
        await until(lambda: whole.failures("urgent"))
        users.answer = MEMBER
        for name in ("one", "two", "three"):
            whole.hand_out(name, days=20, contact={"lookup": ["Slack"]})
        await until(lambda: whole.direct.sent == 3 * ["U012AB3CD"])
    failure = (whole.failures("urgent") or {})["consumer"]
    assert failure.next_try is not None


async def test_a_login_that_is_rejected_rests_for_all() -> None:
    """Fifty letters are no fifty tries: a few wrong ones lock an account. After a rest it is tried with one again."""
    whole = EngineHarness()
    whole.policy(CONSUMER)
    whole.post.answer = lambda _: REJECTED
    for number in range(50):
        whole.hand_out(f"c{number:02d}", days=20)
    async with whole.running():
        await until(lambda: whole.post.tries)
        await asyncio.sleep(2 * PACE_SECONDS)
        assert len(whole.post.tries) == 1
        await until(lambda: len(whole.post.tries) == 2)
        await asyncio.sleep(2 * PACE_SECONDS)
        assert len(whole.post.tries) == 2


@pytest.mark.parametrize(
    "mend",
    [
        pytest.param(lambda whole: whole.policy(ANOTHER), id="another channel instead"),
        pytest.param(lambda whole: whole.policy({**TEAM, "slack": {"channel": "#right"}}), id="corrected"),
        pytest.param(lambda whole: whole.cache.remove_policy(ObjectKey(NAMESPACE, "team")), id="no policy"),
        pytest.param(lambda whole: whole.put("nhs", days=300), id="renewed before it was told"),
        pytest.param(
            lambda whole: whole.declare("nhs", silence={"until": "2027-06-01T00:00:00Z", "reason": "it goes"}),
            id="silenced",
        ),
    ],
)
async def test_nothing_is_left_of_a_failure_when_nothing_is_owed_there(mend: Callable[[EngineHarness], None]) -> None:
    """No condition says that alerts go nowhere, and nobody looks again and again at what is not due."""
    whole = EngineHarness()
    whole.policy(TEAM)
    whole.hand_out("nhs", days=20)
    whole.slack.answers = repeat(GONE)
    async with whole.running():
        await until(lambda: whole.condition("nhs", "AlertsDelivered") == ("False", "ChannelNotFound"))
        whole.slack.answers = iter(())
        mend(whole)
        await until(lambda: whole.condition("nhs", "AlertsDelivered") != ("False", "ChannelNotFound"))
        await whole.quiet()
        assert not whole.failures("nhs")
        await whole.later(61 * SECOND)
        whole.reconciled.clear()
        await asyncio.sleep(60)
        assert whole.reconciled == []


async def test_a_failure_of_a_channel_that_is_owed_nothing_yet_is_forgotten() -> None:
    """Its schedule begins later now: until then it may be in order for all we know, and it is not tried."""
    whole = EngineHarness()
    whole.policy(TEAM)
    whole.hand_out("nhs", days=20)
    whole.slack.answers = repeat(GONE)
    async with whole.running():
        await until(lambda: whole.condition("nhs", "AlertsDelivered") == ("False", "ChannelNotFound"))
        whole.policy({**TEAM, "startDaysBefore": 10})
        await until(lambda: whole.condition("nhs", "AlertsDelivered") == ("True", "Delivered"))
        await whole.later(DAY)
    assert len(whole.slack.tries) == 1


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        pytest.param([CONSUMER], [("nhs",)], id="letters alone"),
        pytest.param([CONSUMER, ESCALATION], [("nhs",)], id="letters, and an escalation that is yet to come"),
        pytest.param([CONSUMER, TEAM], [("nhs",)], id="letters, and a team that is told"),
    ],
)
async def test_a_team_hears_of_what_its_consumer_does_not(
    channels: list[dict[str, object]], told: list[tuple[str]]
) -> None:
    """The operator's own channel stands in for letters that are refused, unless a team is told already; once."""
    whole = EngineHarness(own=default_channel("#own"))
    whole.policy(*channels, escalateAfterDays=14)
    whole.post.answer = lambda _: DeliveryError(Reason.RECIPIENT_REFUSED, "no such user")
    whole.hand_out("nhs", days=20)
    async with whole.running():
        await until(lambda: whole.condition("nhs", "AlertsDelivered") == ("False", "RecipientRefused"))
        await until(lambda: whole.slack.told)
        await whole.later(61 * SECOND)
    assert whole.slack.told == told
