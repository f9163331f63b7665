"""Alerts that are due together are one message; an alert that is due alone is delayed only briefly."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clientcert.alerting.grouping import ALERT_GROUP, AlertGroups
from clientcert.alerting.groups import GROUP_WAIT_SECONDS, LONGEST_GROUP_SECONDS, MOST_SINGLE_MESSAGES
from clientcert.errors import Reason
from clientcert.lifecycle.delivery_log import DeliveryFailure, DueNotification, MessageKind
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import EmailAddress, Group
from clientcert.lifecycle.spec import HOST, Contact, ObjectKey, Person
from clientcert.workqueue.work_queue import Item, WorkQueue
from tests.builders import NOW, assessment, certificate, channel, declaration, evaluation, policy

TEAM = channel("team")
DUE = DueNotification(TEAM, MessageKind.ALERT, 14)
REFUSED = DeliveryFailure(Reason.CHANNEL_NOT_FOUND, "create it", True, NOW, 1, 1, None)


def key(number: int) -> ObjectKey:
    return ObjectKey("integration", f"c{number:03d}")


def about(number: int, days: float = 14, **changes: Any) -> Evaluation:
    """A certificate with a policy, whose name is a number."""
    found = evaluation(assessment(certificate(NOW + timedelta(days=days))), policy(TEAM), spec=declaration(policy="p"))
    return replace(found, key=key(number), **changes)


class Groups:
    """The groups of a policy with many certificates, and what they enqueue."""

    def __init__(self, certificates: int = 100) -> None:
        self.enqueued: list[ObjectKey] = []
        cache = SimpleNamespace(
            enqueue=self.enqueued.append,
            enqueue_all=self.enqueued.extend,
            count_certificates_of=lambda _: certificates,
        )
        self.queue = WorkQueue(self.clock)
        self.queue.open()
        self.groups = AlertGroups(cast("Any", cache), self.queue, frozenset({"Slack"}))

    @staticmethod
    def clock() -> datetime:
        return NOW + timedelta(seconds=asyncio.get_running_loop().time())

    def join(self, *numbers: int) -> list[bool]:
        """For each of these certificates, true if it sends its own message."""
        return [self.groups.admit(about(number, days=100 - number), DUE) for number in numbers]

    @property
    def group(self) -> ObjectKey:
        """The only group there is."""
        [found] = self.groups._groups
        return found


@pytest.fixture
async def all_groups() -> Groups:
    return Groups()


async def test_members_are_the_most_urgent_first(all_groups: Groups) -> None:
    """The group is an item of the queue, due when no certificate has joined for a while."""
    assert all_groups.join(3, 1, 2) == [False] * 3
    assert all_groups.groups.members(all_groups.group) == (key(3), key(2), key(1))
    assert all_groups.queue.scheduled_items() == (Item("AlertGroup", all_groups.group),)
    assert all_groups.queue.seconds_until_due() == pytest.approx(GROUP_WAIT_SECONDS, abs=0.01)


async def test_each_new_member_extends_the_wait(all_groups: Groups) -> None:
    for number in range(10):
        all_groups.join(number)
        await asyncio.sleep(GROUP_WAIT_SECONDS / 2)
    assert 0 < all_groups.groups.seconds_until_closed(all_groups.group) <= GROUP_WAIT_SECONDS / 2
    await asyncio.sleep(GROUP_WAIT_SECONDS)
    assert all_groups.groups.seconds_until_closed(all_groups.group) == 0


async def test_the_wait_of_a_group_is_limited(all_groups: Groups) -> None:
    began, number = asyncio.get_running_loop().time(), 0
    all_groups.join(0)
    while all_groups.groups.seconds_until_closed(all_groups.group):
        number += 1
        all_groups.join(number)
        await asyncio.sleep(GROUP_WAIT_SECONDS / 2)
    assert asyncio.get_running_loop().time() - began <= LONGEST_GROUP_SECONDS + GROUP_WAIT_SECONDS


async def test_members_of_a_small_group_send_their_own_messages(all_groups: Groups) -> None:
    """For a minute; others join another group meanwhile."""
    all_groups.join(0, 1)
    all_groups.groups.end(all_groups.group, alone=True)
    assert all_groups.enqueued == [key(0), key(1)]
    assert all_groups.join(0, 1, 2) == [True, True, False]
    await asyncio.sleep(61)
    assert all_groups.join(0) == [False]


async def test_a_certificate_that_joins_during_the_send_waits_for_its_end(all_groups: Groups) -> None:
    """Including one that is in the message: it joins no other group before the result is known."""
    all_groups.join(0, 1)
    all_groups.groups.begin_sending(all_groups.group, ())
    assert all_groups.join(0, 7) == [False, False]
    all_groups.groups.end(all_groups.group)
    assert all_groups.enqueued == [key(0), key(1), key(7)]
    assert all_groups.groups.waiting == 0


async def test_a_failure_worth_reporting_is_reported_by_each_member_once(all_groups: Groups) -> None:
    """Each status is written once, and not at each retry."""
    all_groups.join(0, 1)
    transient = replace(REFUSED, reason=Reason.CHANNEL_UNAVAILABLE, permanent=False)
    all_groups.groups.fail(all_groups.group, transient)
    assert (all_groups.enqueued, all_groups.groups.failure(about(0), DUE)) == ([], None)
    all_groups.groups.fail(all_groups.group, REFUSED)
    all_groups.groups.fail(all_groups.group, REFUSED)
    assert all_groups.enqueued == [key(0), key(1)]
    assert all_groups.groups.failure(about(0), DUE) == REFUSED


async def test_a_changed_policy_triggers_an_immediate_retry_of_a_failed_group(all_groups: Groups) -> None:
    all_groups.join(0, 1)
    all_groups.groups.fail(all_groups.group, REFUSED)
    [group] = all_groups.groups.retry_now(ObjectKey("integration", "p"))
    assert all_groups.groups.last_failure(all_groups.group) is None
    assert await all_groups.queue.take() == Item(ALERT_GROUP, group)
    assert all_groups.groups.retry_now(ObjectKey("integration", "other")) == ()


async def test_no_group_waits_for_a_deleted_certificate(all_groups: Groups) -> None:
    """And no state of it is kept."""
    all_groups.join(0, 1)
    all_groups.groups.leave(key(0))
    assert all_groups.groups.members(all_groups.group) == (key(1),)
    all_groups.groups.end(all_groups.group, alone=True)
    all_groups.groups.leave(key(1))
    assert all_groups.groups._alone == {}


@pytest.mark.parametrize(
    ("changes", "certificates"),
    [
        ({"policy": policy(TEAM, group=Group.NEVER)}, 100),
        ({}, MOST_SINGLE_MESSAGES),
        ({"policy": policy(TEAM, group=Group.BATCH)}, 100),
        ({"policy": policy(TEAM, group=Group.POLICY)}, 1),
    ],
    ids=["never", "a policy with few certificates", "by batch, and it has none", "alone in its policy"],
)
async def test_a_message_that_cannot_be_grouped_is_sent_at_once(changes: dict[str, Any], certificates: int) -> None:
    assert Groups(certificates).groups.admit(about(0, **changes), DUE)


async def test_a_closing_message_and_a_channel_without_digests_are_never_grouped(all_groups: Groups) -> None:
    assert all_groups.groups.admit(about(0), DueNotification(TEAM, MessageKind.CLOSING, None))
    event = replace(TEAM, type="Event", address=None)
    assert all_groups.groups.admit(about(0), DueNotification(event, MessageKind.ALERT, 14))


async def test_a_batch_letter_waits_longer_and_includes_certificates_that_are_not_due(all_groups: Groups) -> None:
    """The objects of a batch are created one after the other. The name of its item contains no personal data."""
    letters = replace(TEAM, type="Email", address=EmailAddress())
    contact = Contact(requester=Person("Ops", "ops@host.example"))
    spec = declaration(profile=HOST, batch="spring", contact=contact, policy="p")
    plan = policy(letters)
    due = DueNotification(letters, MessageKind.ALERT, 30)
    assert not all_groups.groups.admit(about(0, spec=spec, policy=plan), due)
    await asyncio.sleep(2 * GROUP_WAIT_SECONDS)
    all_groups.groups.notice(about(1, days=200, spec=spec, policy=plan))
    assert all_groups.groups.seconds_until_closed(all_groups.group) == pytest.approx(5 * GROUP_WAIT_SECONDS)
    assert all_groups.groups.members(all_groups.group) == (key(0),)
    assert "ops" not in str(all_groups.group)


async def test_each_policy_channel_and_batch_has_its_own_group(all_groups: Groups) -> None:
    """Each policy, channel and batch has its own group; a reference never leaves its namespace."""
    others = [about(1, spec=declaration(policy="q")), replace(about(2), key=ObjectKey("other", "c2"))]
    for found in (about(0), *others):
        assert not all_groups.groups.admit(found, DUE)
    assert len(all_groups.groups._groups) == 3
