"""A refused contact is not reported as the recipient, and the use of a fallback recipient is reported."""

import logging

import pytest

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from tests.builders import DAY, HOUR, SECOND
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness, until
from tests.unit.engine.fakes import Users

JO, SAM = {"technical": {"email": "jo@nhs.example"}}, {"business": {"email": "sam@nhs.example"}}
MEMBER = {"slack": {"memberID": "U0GONE"}}
FOUND = Resolution("SlackUser", "the Slack user is written to directly", (Recipient(Role.SLACK, "U0GONE"),))
BUSY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "the mail server cannot be reached", retryable=True)
WEEKLY = {**CONSUMER, "repeat": {"everyDays": 7}}


def refusal(reason: Reason) -> DeliveryError:
    return DeliveryError(reason, f"{reason}: correct the address")


def events(harness: EngineHarness, reason: str) -> list[str]:
    """The messages of the Events with this reason."""
    return [each["message"] for each in harness.api.created if each["reason"] == reason]


def contact_message(harness: EngineHarness) -> str:
    found = harness.record("nhs").status.condition("ContactResolved")
    assert found is not None
    return found.message


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        (JO | SAM, Reason.RECIPIENT_REFUSED),
        (JO, Reason.RECIPIENT_NOT_ALLOWED),
        (JO, Reason.CONTACT_INVALID),
        (MEMBER, Reason.CHANNEL_NOT_FOUND),
    ],
    ids=["both are refused", "a domain that is not allowed", "no address", "a bot, or nobody"],
)
async def test_a_refused_contact_is_not_reported_as_resolved(contact: dict[str, object], reason: Reason) -> None:
    """The condition has the reason of the channel's failure, until it is fixed."""
    harness = EngineHarness(Users(FOUND))
    harness.policy(TEAM, WEEKLY)
    harness.mail.answer = harness.direct.answer = lambda _: refusal(reason)
    harness.hand_out("nhs", days=20, contact=contact)
    async with harness.running():
        await harness.until_idle()
        assert harness.condition("nhs", "ContactResolved") == ("False", reason)
        assert harness.condition("nhs", "AlertsDelivered") == ("False", reason)
        assert contact_message(harness) == f"{reason}: correct the address"
        harness.mail.answer = harness.direct.answer = lambda _: None
        await harness.let_pass(62 * SECOND)
        await until(lambda: harness.condition("nhs", "ContactResolved")[0] == "True")
    assert harness.condition("nhs", "AlertsDelivered") == ("True", "Delivered")
    assert events(harness, reason) == [f"channel consumer: {reason}: correct the address"]


@pytest.mark.parametrize("reason", [Reason.MAIL_LOGIN_REJECTED, Reason.MESSAGE_REFUSED, Reason.CHANNEL_NOT_FOUND])
async def test_a_failure_of_the_channel_does_not_change_the_contact_condition(reason: Reason) -> None:
    """Another address would fix nothing; the condition of the channel says what to fix."""
    harness = EngineHarness()
    harness.policy(TEAM, WEEKLY)
    harness.mail.answer = lambda _: refusal(reason)
    harness.hand_out("nhs", days=20)
    async with harness.running():
        await harness.until_idle()
    assert harness.condition("nhs", "AlertsDelivered") == ("False", reason)
    assert harness.condition("nhs", "ContactResolved") == ("True", "TechnicalContact")


async def test_a_refused_escalation_does_not_change_the_contact_condition() -> None:
    harness = EngineHarness()
    harness.policy(TEAM, CONSUMER, escalateAfterDays=1)
    harness.mail.answer = lambda to: refusal(Reason.RECIPIENT_REFUSED) if to == "sam@nhs.example" else None
    harness.hand_out("nhs", days=20, contact=JO | SAM)
    async with harness.running():
        await harness.until_idle()
        await harness.advance(DAY)
        await until(lambda: harness.condition("nhs", "AlertsDelivered") == ("False", "RecipientRefused"))
    assert set(harness.written("nhs", "ContactResolved")) == {("True", "TechnicalContact")}


async def test_a_refusal_is_kept_during_an_outage_of_the_mail_server() -> None:
    """Neither a mail server that is down nor a restart fixes it; only an accepted letter does."""
    harness = EngineHarness()
    harness.policy(TEAM, WEEKLY)
    harness.mail.answer = lambda _: refusal(Reason.RECIPIENT_REFUSED)
    harness.hand_out("nhs", days=20)
    async with harness.running():
        await harness.until_idle()
        harness.mail.answer = lambda _: BUSY
        await until(lambda: harness.condition("nhs", "AlertsDelivered") == ("False", "ChannelUnavailable"))
        before = len(harness.written("nhs", "ContactResolved"))
        harness.mail.gate.clear()
        reconciles = harness.reconciled.count("nhs")
        harness.reload("nhs")
        await until(lambda: harness.reconciled.count("nhs") > reconciles and not harness.queue.depth)
        assert set(harness.written("nhs", "ContactResolved")[before - 1 :]) == {("False", "RecipientRefused")}
        harness.mail.answer = lambda _: None
        harness.mail.gate.set()
        await until(lambda: harness.condition("nhs", "ContactResolved") == ("True", "TechnicalContact"))


async def test_a_renewal_clears_the_refusal() -> None:
    """No letter is due any more."""
    harness = EngineHarness()
    harness.policy(TEAM, WEEKLY)
    harness.mail.answer = lambda _: refusal(Reason.RECIPIENT_REFUSED)
    harness.hand_out("nhs", days=20)
    async with harness.running():
        await harness.until_idle()
        harness.put("nhs", days=365)
        await until(lambda: harness.condition("nhs", "ContactResolved") == ("True", "TechnicalContact"))


async def test_a_letter_to_the_fallback_recipient_is_reported_in_an_event_and_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By role; once, and neither with each letter nor after a restart."""
    caplog.set_level(logging.INFO)
    harness = EngineHarness()
    harness.policy(TEAM, WEEKLY)
    harness.mail.answer = lambda to: refusal(Reason.RECIPIENT_REFUSED) if to == "jo@nhs.example" else None
    harness.hand_out("nhs", days=20, contact=JO | SAM)
    async with harness.running():
        await harness.until_idle()
        await harness.advance(7 * DAY)
        assert harness.mail.sent == 2 * ["sam@nhs.example"]
        harness.reload("nhs", contact=JO | SAM)
        await harness.advance(HOUR)
    instead = "the one before was refused, so the business contact was written to"
    assert events(harness, "RecipientRefused") == [instead]
    assert [each.getMessage() for each in caplog.records if instead in each.getMessage()] == [
        f"integration/nhs: RecipientRefused: {instead}"
    ]
    assert "@nhs.example" not in caplog.text


async def test_a_fallback_recipient_after_refusals_of_all_is_reported() -> None:
    """The reason is the same, but there is a new recipient."""
    harness = EngineHarness()
    harness.policy(TEAM, WEEKLY)
    gone = {"jo@nhs.example", "sam@nhs.example"}
    harness.mail.answer = lambda to: refusal(Reason.RECIPIENT_REFUSED) if to in gone else None
    harness.hand_out("nhs", days=20, contact=JO | SAM)
    async with harness.running():
        await harness.until_idle()
        gone.remove("sam@nhs.example")
        await harness.let_pass(62 * SECOND)
        await until(lambda: harness.mail.sent == ["sam@nhs.example"])
        await harness.until_idle()
    assert len(events(harness, "RecipientRefused")) == 2
    assert "so the business contact was written to" in contact_message(harness)
