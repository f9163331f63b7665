"""Many notices about requests at once are one message: in the team's channel, and to the registration authority."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clientcert.alerting.notice_groups import NoticeGroups, NoticeTicket, Version
from clientcert.alerting.renewal_notices import RenewalNotices
from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.lifecycle.contacts import Role
from clientcert.lifecycle.policy import Group
from clientcert.lifecycle.renewal.notices import Notice, NoticeKind, letter_channel
from clientcert.lifecycle.renewal.status import State
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import DAY, NOW, channel, declaration, policy
from tests.unit.engine.many_requests import RA, decide, declare, name_of, path_of, requests, status, told
from tests.unit.engine.renewal_scripts import BEGINS
from tests.unit.engine.renewal_world import OURS, POLICY, World
from tests.unit.messages.renewals import CONSUMER, FULL, JO, of_certificate, request
from tests.unit.messages.renewals import status as status_of

WAITING = "Waiting/team"
SECOND_POLICY = f"{OURS}/certificatepolicies/second"
MANY = 25
GONE = DeliveryError(Reason.CHANNEL_NOT_FOUND, "there is no such channel: create it, or correct the policy")
AWAY = DeliveryError(Reason.CHANNEL_UNAVAILABLE, "Slack cannot be reached", retryable=True)
OUTAGE = KubeError(Reason.API_UNAVAILABLE, "the API server answered 503", status=503, retryable=True)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World(BEGINS)
    yield found
    await found.stop()


def lines(world: World, number: int = 0) -> list[str]:
    """The names of the certificates in a message about many."""
    return [line.text.split(" in ")[1].partition(":")[0] for line in world.digests[number].lines]


def notified(world: World) -> set[tuple[str, str]]:
    """Status and reason of the condition Notified of all requests."""
    found = [each for one in requests(world) for each in one.get("conditions") or () if each["type"] == "Notified"]
    return {(each["status"], each["reason"]) for each in found}


async def test_hundreds_of_requests_that_wait_are_one_post_a_day(world: World) -> None:
    """The first of all that end first. The receipts are each contact's own."""
    count = 150
    declare(world, count, delivery={"type": "None"})
    await world.run_until(lambda: told(world, WAITING) == count)
    [digest] = world.digests
    assert (world.posts, digest.more, lines(world)) == ([], 0, [name_of(n) for n in range(count)])
    assert digest.text == f"150 requests for renewals wait for approval; the first certificate ends on {_first_end()}"
    assert digest.next_step.endswith("kubectl get certificaterenewals --namespace integration")
    world.set_clock(DAY)
    await world.run_until(lambda: len(world.digests) == 2)
    await world.let_pass(60.0)
    assert (world.posts, len(world.digests), world.digests[1].text) == ([], 2, digest.text)


def _first_end() -> str:
    return f"{BEGINS + 60 * DAY:%Y-%m-%d}"


@pytest.mark.parametrize(("count", "group"), [(20, "Auto"), (MANY, "Never")])
async def test_few_are_single_messages(world: World, count: int, group: str) -> None:
    declare(world, count, group=group)
    await world.run_until(lambda: told(world, WAITING) == count)
    await world.let_pass(60.0)
    assert (len(world.posts), world.digests, notified(world)) == (count, [], {("True", "Sent")})


async def test_two_are_many_if_the_policy_says_so(world: World) -> None:
    declare(world, 2, group="Policy")
    await world.run_until(lambda: told(world, WAITING) == 2)
    assert (world.posts, lines(world)) == ([], [name_of(0), name_of(1)])


async def test_what_no_status_records_is_told_again_in_one_message(world: World) -> None:
    """The process is killed right after the message, when none of the requests has recorded it."""
    declare(world, MANY)

    def die_after_the_message(what: str) -> None:
        if what == "POST MANY" and len(world.digests) == 1:
            world.process.is_dead = True
            world.process.died.set()

    world.loses_answer = die_after_the_message
    await world.run_until(lambda: told(world, WAITING) == MANY)
    await world.let_pass(60.0)
    assert (world.killed, world.posts, len(world.digests)) == (1, [], 2)
    assert lines(world, 0) == lines(world, 1)


async def test_after_a_kill_between_the_writes_only_the_others_are_told(world: World) -> None:
    """Of thirty, those that are recorded are in no other message."""
    declare(world, 30)
    recorded: set[str] = set()

    def die_in_between(_what: str) -> None:
        if not recorded and told(world, WAITING) == 3:
            recorded.update(name_of(n) for n in range(30) if _has(status(world, n), WAITING))
            world.process.is_dead = True
            world.process.died.set()

    world.loses_answer = die_in_between
    await world.run_until(lambda: told(world, WAITING) == 30)
    await world.let_pass(60.0)
    assert (world.killed, world.posts, len(world.digests), len(recorded)) == (1, [], 2, 3)
    assert set(lines(world, 1)) == {name_of(n) for n in range(30)} - recorded


def _has(one: Mapping[str, Any], notice: str) -> bool:
    return any(each["name"] == notice for each in one.get("notices") or ())


async def test_a_request_that_was_decided_meanwhile_is_not_in_the_message(world: World) -> None:
    """One was approved and one deleted while the group waited for others."""
    declare(world, MANY)

    def decide_two() -> None:
        if status(world, 3).get("state") == "AwaitingApproval" and not world.digests:
            if "approval" not in world.server.objects[path_of(3)]["spec"]:
                decide(world, 3, "Approve")
            if path_of(4) in world.server.objects:
                world.server.delete(path_of(4))

    world.people.append(decide_two)
    await world.run_until(lambda: told(world, WAITING) == MANY - 2)
    await world.run_until(lambda: status(world, 3).get("state") == "Done")
    assert lines(world) == [name_of(n) for n in range(MANY) if n not in {3, 4}]


async def test_a_refused_message_is_in_the_condition_of_each_until_the_policy_is_corrected(world: World) -> None:
    """It is tried again at once, and not after its backoff."""
    declare(world, MANY)
    world.refuses = lambda what: GONE if what == "POST MANY" else None
    await world.run_until(lambda: notified(world) == {("False", "ChannelNotFound")} and len(told_false(world)) == MANY)
    assert told_false(world)[0] == f"Waiting to channel team: {GONE.message}"
    tries = sum("POST" in each for each in world.writes)
    world.refuses = lambda _: None
    await world.let_pass(20.0)
    assert (world.digests, sum("POST" in each for each in world.writes)) == ([], tries)
    world.edit(POLICY, alerts={**world.server.objects[POLICY]["spec"]["alerts"], "runbookURL": "https://run.example"})
    await world.run_until(lambda: told(world, WAITING) == MANY, 15.0)
    await world.run_until(lambda: notified(world) == {("True", "Sent")}, 15.0)
    assert (world.posts, len(world.digests)) == ([], 1)


def told_false(world: World) -> list[str]:
    """The messages of the conditions Notified that are False."""
    found = [each for one in requests(world) for each in one.get("conditions") or () if each["type"] == "Notified"]
    return [each["message"] for each in found if each["status"] == "False"]


async def test_a_channel_that_is_away_is_retried(world: World) -> None:
    declare(world, MANY)
    answers = iter([AWAY, AWAY])
    world.refuses = lambda what: next(answers, None) if what == "POST MANY" else None
    await world.run_until(lambda: told(world, WAITING) == MANY)
    assert (world.posts, len(world.digests), lines(world)) == ([], 1, [name_of(n) for n in range(MANY)])


async def test_a_replica_that_may_not_send_sends_nothing(world: World) -> None:
    declare(world, MANY)
    await world.let_pass(0.5)
    world.process.may_send = False
    await world.let_pass(30.0)
    assert (world.posts, world.digests) == ([], [])
    world.process.may_send = True
    await world.run_until(lambda: told(world, WAITING) == MANY)
    assert (world.posts, len(world.digests)) == ([], 1)


async def test_the_registration_authority_gets_one_letter(world: World) -> None:
    """Each contact gets a receipt; a second address is a second letter."""
    declare(world, MANY, notify=[RA, "second@gov.example"])
    await world.run_until(lambda: told(world, "Waiting/notify") == MANY and told(world, "Receipt/contact") == MANY)
    await world.let_pass(60.0)
    waiting = [each for each in world.mails if each.notice.startswith("Waiting/notify")]
    assert sorted(each.address for each in waiting) == [RA, "second@gov.example"]
    assert sum(each.notice.startswith("Receipt") for each in world.mails) == MANY
    texts = [part.text for part in waiting[0].letter.parts]
    assert waiting[0].letter.subject.startswith("25 requests for renewals wait for approval")
    assert [name_of(n) for n in range(MANY)] == [each.split(" in ")[1].partition(":")[0] for each in texts[2:27]]
    assert "kubectl get certificaterenewals --namespace integration" in texts
    for one in requests(world):
        assert sum(each["name"].startswith("Waiting/notify") for each in one["notices"]) == 2


async def test_many_that_are_delivered_at_once_are_few_messages(world: World) -> None:
    """The mails with the certificates are each contact's own."""
    declare(world, MANY)
    await world.run_until(lambda: told(world, WAITING) == MANY)
    for number in range(MANY):
        decide(world, number, "Approve")
    await world.run_until(lambda: told(world, "Delivered/team") == MANY)
    await world.let_pass(90.0)
    assert {one["state"] for one in requests(world)} == {"Done"}
    assert sum(bool(each.attachments) for each in world.mails) == MANY
    delivered = [each for each in world.digests if "were delivered" in each.text]
    assert sum(len(each.lines) for each in delivered) + sum("was sent to" in each for each in world.posts) == MANY
    assert notified(world) == {("True", "Sent")}
    assert not any(one.get("waitsFor") for one in requests(world))


async def test_a_clean_stop_records_what_was_sent(world: World) -> None:
    """The status writes after the message fail; nothing more is sent."""
    declare(world, MANY)
    failing = True
    world.refuses = lambda what: OUTAGE if failing and world.digests and what.startswith("PATCH") else None
    await world.run_until(lambda: len(world.digests) == 1)
    await world.let_pass(1.0)
    assert told(world, WAITING) < MANY
    failing, world.process.may_send = False, False
    await world.process.engine.workers.drain()
    assert (told(world, WAITING), len(world.digests)) == (MANY, 1)
    assert world.process.engine.renewal_outbox.unrecorded_items() == ()


async def test_a_stop_waits_for_no_request_that_is_gone(world: World) -> None:
    declare(world, MANY)
    world.refuses = lambda what: OUTAGE if world.digests and what.startswith("PATCH") else None
    await world.run_until(lambda: len(world.digests) == 1)
    for number in range(MANY):
        world.server.delete(path_of(number))
    await world.let_pass(1.0)
    world.process.may_send = False
    await world.process.engine.workers.drain()
    assert world.process.engine.renewal_outbox.unrecorded_items() == ()


async def test_a_refused_address_is_seen_and_its_correction_tried_at_once(world: World) -> None:
    """The contact has the receipt, and the condition names the role and not the address."""
    declare(world, 1, notify=[RA])
    refused = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the registration authority")
    world.refuses = lambda what: refused if what.startswith("MAIL Waiting/notify") else None
    await world.run_until(lambda: notified(world) == {("False", "RecipientRefused")})
    assert told_false(world) == [f"Waiting to the registration authority: {refused.message}"]
    assert told(world, "Receipt/contact") == 1
    before = len(world.writes)
    await world.let_pass(30.0)
    assert len(world.writes) == before
    world.refuses = lambda _: None
    renewal = world.server.objects[POLICY]["spec"]["renewal"]
    world.edit(POLICY, renewal={**renewal, "notify": ["right@gov.example"]})
    await world.run_until(lambda: notified(world) == {("True", "Sent")}, 15.0)
    assert [each.address for each in world.mails if each.notice.startswith("Waiting/notify")] == ["right@gov.example"]


@pytest.mark.parametrize("count", [1, MANY])
async def test_a_clock_that_was_set_retries_what_failed(world: World, count: int) -> None:
    """It was set back, so the next try would be a day later."""
    declare(world, count)
    world.refuses = lambda what: GONE if what.startswith("POST") else None
    await world.run_until(lambda: notified(world) == {("False", "ChannelNotFound")})
    world.refuses = lambda _: None
    world.set_clock(-0.5 * DAY)
    await world.run_until(lambda: told(world, WAITING) == count, 30.0)
    await world.run_until(lambda: notified(world) == {("True", "Sent")}, 30.0)


async def test_a_restart_writes_nothing(world: World) -> None:
    """Neither of requests that were told, nor of one that fails."""
    declare(world, 3, notify=[RA])
    refused = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the registration authority")
    world.refuses = lambda what: refused if what.startswith("MAIL Waiting/notify") else None
    await world.run_until(lambda: len(told_false(world)) == 3)
    await world.let_pass(30.0)
    await world.kill()
    before = len(world.writes)
    await world.let_pass(30.0)
    assert {each for each in world.writes[before:] if "PATCH" in each} == set()


def evaluation(namespace: str = "integration", group: Group = Group.AUTO, **spec: Any) -> Any:
    """A request that waits, about a certificate of a policy."""
    plan = replace(policy(channel("team"), CONSUMER), group=group)
    about = replace(of_certificate(plan), spec=declaration(policy="p", **spec))
    found = request(status_of(State.AWAITING_APPROVAL), certificate_=about)
    return replace(found, key=ObjectKey(namespace, found.key.name))


def _queue() -> WorkQueue:
    return WorkQueue(lambda: NOW)


class Cache:
    """A cache with many certificates, in which each request is as its evaluation says."""

    def __init__(self, certificates: int = 100) -> None:
        self.renewals = cast("Any", self)
        self.policies = SimpleNamespace(policies=[ObjectKey("integration", "p"), ObjectKey("other", "p")])
        self.count_certificates_of = lambda _: certificates

    def enqueue_all(self, keys: Any) -> None:
        """It goes nowhere."""


@pytest.mark.parametrize(
    ("changes", "certificates"),
    [({"group": Group.NEVER}, 100), ({"group": Group.BATCH}, 100), ({}, 6)],
    ids=["never", "by batch, and it has none", "a policy with few certificates"],
)
async def test_a_notice_that_cannot_be_grouped_is_sent_at_once(changes: dict[str, Any], certificates: int) -> None:
    groups = NoticeGroups(cast("Any", Cache(certificates)), _queue(), frozenset({"Slack"}))
    one = evaluation(**changes)
    team = one.certificate.policy.channels[0]
    assert groups._group_of(one, Notice(NoticeKind.WAITING, team, team.name)) is None


async def test_each_namespace_policy_occasion_and_destination_has_its_own_group() -> None:
    """No name of an item has an address. A letter to a contact, and a program's channel, have none."""
    groups = NoticeGroups(cast("Any", Cache()), _queue(), frozenset({"Slack"}))
    one = evaluation()
    team = one.certificate.policy.channels[0]
    hook = replace(team, type="Webhook")
    letters = letter_channel(one.certificate.policy)
    waiting, issued = Notice(NoticeKind.WAITING, team, "team"), Notice(NoticeKind.ISSUED, team, "team")
    authority = Notice(NoticeKind.WAITING, letters, "notify-1", replace(JO, role=Role.AUTHORITY, address=RA))
    found = [
        groups._group_of(one, waiting),
        groups._group_of(one, issued),
        groups._group_of(one, authority),
        groups._group_of(evaluation("other"), waiting),
        groups._group_of(evaluation(), replace(waiting, channel=channel("second"))),
    ]
    assert len({each.key for each in found if each}) == len(found)
    assert RA not in str(found)
    receipt = Notice(NoticeKind.RECEIPT, letters, "contact-1", JO)
    assert [groups._group_of(one, each) for each in (receipt, replace(waiting, channel=hook))] == [None, None]


async def test_two_letters_about_the_same_requests_have_two_keys() -> None:
    """One announces a retirement on delivery, one a week before it: with one Message-ID the second may be dropped."""
    letters: list[str] = []

    async def notify(_channel: Any, message: Any) -> None:
        letters.extend(each.key for each in message.letters)

    mail = cast("Any", SimpleNamespace(notify=notify))
    outside: Any = None
    notices = RenewalNotices(
        {"Email": mail}, None, outside, outside, outside, lambda _: True, lambda: NOW, cast("Any", SimpleNamespace())
    )
    one = request(status_of(State.DONE), replace(FULL, retire_after_days=30))
    authority = replace(JO, role=Role.AUTHORITY, address=RA)
    for kind in (NoticeKind.RETIREMENT, NoticeKind.RETIRING, NoticeKind.RETIRING):
        notice = Notice(kind, letter_channel(one.certificate.policy), "notify-1", authority)  # type: ignore[union-attr]
        ticket = NoticeTicket(notice, Version(one.uid, 1, State.DONE, ("", 1), 1), "a line")
        await notices.send_many(one, [(ticket, NOW + DAY)])
    first, second, repeated = letters
    assert (first != second, second == repeated) == (True, True)


async def test_a_corrected_policy_retries_a_request_that_is_reconciled_before_the_others_are_looked_at(
    world: World,
) -> None:
    """A policy with thousands of certificates is looked at in parts."""
    declare(world, 3, notify=[RA])
    refused = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the registration authority")
    world.refuses = lambda what: refused if what.startswith("MAIL Waiting/notify") else None
    await world.run_until(lambda: len(told_false(world)) == 3)
    await world.let_pass(30.0)
    world.refuses = lambda _: None
    policies = cast("Any", world.process.engine.reconcilers["CertificatePolicy"])
    policies._loop_budget = SimpleNamespace(yield_if_spent=lambda: asyncio.sleep(1.0))
    world.edit(POLICY, alerts={**world.server.objects[POLICY]["spec"]["alerts"], "runbookURL": "https://run.example"})
    await world.run_until(lambda: notified(world) == {("True", "Sent")}, 15.0)


async def test_a_message_that_failed_in_an_outage_of_the_api_server_is_sent_when_it_ends(world: World) -> None:
    """By then its retries are minutes apart."""
    declare(world, MANY)
    await world.run_until(lambda: all(one.get("state") == "AwaitingApproval" for one in requests(world)))

    def away(path: str) -> float:
        if "/certificaterenewals/" in path:
            raise OUTAGE
        return 0.0

    world.read_seconds = away
    await world.let_pass(240.0)
    assert (world.digests, world.posts) == ([], [])
    world.read_seconds = lambda _: 0.0
    world.process.engine.recovery.api_answers("", refused=False)
    await world.run_until(lambda: told(world, WAITING) == MANY, 15.0)
    assert (world.posts, len(world.digests)) == ([], 1)


def declare_two_policies(world: World, **of_the_second: Any) -> None:
    """Fifteen certificates each, with one address in `notify` of both."""
    declare(world, 30, notify=[RA])
    spec = world.server.objects[POLICY]["spec"]
    world.server.put(SECOND_POLICY, spec={**spec, "renewal": {**spec["renewal"], **of_the_second}})
    for number in range(15, 30):
        world.edit(f"{OURS}/clientcertificates/{name_of(number)}", policyRef={"name": "second"})


async def test_an_address_of_two_policies_gets_one_letter(world: World) -> None:
    """The team's channel of each policy has few, so they are single posts."""
    declare_two_policies(world)
    await world.run_until(lambda: told(world, "Waiting/notify") == 30 and told(world, WAITING) == 30)
    await world.let_pass(60.0)
    [letter] = [each.letter for each in world.mails if each.notice.startswith("Waiting/notify")]
    assert letter.subject.startswith("30 requests for renewals wait for approval")
    assert (len(world.posts), world.digests) == (30, [])
    world.set_clock(DAY)
    await world.run_until(lambda: sum(each.notice.startswith("Waiting/notify") for each in world.mails) == 2)


async def test_a_letter_has_no_requests_of_a_policy_that_names_another_person_to_call(world: World) -> None:
    """It names one. With fifteen requests each, both are few."""
    declare_two_policies(world, callIfUnauthorised="another@gov.example")
    await world.run_until(lambda: told(world, "Waiting/notify") == 30)
    assert sum(each.notice.startswith("Waiting/notify") for each in world.mails) == 30


async def test_a_letter_to_an_address_of_two_policies_is_retried_when_one_is_corrected(world: World) -> None:
    declare_two_policies(world)
    refused = DeliveryError(Reason.RECIPIENT_REFUSED, "the mail server refused the registration authority")
    world.refuses = lambda what: refused if what.startswith("MAIL Waiting/notify") else None
    await world.run_until(lambda: len(told_false(world)) == 30)
    world.refuses = lambda _: None
    spec = world.server.objects[SECOND_POLICY]["spec"]
    world.edit(SECOND_POLICY, renewal={**spec["renewal"], "validityDays": 100})
    await world.run_until(lambda: told(world, "Waiting/notify") == 30, 30.0)
    assert sum(each.notice.startswith("Waiting/notify") for each in world.mails) == 1
