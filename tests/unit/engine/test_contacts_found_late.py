"""A contact that is not known yet holds no alert back; who was found late is written to, and named from then on."""

import asyncio
from collections.abc import Callable

import pytest

from clientcert.cache.contact_lookup import WAIT_SECONDS
from clientcert.controllers.workers import WORKERS
from clientcert.errors import DeliveryError, Reason
from clientcert.lifecycle.contacts import Recipient, Resolution, Role
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import DAY, HOUR, SECOND
from tests.unit.engine.engine_harness import CONSUMER, NAMESPACE, TEAM, EngineHarness, once, until
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
    whole = EngineHarness(users)
    whole.policy(TEAM, CONSUMER, group="Never")
    return whole, users.gate


def slow_list() -> tuple[EngineHarness, asyncio.Event]:
    whole = EngineHarness()
    data = {name: f"consumer: {name}\ntechnical: {{email: jo@{name}.example}}\n" for name in names(MORE_THAN_WORKERS)}
    whole.api.objects[CLIENTS] = {"metadata": {"resourceVersion": "7"}, "data": data}
    whole.policy(TEAM, CONSUMER, group="Never", contacts={"directoryRef": {"name": "clients"}})
    return whole, whole.api.gate


@pytest.mark.parametrize(
    ("begin", "contact", "many"),
    [
        pytest.param(slow_slack, IN_SLACK, MORE_THAN_WORKERS, id="Slack"),
        pytest.param(slow_list, IN_LIST, 5, id="client list"),
    ],
)
async def test_a_slow_look_up_holds_nothing_back(
    begin: Callable[[], tuple[EngineHarness, asyncio.Event]], contact: dict[str, object], many: int
) -> None:
    """Neither the team's alerts about the same certificates nor another one, however many wait; then all are told."""
    whole, gate = begin()
    gate.clear()
    for name in names(many):
        whole.hand_out(name, days=5, contact=contact)
    whole.hand_out("other", days=20, contact={"technical": {"email": "jo@other.example"}})
    written = whole.post if contact is IN_LIST else whole.direct
    async with whole.running():
        await until(lambda: once(whole.slack.told) == [*names(many), "other"])
        assert [address for address in written.sent if "other" not in address] == []
        assert whole.condition("c00", "ContactResolved") == ("Unknown", "LookupUnavailable")
        gate.set()
        await until(lambda: len([each for each in written.sent if "other" not in each]) == many)
        await until(lambda: whole.condition("c00", "ContactResolved")[0] == "True")
    assert len(whole.slack.told) == many + 1


async def test_another_certificate_has_its_letter_meanwhile() -> None:
    """One whose contact stands in the object itself asks nobody."""
    whole, gate = slow_slack()
    gate.clear()
    whole.hand_out("slow", days=5, contact=IN_SLACK)
    whole.hand_out("quick", days=20)
    async with whole.running():
        await until(lambda: whole.post.sent == ["jo@quick.example"])
    assert whole.direct.sent == []


@pytest.mark.parametrize("passing", ["slow", "failed"])
async def test_a_look_up_that_passes_changes_no_condition(passing: str) -> None:
    """What was found stays so until something else is: nobody is woken by a status that goes to and fro."""
    users = Users(FOUND)
    whole = EngineHarness(users)
    whole.policy(TEAM, CONSUMER)
    whole.hand_out("nhs", days=20, contact=IN_SLACK)
    async with whole.running():
        await until(lambda: whole.condition("nhs", "ContactResolved") == ("True", "SlackUser"))
        await whole.quiet()
        before = len(whole.api.statuses)
        if passing == "slow":
            users.gate.clear()
        else:
            users.answer = BUSY
        for _ in range(3):
            whole.cache.enqueue(ObjectKey(NAMESPACE, "nhs"))
            await asyncio.sleep(2 * WAIT_SECONDS)
        users.gate.set()
        users.answer = FOUND
        await whole.later(6 * SECOND)
    assert len(whole.api.statuses) == before
    assert set(whole.written("nhs", "ContactResolved")) == {("True", "SlackUser")}


async def test_a_refusal_stands_while_the_next_contact_is_written_to() -> None:
    """An escalation that reaches the business contact says nothing of the Slack user, who is refused each day."""
    whole = EngineHarness(Users(FOUND))
    whole.policy(CONSUMER, escalateAfterDays=1)
    whole.direct.answer = lambda _: DeliveryError(Reason.RECIPIENT_REFUSED, "no such user")
    whole.hand_out("nhs", days=20, contact=IN_SLACK | TWO)
    async with whole.running():
        await whole.quiet()
        for _ in range(2):
            await whole.later(DAY)
    jo, sam = (person["email"] for person in TWO.values())
    assert whole.post.sent == [jo, *2 * [jo, sam]]
    assert set(whole.written("nhs", "ContactResolved")[1:]) == {("False", "RecipientRefused")}


@pytest.mark.parametrize(
    ("contact", "refused", "others"),
    [
        pytest.param({"business": TWO["business"]}, False, "the Slack user behind", id="Slack"),
        pytest.param(TWO, True, "the technical contact that we have on file for", id="who stands in for Slack"),
    ],
)
async def test_an_escalation_says_who_had_the_letters(contact: dict[str, object], refused: bool, others: str) -> None:
    """By role, whoever it was."""
    whole = EngineHarness(Users(FOUND))
    whole.policy(CONSUMER, escalateAfterDays=1)
    if refused:
        whole.direct.answer = lambda _: DeliveryError(Reason.RECIPIENT_REFUSED, "no such user")
    whole.hand_out("nhs", days=20, contact=IN_SLACK | contact)
    async with whole.running():
        await whole.quiet()
        await whole.later(DAY)
        await until(lambda: "sam@nhs.example" in whole.post.sent)
    [letter] = [each for each in whole.post.letters if each.recipient.role is Role.BUSINESS]
    assert f"We have written to {others} nhs, and have seen no renewal since." in str(letter.parts)


async def test_nothing_is_escalated_to_whoever_has_all_letters() -> None:
    """The business contact gets those of the technical one, who is refused."""
    whole = EngineHarness()
    whole.policy(CONSUMER, escalateAfterDays=1)
    jo, sam = (person["email"] for person in TWO.values())
    whole.post.answer = lambda address: DeliveryError(Reason.RECIPIENT_REFUSED, "gone") if address == jo else None
    whole.hand_out("nhs", days=20, contact=TWO)
    async with whole.running():
        await whole.quiet()
        for _ in range(2):
            await whole.later(DAY)
    assert whole.post.sent == [sam, sam, sam]
    assert set(whole.written("nhs", "ContactResolved")[1:]) == {("False", "RecipientRefused")}


async def test_an_alert_names_who_was_found_after_the_first_look() -> None:
    """The first alert could not wait for that; the next one says it."""
    whole, gate = slow_slack()
    gate.clear()
    whole.hand_out("nhs", days=20, contact=IN_SLACK)
    async with whole.running():
        await until(lambda: whole.slack.told)
        gate.set()
        await until(lambda: whole.direct.sent == [MEMBER])
        await whole.later(DAY)
    assert [MEMBER in text for text in whole.slack.texts] == [False, True]


async def test_a_digest_names_who_was_found_while_it_was_gathered() -> None:
    """Each of its lines says whom to ask, as a message of its own would."""
    users = Users(FOUND)
    whole = EngineHarness(users)
    whole.policy(TEAM, CONSUMER)
    users.gate.clear()
    for name in names(22):
        whole.hand_out(name, days=20, contact=IN_SLACK)
    async with whole.running():
        await until(lambda: whole.groups.waiting == 22)
        users.gate.set()
        await until(lambda: whole.slack.told)
    assert [len(told) for told in whole.slack.told] == [22]
    assert whole.slack.texts[0].count(MEMBER) == 22


async def test_a_corrected_contact_is_the_one_who_is_written_to() -> None:
    """The answer about the one before, which comes later, is no answer to the new question."""
    whole, gate = slow_slack()
    gate.clear()
    whole.hand_out("c00", days=5, contact=IN_SLACK)
    async with whole.running():
        await until(lambda: whole.condition("c00", "ContactResolved") == ("Unknown", "LookupUnavailable"))
        whole.declare("c00", contact={"technical": {"email": "right@c00.example"}})
        await until(lambda: whole.post.sent)
        gate.set()
        await whole.quiet()
    assert (whole.post.sent, whole.direct.sent) == (["right@c00.example"], [])


async def test_it_is_asked_again_after_five_minutes() -> None:
    """Also where nothing is due for months."""
    users = Users(BUSY)
    whole = EngineHarness(users)
    whole.policy(TEAM, CONSUMER)
    whole.hand_out("c00", days=200, contact=IN_SLACK)
    async with whole.running():
        await until(lambda: whole.condition("c00", "ContactResolved") == ("Unknown", "LookupUnavailable"))
        users.answer = FOUND
        await whole.later(301 * SECOND)
        assert whole.condition("c00", "ContactResolved") == ("True", "SlackUser")


async def test_it_is_logged_once_a_minute_for_a_namespace(caplog: pytest.LogCaptureFixture) -> None:
    """However many ask."""
    whole = EngineHarness(Users(BUSY))
    whole.policy(TEAM, CONSUMER)
    for number in range(9):
        whole.hand_out(f"c{number}", days=200, contact=IN_SLACK)
    async with whole.running():
        await whole.quiet()
    assert len([each for each in caplog.messages if "cannot be looked up" in each]) == 1


async def test_the_team_is_not_told_to_find_out_who_is_just_being_looked_up() -> None:
    whole, gate = slow_slack()
    gate.clear()
    whole.hand_out("c00", days=5, contact=IN_SLACK)
    async with whole.running():
        await until(lambda: whole.slack.texts)
        gate.set()
        await whole.quiet()
    assert "is being looked up" in whole.slack.texts[0]


async def test_whoever_was_found_yesterday_is_named_while_they_are_looked_up_again() -> None:
    whole, gate = slow_slack()
    whole.hand_out("c00", days=5, contact=IN_SLACK)
    async with whole.running():
        await until(lambda: whole.slack.texts)
        await whole.quiet()
        gate.clear()
        await whole.later(DAY)
        await until(lambda: len(whole.slack.texts) == 2)
        gate.set()
    assert MEMBER in whole.slack.texts[1]


async def test_why_nobody_in_slack_was_found_is_said_with_who_is_written_to_instead() -> None:
    nobody = Resolution("SlackUserAmbiguous", "several Slack users have the consumer's name")
    whole = EngineHarness(Users(nobody))
    whole.policy(TEAM, CONSUMER)
    whole.hand_out("c00", days=5, contact={"technical": {"email": "jo@c00.example"}, **IN_SLACK})
    async with whole.running():
        await until(lambda: whole.post.sent)
        await whole.quiet()
    condition = whole.record("c00").status.condition("ContactResolved")
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
async def test_without_a_channel_that_writes_to_contacts(
    contact: dict[str, object], expected: tuple[str, str], words: str
) -> None:
    """Nobody is said to be written to, also where somebody was."""
    whole = EngineHarness(Users(FOUND))
    whole.policy(TEAM, CONSUMER)
    whole.hand_out("c00", days=5, contact=contact)
    async with whole.running():
        await until(lambda: whole.post.sent + whole.direct.sent)
        await whole.quiet()
        whole.policy(TEAM)
        await until(lambda: whole.condition("c00", "ContactResolved") == expected)
        await until(lambda: words in whole.record("c00").status.condition("ContactResolved").message)  # type: ignore[union-attr]
        await whole.quiet()


async def test_nobody_of_another_consumer_is_named() -> None:
    """An object was handed to another one, whose contact is being looked up."""
    whole, gate = slow_slack()
    whole.hand_out("c00", days=5, contact=IN_SLACK)
    async with whole.running():
        await until(lambda: whole.slack.texts)
        await whole.quiet()
        gate.clear()
        whole.declare("c00", environment="test", contact=IN_SLACK)
        await whole.later(DAY)
        await until(lambda: len(whole.slack.texts) == 2)
        gate.set()
        await whole.quiet()
    assert MEMBER not in whole.slack.texts[1]
    assert "is being looked up" in whole.slack.texts[1]
    assert ("Unknown", "LookupUnavailable") in whole.written("c00", "ContactResolved")


async def test_an_escalation_that_nobody_is_left_for_ends_without_a_letter() -> None:
    """And not with one about it when they are written to again, a year later."""
    whole = EngineHarness()
    whole.policy(CONSUMER, escalateAfterDays=1, group="Never")
    people = {"technical": {"email": "jo@c00.example"}, "business": {"email": "sam@c00.example"}}
    whole.hand_out("c00", days=12, contact=people)
    async with whole.running():
        await until(lambda: whole.post.sent)
        await whole.quiet()
        await whole.later(DAY + HOUR)
        assert "sam@c00.example" in whole.post.sent
        whole.declare("c00", contact={"technical": people["technical"]})
        whole.put("c00", days=300)
        await whole.quiet()
        whole.declare("c00", contact=people)
        before = len(whole.post.sent)
        await whole.later(DAY)
    assert whole.post.sent[before:] == []
