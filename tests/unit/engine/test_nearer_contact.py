"""Who was written to because nobody nearer was known is not whom the letter is for: once that one is known, it is."""

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


def handed_out(*recipients: Recipient) -> tuple[EngineHarness, Users]:
    """One certificate with thirteen days left, and a letter a week."""
    users = Users(known(*recipients))
    whole = EngineHarness(users)
    whole.policy(TEAM, {**CONSUMER, "repeat": {"everyDays": 7}})
    whole.hand_out("nhs", days=13, contact={"lookup": ["Slack"]})
    return whole, users


async def is_looked_at(whole: EngineHarness) -> None:
    whole.cache.enqueue(whole.record("nhs").key)
    await whole.quiet()


async def test_is_written_to_at_once() -> None:
    """And once: the team is told nothing again, nor is whoever was asked."""
    whole, users = handed_out(SAM)
    async with whole.running():
        await whole.quiet()
        users.answer = known(JO, SAM)
        await is_looked_at(whole)
        await is_looked_at(whole)
        assert whole.post.sent == [SAM.address, JO.address]
        users.answer = known(USER, JO, SAM)
        await is_looked_at(whole)
        assert whole.direct.sent == [USER.address]
        users.answer = known(JO, SAM)
        await is_looked_at(whole)
    assert whole.post.sent == [SAM.address, JO.address]
    assert whole.slack.told == [("nhs",)]


async def test_is_not_whoever_was_just_refused() -> None:
    """The other contact stood in for that one; an address that was corrected is another matter."""
    whole, users = handed_out(JO, SAM)
    whole.post.answer = lambda address: NO_USER if address == JO.address else None
    async with whole.running():
        await whole.quiet()
        await is_looked_at(whole)
        assert whole.post.sent == [SAM.address]
        users.answer = known(LEE, SAM)
        await is_looked_at(whole)
    assert whole.post.sent == [SAM.address, LEE.address]


async def test_hears_of_the_end_only_if_of_the_beginning() -> None:
    """The closing letter goes to whoever got the last one."""
    whole, users = handed_out(SAM)
    async with whole.running():
        await whole.quiet()
        whole.post.answer = lambda address: NO_USER if address == JO.address else None
        users.answer = known(JO, SAM)
        await is_looked_at(whole)
        whole.post.answer = lambda _: None
        whole.put("nhs", days=365)
        await until(lambda: len(whole.slack.told) == 2)
        await whole.quiet()
    assert whole.post.sent == [SAM.address, SAM.address, SAM.address]
    assert [letter.recipient.role for letter in whole.post.letters] == 3 * [Role.BUSINESS]


async def test_is_known_after_a_restart() -> None:
    """The status says who got the last letter."""
    whole, users = handed_out(SAM)
    async with whole.running():
        await whole.quiet()
    status = whole.api.statuses[-1][1]
    [entry] = [each for each in status["alerts"]["channels"] if each["name"] == "consumer"]
    assert entry["recipientRole"] == "Business"
    users.answer = known(JO, SAM)
    whole.find_again("nhs", contact={"lookup": ["Slack"]})
    async with whole.running():
        await whole.quiet()
    assert whole.post.sent == [SAM.address, JO.address]
