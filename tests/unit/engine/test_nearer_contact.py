"""A letter to a less preferred contact is sent again to a preferred contact who is found later."""

from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from tests.unit.engine.engine_harness import CONSUMER, TEAM, EngineHarness, until
from tests.unit.engine.fakes import Users

USER = Recipient(Role.SLACK, "U012AB3CD")
JO, LEE = Recipient(Role.TECHNICAL, "jo@nhs.example"), Recipient(Role.TECHNICAL, "lee@nhs.example")
SAM = Recipient(Role.BUSINESS, "sam@nhs.example")
NO_USER = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the technical contact")


def known(*recipients: Recipient) -> Resolution:
    return Resolution("Known", "", recipients)


def harness_with(*recipients: Recipient) -> tuple[EngineHarness, Users]:
    """One certificate with thirteen days left, and a weekly letter."""
    users = Users(known(*recipients))
    harness = EngineHarness(users)
    harness.policy(TEAM, {**CONSUMER, "repeat": {"everyDays": 7}})
    harness.hand_out("nhs", days=13, contact={"lookup": ["Slack"]})
    return harness, users


async def reconcile_now(harness: EngineHarness) -> None:
    harness.cache.enqueue(harness.record("nhs").key)
    await harness.until_idle()


async def test_a_preferred_contact_gets_the_letter_at_once() -> None:
    """Once; neither the team nor the earlier recipient gets a second message."""
    harness, users = harness_with(SAM)
    async with harness.running():
        await harness.until_idle()
        users.answer = known(JO, SAM)
        await reconcile_now(harness)
        await reconcile_now(harness)
        assert harness.mail.sent == [SAM.address, JO.address]
        users.answer = known(USER, JO, SAM)
        await reconcile_now(harness)
        assert harness.direct.sent == [USER.address]
        users.answer = known(JO, SAM)
        await reconcile_now(harness)
    assert harness.mail.sent == [SAM.address, JO.address]
    assert harness.slack.notified == [("nhs",)]


async def test_a_refused_contact_does_not_get_the_letter_again() -> None:
    """The other contact was the fallback for this one; a corrected address is used again."""
    harness, users = harness_with(JO, SAM)
    harness.mail.answer = lambda address: NO_USER if address == JO.address else None
    async with harness.running():
        await harness.until_idle()
        await reconcile_now(harness)
        assert harness.mail.sent == [SAM.address]
        users.answer = known(LEE, SAM)
        await reconcile_now(harness)
    assert harness.mail.sent == [SAM.address, LEE.address]


async def test_the_closing_letter_goes_to_the_last_recipient() -> None:
    """The closing letter goes to the recipient of the last letter."""
    harness, users = harness_with(SAM)
    async with harness.running():
        await harness.until_idle()
        harness.mail.answer = lambda address: NO_USER if address == JO.address else None
        users.answer = known(JO, SAM)
        await reconcile_now(harness)
        harness.mail.answer = lambda _: None
        harness.put("nhs", days=365)
        await until(lambda: len(harness.slack.notified) == 2)
        await harness.until_idle()
    assert harness.mail.sent == [SAM.address, SAM.address, SAM.address]
    assert [letter.recipient.role for letter in harness.mail.letters] == 3 * [Role.BUSINESS]


async def test_the_last_recipient_is_known_after_a_restart() -> None:
    """The status records the recipient of the last letter."""
    harness, users = harness_with(SAM)
    async with harness.running():
        await harness.until_idle()
    status = harness.api.statuses[-1][1]
    [entry] = [each for each in status["alerts"]["channels"] if each["name"] == "consumer"]
    assert entry["recipientRole"] == "Business"
    users.answer = known(JO, SAM)
    harness.reload("nhs", contact={"lookup": ["Slack"]})
    async with harness.running():
        await harness.until_idle()
    assert harness.mail.sent == [SAM.address, JO.address]
