"""Thousands of requests about one certificate: a look-up sees a few of them, so each reconcile costs what it did."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from clientcert.cache.renewal_records import RenewalRecord
from clientcert.cache.renewals import RENEWAL, RenewalCache
from clientcert.cache.request_index import RequestIndex
from clientcert.controllers.certificate_renewal.refusals import Refusals
from clientcert.lifecycle.renewal.due_notices import WAITING_TOLD
from clientcert.lifecycle.renewal.status import FINAL, State
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import DAY, NOW
from tests.instructions import steps

NHS, MANY = ObjectKey("team", "nhs"), 5000
SECOND = timedelta(seconds=1)


def record(number: int, state: State = State.REFUSED, *, of: ObjectKey = NHS, **summary: Any) -> RenewalRecord:
    """A request; those with a higher number were made and ended later."""
    created = NOW - 100 * DAY + number * SECOND
    facts: dict[str, Any] = {
        "created": created,
        "mode": "Renew",
        "waits_for": "",
        "old_serial": 0xABC,
        "new_serial": None,
        "delivered": None,
        "mailed": False,
        "ended": created + DAY if state in FINAL else None,
        "declared_hash": "",
        "reason": "KeyAllowed",
    }
    name = f"{of.name}-{number:05}"
    return RenewalRecord(
        key=ObjectKey(of.namespace, name),
        uid=name,
        state=state,
        resource_version="1",
        generation=1,
        certificate=of.name,
        problem="",
        status_hash=b"",
        **(facts | summary),
    )


def filled(records: Iterable[RenewalRecord]) -> RequestIndex:
    index = RequestIndex()
    for each in records:
        index.put(each)
    return index


def mixed(count: int) -> list[RenewalRecord]:
    """Of each kind."""
    kinds: list[dict[str, Any]] = [
        {},
        {"state": State.AWAITING_APPROVAL},
        {"state": State.WAITING},
        {"state": State.DONE, "delivered": NOW - DAY, "names_key": True},
        {"refusal_told": NOW - 2 * DAY},
    ]
    every = [record(number, **kinds[number % len(kinds)]) for number in range(count)]
    return [*every, *(record(number, of=ObjectKey("team", f"other-{number}")) for number in range(20))]


LOOK_UPS: dict[str, Callable[[RequestIndex, RenewalRecord], object]] = {
    "situation": lambda index, _: index.decisive(NHS),
    "waiting before": lambda index, it: index.waiting_before(it),
    "next to be told": lambda index, _: index.waiting_at(NHS, WAITING_TOLD - 1),
    "refusals told": lambda index, _: index.refusals_told(NHS, NOW - DAY),
    "last key": lambda index, it: index.last_with_key_before(it),
    "last refusal": lambda index, it: index.last_refusal_before(it),
    "a change": lambda index, it: index.put(replace(it, state=State.CHECKING)),
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_a_look_up_sees_a_few(name: str) -> None:
    """A hundred times as many requests cost a binary search of seven steps more."""

    def cost(count: int) -> int:
        every = mixed(count)
        index, newest = filled(every), every[count - 1]
        LOOK_UPS["last refusal"](index, newest)  # from then on they are kept in order
        return steps(lambda: LOOK_UPS[name](index, newest))

    few, many = cost(MANY // 100), cost(MANY)
    assert many < 3 * few + 500


def test_each_look_up_finds_what_a_scan_finds() -> None:
    """In any order of creation, refusal and removal."""
    chance = random.Random(7)
    states = (State.REFUSED, State.AWAITING_APPROVAL, State.DONE, State.CHECKING)
    for _ in range(200):
        index, every = RequestIndex(), dict[ObjectKey, RenewalRecord]()
        for _ in range(40):
            each = record(
                chance.randrange(20),
                chance.choice(states),
                old_serial=chance.choice((0xABC, 0xDEF, None)),
                delivered=chance.choice((None, NOW - chance.randrange(5) * DAY)),
                refusal_told=chance.choice((None, NOW - chance.randrange(5) * DAY)),
                names_key=chance.random() < 0.5,
                mode=chance.choice(("Renew", "Reissue")),
            )
            if each.ended:
                ended = NOW - chance.randrange(9) * DAY
                each = replace(each, ended=ended)
            if each.key in every and chance.random() < 0.3:
                index.remove(each.key)
                del every[each.key]
            else:
                index.put(each)
                every[each.key] = each
            it = chance.choice([*every.values(), each])
            assert_same(index, it, list(every.values()))


def assert_same(index: RequestIndex, it: RenewalRecord, every: list[RenewalRecord]) -> None:
    def age(each: RenewalRecord) -> tuple[datetime, str]:
        return each.created, each.key.name

    by_age = sorted(every, key=age)
    before = [each for each in by_age if age(each) < age(it)]
    named = [each for each in before if each.names_key and each.delivered]
    assert index.last_with_key_before(it) == (named[-1] if named else None)
    refused = [
        each.ended
        for each in before
        if each.state is State.REFUSED and each.ended and each.mode == "Renew"
        if each.old_serial == it.old_serial is not None
    ]
    assert index.last_refusal_before(it) == max(refused, default=None)
    waiting = [each for each in by_age if each.state is State.AWAITING_APPROVAL]
    assert index.waiting_before(it) == sum(age(each) < age(it) for each in waiting)
    assert index.waiting_at(NHS, 2) == (waiting[2].key if len(waiting) > 2 else None)
    since = NOW - 2 * DAY
    told = {each.key for each in every if each.refusal_told and each.refusal_told > since}
    assert set(index.refusals_told(NHS, since)) == told
    found = index.decisive(NHS)
    opened = [each for each in by_age if each.is_open]
    assert [each for each in found if each.is_open][:1] == opened[:1]
    ended = [each.ended for each in every if each.ended]
    assert max((each.ended for each in found if each.ended), default=None) == max(ended, default=None)
    delivered = [each.delivered for each in every if each.delivered]
    latest = max((each.delivered for each in found if each.delivered), default=None)
    assert latest == max(delivered, default=None)


def test_the_letters_of_a_day_are_counted_without_the_others() -> None:
    cache = RenewalCache(WorkQueue(lambda: NOW))
    refusals = Refusals(cache, lambda: NOW)
    for number in range(MANY):
        cache.index.put(record(number, refusal_told=NOW - timedelta(hours=1) if number < 2 else NOW - 2 * DAY))
    newest = record(MANY)
    cache.index.put(newest)
    refusals.begin(record(5))
    refusals.begin(newest)
    assert refusals.told_of_others(newest) == 3
    assert steps(lambda: refusals.told_of_others(newest)) < 3000
    refusals.end(record(5).key)
    assert refusals.told_of_others(newest) == 2


async def test_a_change_wakes_nobody_but_the_next_that_is_told() -> None:
    queue = WorkQueue(lambda: NOW)
    queue.open()
    cache = RenewalCache(queue)
    every = [record(number, State.AWAITING_APPROVAL) for number in range(WAITING_TOLD + 3)]
    for each in every:
        cache.index.put(each)
    cache.remove(every[0].key)
    taken = [await queue.take() for _ in range(queue.depth)]
    assert {item.key for item in taken if item and item.kind == RENEWAL} == {every[0].key, every[WAITING_TOLD].key}


def test_a_name_that_is_used_again_counts_for_one_certificate() -> None:
    """A request was deleted while its refusal was being told, and its name is that of one about another certificate."""
    cache = RenewalCache(WorkQueue(lambda: NOW))
    refusals, other = Refusals(cache, lambda: NOW), ObjectKey(NHS.namespace, "lab")
    before, about_it = record(1), record(2)
    refusals.begin(before)
    assert refusals.told_of_others(about_it) == 1
    again = replace(record(3, of=other), key=before.key)
    refusals.begin(again)
    assert (refusals.told_of_others(about_it), refusals.told_of_others(record(4, of=other))) == (0, 1)
    refusals.end(again.key)
    assert (refusals.told_of_others(about_it), refusals.told_of_others(record(4, of=other))) == (0, 0)


def test_serial_numbers_without_a_refusal_leave_nothing_behind() -> None:
    """The requester chooses the serial number."""
    index = filled([record(0)])
    for number in range(1, 100):
        asked = record(number, State.CHECKING, mode="Reissue", old_serial=number << 8)
        index.put(asked)
        assert index.last_refusal_before(asked) is None
        index.remove(asked.key)
    assert index._refusals == {}
