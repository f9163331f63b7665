"""A failing receiver delays no other receiver, and its failures are forgotten when it is not used any more."""

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


async def test_full_mailboxes_do_not_delay_other_letters() -> None:
    """For any number of full mailboxes or unknown domains of one tenant, and any urgency: the mail server works."""
    harness = EngineHarness()
    harness.policy(CONSUMER, namespace=TENANT)
    harness.policy(CONSUMER)
    harness.mail.answer = lambda address: FULL if "full" in address else None
    for number in range(6):
        harness.hand_out(f"full{number}", days=2, namespace=TENANT)
    async with harness.running():
        await until(lambda: len(harness.mail.tries) == 6)
        harness.hand_out("nhs", days=20)
        await until(lambda: harness.mail.sent == ["jo@nhs.example"])
        await harness.until_idle()
        assert len(harness.mail.tries) == 7
        harness.mail.answer = lambda _: None
        await harness.advance(5 * SECOND)
        await until(lambda: len(harness.mail.sent) == 7)


@pytest.mark.parametrize("slack", ["asks to wait", "hangs"])
async def test_a_failing_slack_does_not_delay_mail(slack: str) -> None:
    """Slack's users and the mail server have separate rate limits, although the channel has the same type."""
    harness = EngineHarness(Users(MEMBER))
    harness.policy(CONSUMER, namespace=TENANT)
    harness.policy(CONSUMER)
    harness.direct.answer = lambda _: ASKS_TO_WAIT
    if slack == "hangs":
        harness.direct.gate.clear()
    for number in range(6):
        harness.hand_out(f"internal{number}", days=2, namespace=TENANT, contact={"lookup": ["Slack"]})
    async with harness.running():
        await until(lambda: harness.direct.tries)
        await asyncio.sleep(0.1)
        harness.hand_out("nhs", days=20)
        await until(lambda: harness.mail.sent == ["jo@nhs.example"])


async def test_a_failing_mail_server_does_not_delay_direct_messages() -> None:
    """And the other way round."""
    harness = EngineHarness(Users(MEMBER))
    harness.policy(CONSUMER)
    harness.mail.answer = lambda _: DeliveryError(Reason.CHANNEL_UNAVAILABLE, "it cannot be reached", retryable=True)
    harness.hand_out("nhs", days=2)
    async with harness.running():
        await until(lambda: harness.mail.tries)
        harness.hand_out("internal", days=20, contact={"lookup": ["Slack"]})
        await until(lambda: harness.direct.sent == ["U012AB3CD"])


@pytest.mark.parametrize(
    ("reason", "retryable"), [(Reason.MAIL_LOGIN_REJECTED, False), (Reason.CHANNEL_UNAVAILABLE, True)]
)
async def test_a_failing_fallback_mail_does_not_delay_direct_messages(reason: Reason, retryable: bool) -> None:
    """Slack has permanently refused one user only; the mail server has its own rate limit and backoff."""
    users = Users(replace(MEMBER, recipients=(GONE_USER, JO)))
    harness = EngineHarness(users)
    harness.policy(CONSUMER, group="Never")
    harness.direct.answer = lambda address: NO_USER if address == GONE_USER.address else None
    harness.mail.answer = lambda _: DeliveryError(reason, "no mail for now", retryable=retryable)
    harness.hand_out("urgent", days=2, contact={"lookup": ["Slack"]})
    async with harness.running():
        await until(lambda: harness.failures("urgent"))
        users.answer = MEMBER
        for name in ("one", "two", "three"):
            harness.hand_out(name, days=20, contact={"lookup": ["Slack"]})
        await until(lambda: harness.direct.sent == 3 * ["U012AB3CD"])
    failure = (harness.failures("urgent") or {})["consumer"]
    assert failure.next_try is not None


async def test_a_rejected_login_pauses_all_mail() -> None:
    """Fifty letters do not cause fifty logins, which would lock an account; after a pause, one is retried."""
    harness = EngineHarness()
    harness.policy(CONSUMER)
    harness.mail.answer = lambda _: REJECTED
    for number in range(50):
        harness.hand_out(f"c{number:02d}", days=20)
    async with harness.running():
        await until(lambda: harness.mail.tries)
        await asyncio.sleep(2 * PACE_SECONDS)
        assert len(harness.mail.tries) == 1
        await until(lambda: len(harness.mail.tries) == 2)
        await asyncio.sleep(2 * PACE_SECONDS)
        assert len(harness.mail.tries) == 2


@pytest.mark.parametrize(
    "fix",
    [
        pytest.param(lambda harness: harness.policy(ANOTHER), id="another channel instead"),
        pytest.param(lambda harness: harness.policy({**TEAM, "slack": {"channel": "#right"}}), id="corrected"),
        pytest.param(lambda harness: harness.cache.policies.remove(ObjectKey(NAMESPACE, "team")), id="no policy"),
        pytest.param(lambda harness: harness.put("nhs", days=300), id="renewed before it was alerted"),
        pytest.param(
            lambda harness: harness.declare("nhs", silence={"until": "2027-06-01T00:00:00Z", "reason": "it goes"}),
            id="silenced",
        ),
    ],
)
async def test_a_failure_is_forgotten_when_nothing_is_due_on_its_channel(fix: Callable[[EngineHarness], None]) -> None:
    """No condition reports failed alerts, and nothing is reconciled repeatedly without being due."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=20)
    harness.slack.answers = repeat(GONE)
    async with harness.running():
        await until(lambda: harness.condition("nhs", "AlertsDelivered") == ("False", "ChannelNotFound"))
        harness.slack.answers = iter(())
        fix(harness)
        await until(lambda: harness.condition("nhs", "AlertsDelivered") != ("False", "ChannelNotFound"))
        await harness.until_idle()
        assert not harness.failures("nhs")
        await harness.advance(61 * SECOND)
        harness.reconciled.clear()
        await asyncio.sleep(60)
        assert harness.reconciled == []


async def test_a_failure_is_forgotten_when_the_channel_starts_later() -> None:
    """Its schedule starts later now: until then no problem is known, and nothing is sent."""
    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=20)
    harness.slack.answers = repeat(GONE)
    async with harness.running():
        await until(lambda: harness.condition("nhs", "AlertsDelivered") == ("False", "ChannelNotFound"))
        harness.policy({**TEAM, "startDaysBefore": 10})
        await until(lambda: harness.condition("nhs", "AlertsDelivered") == ("True", "Delivered"))
        await harness.advance(DAY)
    assert len(harness.slack.tries) == 1


@pytest.mark.parametrize(
    ("channels", "notified"),
    [
        pytest.param([CONSUMER], [("nhs",)], id="letters alone"),
        pytest.param([CONSUMER, ESCALATION], [("nhs",)], id="letters, and an escalation that is yet to come"),
        pytest.param([CONSUMER, TEAM], [("nhs",)], id="letters, and a team that is notified"),
    ],
)
async def test_the_fallback_channel_reports_refused_letters_once(
    channels: list[dict[str, object]], notified: list[tuple[str]]
) -> None:
    """The operator's own channel is the fallback for refused letters, unless a team is notified already; once."""
    harness = EngineHarness(own=default_channel("#own"))
    harness.policy(*channels, escalateAfterDays=14)
    harness.mail.answer = lambda _: DeliveryError(Reason.RECIPIENT_REFUSED, "no such user")
    harness.hand_out("nhs", days=20)
    async with harness.running():
        await until(lambda: harness.condition("nhs", "AlertsDelivered") == ("False", "RecipientRefused"))
        await until(lambda: harness.slack.notified)
        await harness.advance(61 * SECOND)
    assert harness.slack.notified == notified
