"""One message at a time for each place, the most urgent first, and none while it asks for a rest."""

import asyncio
from datetime import timedelta

import pytest

from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import NOW

PLACE, OTHER = "#team", "#other"


def key(number):
    return ObjectKey("team", f"c{number}")


def urgency(number, held_up=0):
    return held_up, NOW + timedelta(days=number)


@pytest.fixture
def woken():
    return []


@pytest.fixture
def pacer(woken):
    return ChannelRateLimiter(woken.append)


async def test_a_free_place_takes_the_first_at_once(pacer):
    assert pacer.may_send(PLACE, key(1), urgency(1), 1.0)


async def test_the_most_urgent_is_next(pacer, woken):
    """Whoever came first is not it: the one that expires next is."""
    assert pacer.may_send(PLACE, key(0), urgency(0), 0.1)
    for number in (3, 1, 2):
        assert not pacer.may_send(PLACE, key(number), urgency(number), 0.1)
    for number in (1, 2, 3):
        await asyncio.sleep(0.12)
        assert woken.pop() == key(number)
        assert pacer.may_send(PLACE, key(number), urgency(number), 0.1)
    assert woken == []


async def test_nobody_overtakes_the_one_whose_turn_it_is(pacer, woken):
    assert pacer.may_send(PLACE, key(0), urgency(0), 0.05)
    assert not pacer.may_send(PLACE, key(1), urgency(1), 0.05)
    await asyncio.sleep(0.1)
    assert not pacer.may_send(PLACE, key(9), urgency(-9), 0.05)
    assert pacer.may_send(PLACE, key(1), urgency(1), 0.05)


async def test_one_place_does_not_slow_another(pacer):
    assert pacer.may_send(PLACE, key(0), urgency(0), 60)
    assert not pacer.may_send(PLACE, key(1), urgency(1), 60)
    assert pacer.may_send(OTHER, key(1), urgency(1), 60)


async def test_a_place_that_asks_for_a_rest_has_it(pacer, woken):
    """429 with Retry-After: nobody is woken before it is over, and then the most urgent is."""
    assert pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    pacer.rest(PLACE, 0.3)
    assert not pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    assert not pacer.may_send(PLACE, key(-1), urgency(-1), 0.01)
    await asyncio.sleep(0.2)
    assert woken == []
    await asyncio.sleep(0.15)
    assert woken == [key(-1)]


async def test_rests_grow_until_it_is_well(woken):
    pacer = ChannelRateLimiter(woken.append, first_rest=0.4)
    pacer.rest(PLACE, None)
    pacer.rest(PLACE, None)
    assert not pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    await asyncio.sleep(0.5)
    assert woken == []
    await asyncio.sleep(0.5)
    assert woken == [key(0)]


async def test_a_turn_that_nobody_takes_goes_on(woken):
    """An object that was deleted while it queued holds up nobody."""
    pacer = ChannelRateLimiter(woken.append, turn=0.1)
    assert pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    assert not pacer.may_send(PLACE, key(1), urgency(1), 0.01)
    assert not pacer.may_send(PLACE, key(2), urgency(2), 0.01)
    await asyncio.sleep(0.25)
    assert woken == [key(1), key(2)]
    assert pacer.may_send(PLACE, key(2), urgency(2), 0.01)


async def test_a_turn_that_is_not_wanted_is_passed_on_at_once(pacer, woken):
    """What was overtaken by events while it queued owes nothing any more, and costs the others no time."""
    assert pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    assert not pacer.may_send(PLACE, key(1), urgency(1), 0.01)
    assert not pacer.may_send(PLACE, key(2), urgency(2), 0.01)
    await asyncio.sleep(0.02)
    assert woken == [key(1)]
    pacer.pass_on(key(1))
    await asyncio.sleep(0.02)
    assert woken == [key(1), key(2)]


async def test_a_mended_place_is_tried_at_once(woken):
    """A long outage has made rests long; whoever waits there has new credentials, and need not wait for the end."""
    pacer = ChannelRateLimiter(woken.append, first_rest=60)
    pacer.rest(PLACE, None)
    pacer.rest(OTHER, None)
    assert not pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    assert not pacer.may_send(OTHER, key(1), urgency(1), 0.01)
    assert (pacer.waiting, pacer.waiting_for_recovery) == (0, 2)
    pacer.mended(key(0))
    await asyncio.sleep(0.02)
    assert woken == [key(0)]
    assert pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    assert not pacer.may_send(OTHER, key(1), urgency(1), 0.01)


async def test_a_place_that_nobody_uses_any_more_is_forgotten(woken):
    """Else one of them would stay for every channel that there ever was."""
    pacer = ChannelRateLimiter(woken.append, first_rest=0.2, longest_rest=0.5)
    assert pacer.may_send(PLACE, key(0), urgency(0), 0.2)
    assert pacer.may_send(OTHER, key(1), urgency(1), 0.2)
    pacer.rest(OTHER, None)
    assert not pacer.may_send(PLACE, key(2), urgency(2), 0.2)
    await asyncio.sleep(0.4)
    pacer.pass_on(key(2))
    await asyncio.sleep(0.1)
    assert list(pacer._places) == [OTHER]
    await asyncio.sleep(1.0)
    assert pacer._places == {}


async def test_a_rest_is_remembered_while_its_message_is_under_way(woken):
    """A send may take longer than a message fills the place: its failure is still one more."""
    pacer = ChannelRateLimiter(woken.append, first_rest=0.05)
    pacer.rest(PLACE, None)
    assert not pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    await asyncio.sleep(0.07)
    assert pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    await asyncio.sleep(0.05)
    pacer.rest(PLACE, None)
    assert not pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    await asyncio.sleep(0.07)
    assert woken == [key(0)]
    await asyncio.sleep(0.05)
    assert woken == [key(0), key(0)]


async def test_a_message_fills_its_place_from_when_it_was_taken(pacer, woken):
    """However long it was on its way: two that arrive must be so far apart, not two that left."""
    assert pacer.may_send(PLACE, key(0), urgency(0), 0.6)
    assert not pacer.may_send(PLACE, key(1), urgency(1), 0.6)
    await asyncio.sleep(0.3)
    pacer.well(PLACE, 0.6)
    await asyncio.sleep(0.35)
    assert woken == []
    await asyncio.sleep(0.35)
    assert woken == [key(1)]


async def test_one_that_has_held_up_the_others_goes_behind_them(pacer, woken):
    """However urgent it is: what always fails would otherwise be the first for ever."""
    pacer.rest(PLACE, 0.05)
    assert not pacer.may_send(PLACE, key(0), urgency(0, held_up=1), 0.01)
    assert not pacer.may_send(PLACE, key(9), urgency(9), 0.01)
    await asyncio.sleep(0.08)
    assert woken == [key(9)]


async def test_a_mended_place_has_the_rest_that_it_asked_for(woken):
    """New credentials are no reason to break a Retry-After."""
    pacer = ChannelRateLimiter(woken.append, first_rest=60)
    pacer.rest(PLACE, None)
    pacer.rest(PLACE, 0.3)
    assert not pacer.may_send(PLACE, key(0), urgency(0), 0.01)
    pacer.mended(key(0))
    await asyncio.sleep(0.1)
    assert woken == []
    await asyncio.sleep(0.25)
    assert woken == [key(0)]


async def test_a_rest_of_no_time_is_one_like_any_other(woken):
    """`Retry-After: 0` says nothing that could be waited for."""
    pacer = ChannelRateLimiter(woken.append, first_rest=0.2)
    pacer.rest(PLACE, 0.0)
    assert not pacer.may_send(PLACE, key(0), urgency(0), 0.01)
