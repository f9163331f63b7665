"""A pending contact lookup delays no alert; a contact that is found later gets a letter, and later alerts name it."""

import asyncio
from collections.abc import Callable

import pytest

from clientcert.cache.contact_lookup import WAIT_SECONDS
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import WORKERS
from tests.builders import DAY, HOUR, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness, consumers_in, until
from tests.unit.engine.fakes import Users

MEMBER = "U012AB3CD"
FOUND = Resolution("SlackUser", "the Slack user is written to directly", (Recipient(Role.SLACK, MEMBER),))
BUSY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "Slack answered 503", retryable=True)
IN_SLACK, IN_LIST = {"lookup": ["Slack"]}, {"lookup": ["Directory"]}
TWO = {"technical": {"email": "jo@nhs.example"}, "business": {"email": "sam@nhs.example"}}
CLIENTS = f"/api/v1/namespaces/{NAMESPACE}/configmaps/clients"
MORE_THAN_WORKERS = WORKERS + 2


def names(many: int) -> list[str]:
    return [f"c{number:02d}" for number in range(many)]


def slow_slack() -> tuple[EngineHarness, asyncio.Event]:
    users = Users(FOUND)
    harness = EngineHarness(users)
    harness.policy(TEAM, CONSUMER, group="Never")
    return harness, users.gate


def slow_client_list() -> tuple[EngineHarness, asyncio.Event]:
    harness = EngineHarness()
    data = {name: f"consumer: {name}\ntechnical: {{email: jo@{name}.example}}\n" for name in names(MORE_THAN_WORKERS)}
    harness.api.objects[CLIENTS] = {"metadata": {"resourceVersion": "7"}, "data": data}
    harness.policy(TEAM, CONSUMER, group="Never", contacts={"directoryRef": {"name": "clients"}})
    return harness, harness.api.gate


@pytest.mark.parametrize(
    ("make_harness", "contact", "many"),
    [
        pytest.param(slow_slack, IN_SLACK, MORE_THAN_WORKERS, id="Slack"),
        pytest.param(slow_client_list, IN_LIST, 5, id="client list"),
    ],
)
async def test_a_slow_lookup_delays_no_alert(
    make_harness: Callable[[], tuple[EngineHarness, asyncio.Event]], contact: dict[str, object], many: int
) -> None:
    """Neither the team's alerts about the same certificates nor others, for any number of lookups; all are sent."""
    harness, gate = make_harness()
    gate.clear()
    for name in names(many):
        harness.hand_out(name, days=5, contact=contact)
    harness.hand_out("other", days=20, contact={"technical": {"email": "jo@other.example"}})
    recipient_channel = harness.mail if contact is IN_LIST else harness.direct
    async with harness.running():
        await until(lambda: consumers_in(harness.slack.notified) == [*names(many), "other"])
        assert [address for address in recipient_channel.sent if "other" not in address] == []
        assert harness.condition("c00", "ContactResolved") == ("Unknown", "LookupUnavailable")
        gate.set()
        await until(lambda: len([each for each in recipient_channel.sent if "other" not in each]) == many)
        await until(lambda: harness.condition("c00", "ContactResolved")[0] == "True")
    assert len(harness.slack.notified) == many + 1


async def test_a_slow_lookup_does_not_delay_letters_about_other_certificates() -> None:
    """A contact in the object itself needs no lookup."""
    harness, gate = slow_slack()
    gate.clear()
    harness.hand_out("slow", days=5, contact=IN_SLACK)
    harness.hand_out("quick", days=20)
    async with harness.running():
        await until(lambda: harness.mail.sent == ["jo@quick.example"])
    assert harness.direct.sent == []


@pytest.mark.parametrize("failure", ["slow", "failed"])
async def test_a_transient_lookup_failure_changes_no_condition(failure: str) -> None:
    """The last result is kept until there is another one, so the status does not change back and forth."""
    users = Users(FOUND)
    harness = EngineHarness(users)
    harness.policy(TEAM, CONSUMER)
    harness.hand_out("nhs", days=20, contact=IN_SLACK)
    async with harness.running():
        await until(lambda: harness.condition("nhs", "ContactResolved") == ("True", "SlackUser"))
        await harness.until_idle()
        before = len(harness.api.statuses)
        if failure == "slow":
            users.gate.clear()
        else:
            users.answer = BUSY
        for _ in range(3):
            harness.cache.enqueue(ObjectKey(NAMESPACE, "nhs"))
            await asyncio.sleep(2 * WAIT_SECONDS)
        users.gate.set()
        users.answer = FOUND
        await harness.advance(6 * SECOND)
    assert len(harness.api.statuses) == before
    assert set(harness.written("nhs", "ContactResolved")) == {("True", "SlackUser")}


async def test_the_refusal_is_kept_while_the_next_contact_gets_letters() -> None:
    """An escalation that reaches the business contact changes nothing for the Slack user, who is refused each day."""
    harness = EngineHarness(Users(FOUND))
    harness.policy(CONSUMER, escalateAfterDays=1)
    harness.direct.answer = lambda _: DeliveryError(Reason.RECIPIENT_REFUSED, "no such user")
    harness.hand_out("nhs", days=20, contact=IN_SLACK | TWO)
    async with harness.running():
        await harness.until_idle()
        for _ in range(2):
            await harness.advance(DAY)
    jo, sam = (person["email"] for person in TWO.values())
    assert harness.mail.sent == [jo, *2 * [jo, sam]]
    assert set(harness.written("nhs", "ContactResolved")[1:]) == {("False", "RecipientRefused")}


@pytest.mark.parametrize(
    ("contact", "refused", "others"),
    [
        pytest.param({"business": TWO["business"]}, False, "the Slack user behind", id="Slack"),
        pytest.param(TWO, True, "the technical contact that we have on file for", id="the fallback of Slack"),
    ],
)
async def test_an_escalation_names_the_earlier_recipient(
    contact: dict[str, object], refused: bool, others: str
) -> None:
    """By role, for any recipient."""
    harness = EngineHarness(Users(FOUND))
    harness.policy(CONSUMER, escalateAfterDays=1)
    if refused:
        harness.direct.answer = lambda _: DeliveryError(Reason.RECIPIENT_REFUSED, "no such user")
    harness.hand_out("nhs", days=20, contact=IN_SLACK | contact)
    async with harness.running():
        await harness.until_idle()
        await harness.advance(DAY)
        await until(lambda: "sam@nhs.example" in harness.mail.sent)
    [letter] = [each for each in harness.mail.letters if each.recipient.role is Role.BUSINESS]
    assert f"We have written to {others} nhs, and have seen no renewal since." in str(letter.parts)


async def test_no_escalation_to_a_contact_who_already_gets_all_letters() -> None:
    """The business contact already gets the letters of the technical contact, who is refused."""
    harness = EngineHarness()
    harness.policy(CONSUMER, escalateAfterDays=1)
    jo, sam = (person["email"] for person in TWO.values())
    harness.mail.answer = lambda address: DeliveryError(Reason.RECIPIENT_REFUSED, "gone") if address == jo else None
    harness.hand_out("nhs", days=20, contact=TWO)
    async with harness.running():
        await harness.until_idle()
        for _ in range(2):
            await harness.advance(DAY)
    assert harness.mail.sent == [sam, sam, sam]
    assert set(harness.written("nhs", "ContactResolved")[1:]) == {("False", "RecipientRefused")}


async def test_the_next_alert_names_a_contact_that_was_found_late() -> None:
    """The first alert does not wait for the lookup; the next alert names the contact."""
    harness, gate = slow_slack()
    gate.clear()
    harness.hand_out("nhs", days=20, contact=IN_SLACK)
    async with harness.running():
        await until(lambda: harness.slack.notified)
        gate.set()
        await until(lambda: harness.direct.sent == [MEMBER])
        await harness.advance(DAY)
    assert [MEMBER in text for text in harness.slack.texts] == [False, True]


async def test_a_digest_names_contacts_that_were_found_while_its_group_waited() -> None:
    """Each line names the contact, as a separate message would."""
    users = Users(FOUND)
    harness = EngineHarness(users)
    harness.policy(TEAM, CONSUMER)
    users.gate.clear()
    for name in names(22):
        harness.hand_out(name, days=20, contact=IN_SLACK)
    async with harness.running():
        await until(lambda: harness.groups.waiting == 22)
        users.gate.set()
        await until(lambda: harness.slack.notified)
    assert [len(consumers) for consumers in harness.slack.notified] == [22]
    assert harness.slack.texts[0].count(MEMBER) == 22


async def test_a_corrected_contact_gets_the_letter() -> None:
    """The late answer to the earlier lookup is not used for the corrected contact."""
    harness, gate = slow_slack()
    gate.clear()
    harness.hand_out("c00", days=5, contact=IN_SLACK)
    async with harness.running():
        await until(lambda: harness.condition("c00", "ContactResolved") == ("Unknown", "LookupUnavailable"))
        harness.declare("c00", contact={"technical": {"email": "right@c00.example"}})
        await until(lambda: harness.mail.sent)
        gate.set()
        await harness.until_idle()
    assert (harness.mail.sent, harness.direct.sent) == (["right@c00.example"], [])


async def test_a_failed_lookup_is_retried_after_five_minutes() -> None:
    """Even if nothing is due for months."""
    users = Users(BUSY)
    harness = EngineHarness(users)
    harness.policy(TEAM, CONSUMER)
    harness.hand_out("c00", days=200, contact=IN_SLACK)
    async with harness.running():
        await until(lambda: harness.condition("c00", "ContactResolved") == ("Unknown", "LookupUnavailable"))
        users.answer = FOUND
        await harness.advance(301 * SECOND)
        assert harness.condition("c00", "ContactResolved") == ("True", "SlackUser")


async def test_failed_lookups_are_logged_once_a_minute_for_a_namespace(caplog: pytest.LogCaptureFixture) -> None:
    """For any number of lookups."""
    harness = EngineHarness(Users(BUSY))
    harness.policy(TEAM, CONSUMER)
    for number in range(9):
        harness.hand_out(f"c{number}", days=200, contact=IN_SLACK)
    async with harness.running():
        await harness.until_idle()
    assert len([each for each in caplog.messages if "cannot be looked up" in each]) == 1


async def test_an_alert_says_that_the_contact_is_being_looked_up() -> None:
    harness, gate = slow_slack()
    gate.clear()
    harness.hand_out("c00", days=5, contact=IN_SLACK)
    async with harness.running():
        await until(lambda: harness.slack.texts)
        gate.set()
        await harness.until_idle()
    assert "is being looked up" in harness.slack.texts[0]


async def test_the_cached_contact_is_named_during_a_new_lookup() -> None:
    harness, gate = slow_slack()
    harness.hand_out("c00", days=5, contact=IN_SLACK)
    async with harness.running():
        await until(lambda: harness.slack.texts)
        await harness.until_idle()
        gate.clear()
        await harness.advance(DAY)
        await until(lambda: len(harness.slack.texts) == 2)
        gate.set()
    assert MEMBER in harness.slack.texts[1]


async def test_the_condition_names_the_fallback_recipient_and_why_slack_found_no_user() -> None:
    nobody = Resolution("SlackUserAmbiguous", "several Slack users have the consumer's name")
    harness = EngineHarness(Users(nobody))
    harness.policy(TEAM, CONSUMER)
    harness.hand_out("c00", days=5, contact={"technical": {"email": "jo@c00.example"}, **IN_SLACK})
    async with harness.running():
        await until(lambda: harness.mail.sent)
        await harness.until_idle()
    condition = harness.record("c00").status.condition("ContactResolved")
    assert condition is not None
    assert condition.message == (
        "the technical contact is written to, as spec.contact says; several Slack users have the consumer's name"
    )


@pytest.mark.parametrize(
    ("contact", "expected", "words"),
    [
        ({"technical": {"email": "jo@c00.example"}}, ("True", "TechnicalContact"), "the technical contact is known"),
        (IN_SLACK, ("Unknown", "NotLookedUp"), "no channel of the policy writes to contacts"),
    ],
)
async def test_a_policy_without_a_channel_to_contacts(
    contact: dict[str, object], expected: tuple[str, str], words: str
) -> None:
    """The condition does not promise a letter, even if one was sent before."""
    harness = EngineHarness(Users(FOUND))
    harness.policy(TEAM, CONSUMER)
    harness.hand_out("c00", days=5, contact=contact)
    async with harness.running():
        await until(lambda: harness.mail.sent + harness.direct.sent)
        await harness.until_idle()
        harness.policy(TEAM)
        await until(lambda: harness.condition("c00", "ContactResolved") == expected)
        await until(lambda: words in harness.record("c00").status.condition("ContactResolved").message)  # type: ignore[union-attr]
        await harness.until_idle()


async def test_a_contact_of_the_previous_consumer_is_not_named() -> None:
    """The object was changed to another consumer, whose contact is being looked up."""
    harness, gate = slow_slack()
    harness.hand_out("c00", days=5, contact=IN_SLACK)
    async with harness.running():
        await until(lambda: harness.slack.texts)
        await harness.until_idle()
        gate.clear()
        harness.declare("c00", environment="test", contact=IN_SLACK)
        await harness.advance(DAY)
        await until(lambda: len(harness.slack.texts) == 2)
        gate.set()
        await harness.until_idle()
    assert MEMBER not in harness.slack.texts[1]
    assert "is being looked up" in harness.slack.texts[1]
    assert ("Unknown", "LookupUnavailable") in harness.written("c00", "ContactResolved")


async def test_an_escalation_without_a_recipient_is_dropped() -> None:
    """Nor does the contact get a letter about it a year later, when letters resume."""
    harness = EngineHarness()
    harness.policy(CONSUMER, escalateAfterDays=1, group="Never")
    people = {"technical": {"email": "jo@c00.example"}, "business": {"email": "sam@c00.example"}}
    harness.hand_out("c00", days=12, contact=people)
    async with harness.running():
        await until(lambda: harness.mail.sent)
        await harness.until_idle()
        await harness.advance(DAY + HOUR)
        assert "sam@c00.example" in harness.mail.sent
        harness.declare("c00", contact={"technical": people["technical"]})
        harness.put("c00", days=300)
        await harness.until_idle()
        harness.declare("c00", contact=people)
        before = len(harness.mail.sent)
        await harness.advance(DAY)
    assert harness.mail.sent[before:] == []
