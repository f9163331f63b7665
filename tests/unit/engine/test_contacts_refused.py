"""Nobody is said to be written to who is refused, and who gets a letter instead of somebody else is no secret."""

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


def events(whole: EngineHarness, reason: str) -> list[str]:
    """What they say."""
    return [each["message"] for each in whole.api.created if each["reason"] == reason]


def words(whole: EngineHarness) -> str:
    found = whole.record("nhs").status.condition("ContactResolved")
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
async def test_whoever_is_refused_is_not_said_to_be_written_to(contact: dict[str, object], reason: Reason) -> None:
    """It says the same as the channel does, until it is mended."""
    whole = EngineHarness(Users(FOUND))
    whole.policy(TEAM, WEEKLY)
    whole.post.answer = whole.direct.answer = lambda _: refusal(reason)
    whole.hand_out("nhs", days=20, contact=contact)
    async with whole.running():
        await whole.quiet()
        assert whole.condition("nhs", "ContactResolved") == ("False", reason)
        assert whole.condition("nhs", "AlertsDelivered") == ("False", reason)
        assert words(whole) == f"{reason}: correct the address"
        whole.post.answer = whole.direct.answer = lambda _: None
        await whole.passes(62 * SECOND)
        await until(lambda: whole.condition("nhs", "ContactResolved")[0] == "True")
    assert whole.condition("nhs", "AlertsDelivered") == ("True", "Delivered")
    assert events(whole, reason) == [f"channel consumer: {reason}: correct the address"]


@pytest.mark.parametrize("reason", [Reason.MAIL_LOGIN_REJECTED, Reason.MESSAGE_REFUSED, Reason.CHANNEL_NOT_FOUND])
async def test_what_is_not_about_the_contact_is_none_of_its_business(reason: Reason) -> None:
    """Another address would mend nothing, and the condition of the channel says what does."""
    whole = EngineHarness()
    whole.policy(TEAM, WEEKLY)
    whole.post.answer = lambda _: refusal(reason)
    whole.hand_out("nhs", days=20)
    async with whole.running():
        await whole.quiet()
    assert whole.condition("nhs", "AlertsDelivered") == ("False", reason)
    assert whole.condition("nhs", "ContactResolved") == ("True", "TechnicalContact")


async def test_an_escalation_that_is_refused_says_nothing_of_whoever_gets_the_letters() -> None:
    whole = EngineHarness()
    whole.policy(TEAM, CONSUMER, escalateAfterDays=1)
    whole.post.answer = lambda to: refusal(Reason.RECIPIENT_REFUSED) if to == "sam@nhs.example" else None
    whole.hand_out("nhs", days=20, contact=JO | SAM)
    async with whole.running():
        await whole.quiet()
        await whole.later(DAY)
        await until(lambda: whole.condition("nhs", "AlertsDelivered") == ("False", "RecipientRefused"))
    assert set(whole.written("nhs", "ContactResolved")) == {("True", "TechnicalContact")}


async def test_a_refusal_stands_while_nobody_can_be_written_to() -> None:
    """A mail server that is away has mended nothing, nor has a restart; a letter that was taken has."""
    whole = EngineHarness()
    whole.policy(TEAM, WEEKLY)
    whole.post.answer = lambda _: refusal(Reason.RECIPIENT_REFUSED)
    whole.hand_out("nhs", days=20)
    async with whole.running():
        await whole.quiet()
        whole.post.answer = lambda _: BUSY
        await until(lambda: whole.condition("nhs", "AlertsDelivered") == ("False", "ChannelUnavailable"))
        before = len(whole.written("nhs", "ContactResolved"))
        whole.post.gate.clear()
        looks = whole.reconciled.count("nhs")
        whole.find_again("nhs")
        await until(lambda: whole.reconciled.count("nhs") > looks and not whole.queue.depth)
        assert set(whole.written("nhs", "ContactResolved")[before - 1 :]) == {("False", "RecipientRefused")}
        whole.post.answer = lambda _: None
        whole.post.gate.set()
        await until(lambda: whole.condition("nhs", "ContactResolved") == ("True", "TechnicalContact"))


async def test_a_renewal_leaves_nothing_of_it() -> None:
    """Nobody is to be told of anything by then."""
    whole = EngineHarness()
    whole.policy(TEAM, WEEKLY)
    whole.post.answer = lambda _: refusal(Reason.RECIPIENT_REFUSED)
    whole.hand_out("nhs", days=20)
    async with whole.running():
        await whole.quiet()
        whole.put("nhs", days=365)
        await until(lambda: whole.condition("nhs", "ContactResolved") == ("True", "TechnicalContact"))


async def test_a_letter_that_went_to_the_next_contact_is_an_event_and_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once, and not with each letter, nor after a restart; by role."""
    caplog.set_level(logging.INFO)
    whole = EngineHarness()
    whole.policy(TEAM, WEEKLY)
    whole.post.answer = lambda to: refusal(Reason.RECIPIENT_REFUSED) if to == "jo@nhs.example" else None
    whole.hand_out("nhs", days=20, contact=JO | SAM)
    async with whole.running():
        await whole.quiet()
        await whole.later(7 * DAY)
        assert whole.post.sent == 2 * ["sam@nhs.example"]
        whole.find_again("nhs", contact=JO | SAM)
        await whole.later(HOUR)
    instead = "the one before was refused, so the business contact was written to"
    assert events(whole, "RecipientRefused") == [instead]
    assert [each.getMessage() for each in caplog.records if instead in each.getMessage()] == [
        f"integration/nhs: RecipientRefused: {instead}"
    ]
    assert "@nhs.example" not in caplog.text


async def test_whoever_gets_it_after_all_were_refused_is_news() -> None:
    """The reason is the same, and something else has happened."""
    whole = EngineHarness()
    whole.policy(TEAM, WEEKLY)
    gone = {"jo@nhs.example", "sam@nhs.example"}
    whole.post.answer = lambda to: refusal(Reason.RECIPIENT_REFUSED) if to in gone else None
    whole.hand_out("nhs", days=20, contact=JO | SAM)
    async with whole.running():
        await whole.quiet()
        gone.remove("sam@nhs.example")
        await whole.passes(62 * SECOND)
        await until(lambda: whole.post.sent == ["sam@nhs.example"])
        await whole.quiet()
    assert len(events(whole, "RecipientRefused")) == 2
    assert "so the business contact was written to" in words(whole)
