"""One message at a time for each place, the most urgent first, and none while it asks for a rest."""

import asyncio
from datetime import timedelta

import pytest

from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.backoff import Backoff
from clientcert.lifecycle.spec import ObjectKey
from clientcert.workqueue.work_queue import Item
from tests.builders import NOW

PLACE, OTHER = "#team", "#other"


def key(number):
    return Item("ClientCertificate", ObjectKey("team", f"c{number}"))


class Enqueued(list):
    """Plays the work queue: notes what is enqueued."""

    def enqueue(self, item, urgency):
        assert urgency == (NOW + timedelta(days=int(item.key.name[1:]))).timestamp()
        self.append(item)


def urgency(number, held_up=0):
    return held_up, NOW + timedelta(days=number)


@pytest.fixture
def enqueued():
    return Enqueued()


@pytest.fixture
def limiter(enqueued):
    return ChannelRateLimiter(enqueued)


async def test_a_free_place_takes_the_first_at_once(limiter):
    assert limiter.acquire(PLACE, key(1), urgency(1), 1.0)


async def test_the_most_urgent_is_next(limiter, enqueued):
    """Whoever came first is not it: the one that expires next is."""
    assert limiter.acquire(PLACE, key(0), urgency(0), 0.1)
    for number in (3, 1, 2):
        assert not limiter.acquire(PLACE, key(number), urgency(number), 0.1)
    for number in (1, 2, 3):
        await asyncio.sleep(0.12)
        assert enqueued.pop() == key(number)
        assert limiter.acquire(PLACE, key(number), urgency(number), 0.1)
    assert enqueued == []


async def test_nobody_overtakes_the_one_whose_turn_it_is(limiter, enqueued):
    assert limiter.acquire(PLACE, key(0), urgency(0), 0.05)
    assert not limiter.acquire(PLACE, key(1), urgency(1), 0.05)
    await asyncio.sleep(0.1)
    assert not limiter.acquire(PLACE, key(9), urgency(-9), 0.05)
    assert limiter.acquire(PLACE, key(1), urgency(1), 0.05)


async def test_one_place_does_not_slow_another(limiter):
    assert limiter.acquire(PLACE, key(0), urgency(0), 60)
    assert not limiter.acquire(PLACE, key(1), urgency(1), 60)
    assert limiter.acquire(OTHER, key(1), urgency(1), 60)


async def test_a_place_that_asks_for_a_rest_has_it(limiter, enqueued):
    """429 with Retry-After: nobody is enqueued before it is over, and then the most urgent is."""
    assert limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    limiter.back_off(PLACE, 0.3)
    assert not limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    assert not limiter.acquire(PLACE, key(-1), urgency(-1), 0.01)
    await asyncio.sleep(0.2)
    assert enqueued == []
    await asyncio.sleep(0.15)
    assert enqueued == [key(-1)]


async def test_rests_grow_until_it_is_well(enqueued):
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(0.4, 300.0))
    limiter.back_off(PLACE, None)
    limiter.back_off(PLACE, None)
    assert not limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    await asyncio.sleep(0.5)
    assert enqueued == []
    await asyncio.sleep(0.5)
    assert enqueued == [key(0)]


async def test_a_turn_that_nobody_takes_goes_on(enqueued):
    """An object that was deleted while it queued holds up nobody."""
    limiter = ChannelRateLimiter(enqueued, slot=0.1)
    assert limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    assert not limiter.acquire(PLACE, key(1), urgency(1), 0.01)
    assert not limiter.acquire(PLACE, key(2), urgency(2), 0.01)
    await asyncio.sleep(0.25)
    assert enqueued == [key(1), key(2)]
    assert limiter.acquire(PLACE, key(2), urgency(2), 0.01)


async def test_a_turn_that_is_not_wanted_is_passed_on_at_once(limiter, enqueued):
    """What was overtaken by events while it queued owes nothing any more, and costs the others no time."""
    assert limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    assert not limiter.acquire(PLACE, key(1), urgency(1), 0.01)
    assert not limiter.acquire(PLACE, key(2), urgency(2), 0.01)
    await asyncio.sleep(0.02)
    assert enqueued == [key(1)]
    limiter.release_unused(key(1))
    await asyncio.sleep(0.02)
    assert enqueued == [key(1), key(2)]


async def test_a_mended_place_is_tried_at_once(enqueued):
    """A long outage has made rests long; whoever waits there has new credentials, and need not wait for the end."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(60, 300.0))
    limiter.back_off(PLACE, None)
    limiter.back_off(OTHER, None)
    assert not limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    assert not limiter.acquire(OTHER, key(1), urgency(1), 0.01)
    assert (limiter.waiting, limiter.waiting_for_recovery) == (0, 2)
    limiter.retry_now([key(0)])
    await asyncio.sleep(0.02)
    assert enqueued == [key(0)]
    assert limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    assert not limiter.acquire(OTHER, key(1), urgency(1), 0.01)


async def test_a_place_that_nobody_uses_any_more_is_forgotten(enqueued):
    """Else one of them would stay for every channel that there ever was."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(0.2, 0.5))
    assert limiter.acquire(PLACE, key(0), urgency(0), 0.2)
    assert limiter.acquire(OTHER, key(1), urgency(1), 0.2)
    limiter.back_off(OTHER, None)
    assert not limiter.acquire(PLACE, key(2), urgency(2), 0.2)
    await asyncio.sleep(0.4)
    limiter.release_unused(key(2))
    await asyncio.sleep(0.1)
    assert list(limiter._channels) == [OTHER]
    await asyncio.sleep(1.0)
    assert limiter._channels == {}


async def test_a_rest_is_remembered_while_its_message_is_under_way(enqueued):
    """A send may take longer than a message fills the place: its failure is still one more."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(0.05, 300.0))
    limiter.back_off(PLACE, None)
    assert not limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    await asyncio.sleep(0.07)
    assert limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    await asyncio.sleep(0.05)
    limiter.back_off(PLACE, None)
    assert not limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    await asyncio.sleep(0.07)
    assert enqueued == [key(0)]
    await asyncio.sleep(0.05)
    assert enqueued == [key(0), key(0)]


async def test_a_message_fills_its_place_from_when_it_was_taken(limiter, enqueued):
    """However long it was on its way: two that arrive must be so far apart, not two that left."""
    assert limiter.acquire(PLACE, key(0), urgency(0), 0.6)
    assert not limiter.acquire(PLACE, key(1), urgency(1), 0.6)
    await asyncio.sleep(0.3)
    limiter.succeeded(PLACE, 0.6)
    await asyncio.sleep(0.35)
    assert enqueued == []
    await asyncio.sleep(0.35)
    assert enqueued == [key(1)]


async def test_one_that_has_held_up_the_others_goes_behind_them(limiter, enqueued):
    """However urgent it is: what always fails would otherwise be the first for ever."""
    limiter.back_off(PLACE, 0.05)
    assert not limiter.acquire(PLACE, key(0), urgency(0, held_up=1), 0.01)
    assert not limiter.acquire(PLACE, key(9), urgency(9), 0.01)
    await asyncio.sleep(0.08)
    assert enqueued == [key(9)]


async def test_a_mended_place_has_the_rest_that_it_asked_for(enqueued):
    """New credentials are no reason to break a Retry-After."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(60, 300.0))
    limiter.back_off(PLACE, None)
    limiter.back_off(PLACE, 0.3)
    assert not limiter.acquire(PLACE, key(0), urgency(0), 0.01)
    limiter.retry_now([key(0)])
    await asyncio.sleep(0.1)
    assert enqueued == []
    await asyncio.sleep(0.25)
    assert enqueued == [key(0)]


async def test_a_rest_of_no_time_is_one_like_any_other(enqueued):
    """`Retry-After: 0` says nothing that could be waited for."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(0.2, 300.0))
    limiter.back_off(PLACE, 0.0)
    assert not limiter.acquire(PLACE, key(0), urgency(0), 0.01)
