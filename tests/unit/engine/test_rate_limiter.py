"""One message at a time for each limit key, the most urgent first, and none during a requested pause."""

import asyncio
from datetime import timedelta

import pytest

from clientcert.alerting.rate_limiter import IN_FLIGHT, ChannelRateLimiter
from clientcert.backoff import Backoff
from clientcert.lifecycle.spec import ObjectKey
from clientcert.notifiers.interface import Pace
from clientcert.workqueue.work_queue import Item
from tests.builders import NOW

PLACE, OTHER = "#team", "#other"


def pace(place, seconds=0.01, destination=""):
    return Pace(place, seconds, destination)


def key(number):
    return Item("ClientCertificate", ObjectKey("team", f"c{number}"))


class RecordingQueue(list):
    """A fake work queue that records the enqueued items."""

    def enqueue(self, item, urgency):
        assert urgency == (NOW + timedelta(days=int(item.key.name[1:]))).timestamp()
        self.append(item)

    def enqueue_all(self, items):
        self.extend(items)


def urgency(number, held_up=0):
    return held_up, NOW + timedelta(days=number)


@pytest.fixture
def enqueued():
    return RecordingQueue()


@pytest.fixture
def limiter(enqueued):
    return ChannelRateLimiter(enqueued)


async def test_a_free_channel_takes_the_first_message_at_once(limiter):
    assert limiter.acquire(pace(PLACE, 1.0), key(1), urgency(1))


async def test_the_most_urgent_message_is_next(limiter, enqueued):
    """Urgency counts, not the order of arrival: the certificate that expires next is first."""
    assert limiter.acquire(pace(PLACE, 0.1), key(0), urgency(0))
    for number in (3, 1, 2):
        assert not limiter.acquire(pace(PLACE, 0.1), key(number), urgency(number))
    for number in (1, 2, 3):
        await asyncio.sleep(0.12)
        assert enqueued.pop() == key(number)
        assert limiter.acquire(pace(PLACE, 0.1), key(number), urgency(number))
    assert enqueued == []


async def test_no_message_overtakes_the_one_that_holds_the_slot(limiter, enqueued):
    assert limiter.acquire(pace(PLACE, 0.05), key(0), urgency(0))
    assert not limiter.acquire(pace(PLACE, 0.05), key(1), urgency(1))
    await asyncio.sleep(0.1)
    assert not limiter.acquire(pace(PLACE, 0.05), key(9), urgency(-9))
    assert limiter.acquire(pace(PLACE, 0.05), key(1), urgency(1))


async def test_one_channel_does_not_slow_another(limiter):
    assert limiter.acquire(pace(PLACE, 60), key(0), urgency(0))
    assert not limiter.acquire(pace(PLACE, 60), key(1), urgency(1))
    assert limiter.acquire(pace(OTHER, 60), key(1), urgency(1))


async def test_retry_after_pauses_a_channel(limiter, enqueued):
    """429 with Retry-After: nothing is enqueued before its end, and then the most urgent is."""
    assert limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    limiter.back_off(pace(PLACE), key(0), 0.3)
    assert not limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    assert not limiter.acquire(pace(PLACE, 0.01), key(-1), urgency(-1))
    await asyncio.sleep(0.2)
    assert enqueued == []
    await asyncio.sleep(0.15)
    assert enqueued == [key(-1)]


async def test_the_backoff_grows_until_the_channel_recovers(enqueued):
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(0.4, 300.0))
    limiter.back_off(pace(PLACE), key(0), None)
    limiter.back_off(pace(PLACE), key(0), None)
    assert not limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    await asyncio.sleep(0.5)
    assert enqueued == []
    await asyncio.sleep(0.5)
    assert enqueued == [key(0)]


async def test_an_unused_slot_is_passed_on(enqueued):
    """A deleted object does not block the others."""
    limiter = ChannelRateLimiter(enqueued, slot=0.1)
    assert limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    assert not limiter.acquire(pace(PLACE, 0.01), key(1), urgency(1))
    assert not limiter.acquire(pace(PLACE, 0.01), key(2), urgency(2))
    await asyncio.sleep(0.25)
    assert enqueued == [key(1), key(2)]
    assert limiter.acquire(pace(PLACE, 0.01), key(2), urgency(2))


async def test_a_released_slot_is_passed_on_at_once(limiter, enqueued):
    """An item that needs no message any more releases its slot, and delays no other."""
    assert limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    assert not limiter.acquire(pace(PLACE, 0.01), key(1), urgency(1))
    assert not limiter.acquire(pace(PLACE, 0.01), key(2), urgency(2))
    await asyncio.sleep(0.02)
    assert enqueued == [key(1)]
    limiter.release_unused(key(1))
    await asyncio.sleep(0.02)
    assert enqueued == [key(1), key(2)]


async def test_a_fixed_channel_is_tried_at_once(enqueued):
    """A long outage has made the pauses long; with new credentials there is no need to wait for the end."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(60, 300.0))
    limiter.back_off(pace(PLACE), key(0), None)
    limiter.back_off(pace(OTHER), key(0), None)
    assert not limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    assert not limiter.acquire(pace(OTHER, 0.01), key(1), urgency(1))
    assert (limiter.waiting, limiter.waiting_for_recovery) == (0, 2)
    limiter.retry_now({key(0).key})
    await asyncio.sleep(0.02)
    assert enqueued == [key(0)]
    assert limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    assert not limiter.acquire(pace(OTHER, 0.01), key(1), urgency(1))


async def test_an_unused_channel_is_forgotten(enqueued):
    """Otherwise the state of every channel that ever existed would be kept."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(0.2, 0.5))
    assert limiter.acquire(pace(PLACE, 0.2), key(0), urgency(0))
    assert limiter.acquire(pace(OTHER, 0.2), key(1), urgency(1))
    limiter.back_off(pace(OTHER), key(1), None)
    for place, number in ((PLACE, 0), (OTHER, 1)):
        limiter.finished(pace(place, 0.2), key(number), accepted=False)
    assert not limiter.acquire(pace(PLACE, 0.2), key(2), urgency(2))
    await asyncio.sleep(0.4)
    limiter.release_unused(key(2))
    await asyncio.sleep(0.1)
    assert list(limiter._channels) == [OTHER]
    await asyncio.sleep(1.0)
    assert limiter._channels == {}


async def test_the_backoff_is_kept_while_a_message_is_in_flight(enqueued):
    """A send may take longer than the slot of a message: its failure still extends the backoff."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(0.05, 300.0))
    limiter.back_off(pace(PLACE), key(0), None)
    assert not limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    await asyncio.sleep(0.07)
    assert limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    await asyncio.sleep(0.05)
    limiter.back_off(pace(PLACE), key(0), None)
    assert not limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    await asyncio.sleep(0.07)
    assert enqueued == [key(0)]
    await asyncio.sleep(0.05)
    assert enqueued == [key(0), key(0)]


async def test_the_interval_counts_from_the_delivery(limiter, enqueued):
    """However long it was in flight: the interval is between arrivals, not between starts."""
    assert limiter.acquire(pace(PLACE, 0.6), key(0), urgency(0))
    assert not limiter.acquire(pace(PLACE, 0.6), key(1), urgency(1))
    await asyncio.sleep(0.3)
    limiter.finished(pace(PLACE, 0.6), key(0), accepted=True)
    await asyncio.sleep(0.35)
    assert enqueued == []
    await asyncio.sleep(0.35)
    assert enqueued == [key(1)]


async def test_a_message_that_keeps_failing_goes_behind_the_others(limiter, enqueued):
    """However urgent it is; otherwise a message that always fails would always be first."""
    limiter.back_off(pace(PLACE), key(0), 0.05)
    assert not limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0, held_up=1))
    assert not limiter.acquire(pace(PLACE, 0.01), key(9), urgency(9))
    await asyncio.sleep(0.08)
    assert enqueued == [key(9)]


async def test_a_fixed_channel_still_observes_its_retry_after(enqueued):
    """New credentials do not cancel a Retry-After."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(60, 300.0))
    limiter.back_off(pace(PLACE), key(0), None)
    limiter.back_off(pace(PLACE), key(0), 0.3)
    assert not limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))
    limiter.retry_now({key(0).key})
    await asyncio.sleep(0.1)
    assert enqueued == []
    await asyncio.sleep(0.25)
    assert enqueued == [key(0)]


async def test_a_retry_after_of_zero_uses_the_backoff(enqueued):
    """`Retry-After: 0` gives no time to wait, so the own backoff applies."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(0.2, 300.0))
    limiter.back_off(pace(PLACE), key(0), 0.0)
    assert not limiter.acquire(pace(PLACE, 0.01), key(0), urgency(0))


def of(namespace, number=0):
    return Item("ClientCertificate", ObjectKey(namespace, f"c{number}"))


async def test_namespaces_take_turns(limiter, enqueued):
    """However urgent the messages of one of them are."""
    assert limiter.acquire(pace(PLACE), of("greedy"), urgency(0))
    for number in range(5):
        assert not limiter.acquire(pace(PLACE), of("greedy", number + 1), urgency(number + 1))
    assert not limiter.acquire(pace(PLACE), of("modest", 9), urgency(9))
    for _ in range(4):
        await asyncio.sleep(0.02)
        assert limiter.acquire(pace(PLACE), enqueued[-1], urgency(0))
    assert [item.key.namespace for item in enqueued] == ["greedy", "modest", "greedy", "greedy"]


async def test_messages_of_one_namespace_in_flight_leave_room_for_others(limiter, enqueued):
    """The receiver takes long for each: half of the places remain, until one of the messages is finished."""
    asked = {number: limiter.acquire(pace(PLACE, 0), of("greedy", number), urgency(number)) for number in range(30)}
    sent = [number for number, may_go in asked.items() if may_go]
    assert sent == list(range(IN_FLIGHT // 2))
    assert limiter.acquire(pace(PLACE, 0), of("modest"), urgency(0))
    limiter.finished(pace(PLACE, 0), of("modest"), accepted=True)
    assert enqueued == []
    limiter.finished(pace(PLACE, 0), of("greedy"), accepted=True)
    assert enqueued == [of("greedy", IN_FLIGHT // 2)]


async def test_a_message_that_was_cancelled_before_it_began_leaves_its_place(limiter, enqueued):
    """Nothing says that it was finished: after a minute the place is free again."""
    for number in range(IN_FLIGHT // 2):
        assert limiter.acquire(pace(PLACE, 0), of("team", number), urgency(0))
    assert not limiter.acquire(pace(PLACE, 0), of("team", 20), urgency(20))
    await asyncio.sleep(50)
    assert enqueued == []
    await asyncio.sleep(20)
    assert of("team", 20) in enqueued


async def test_one_message_is_tried_after_a_failure(enqueued):
    """Those behind it wait for its result, however long it is in flight, and are sent as soon as it is accepted."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(1, 300.0))
    assert limiter.acquire(pace(PLACE), key(0), urgency(0))
    limiter.back_off(pace(PLACE), key(0), None)
    limiter.finished(pace(PLACE), key(0), accepted=False)
    for number in (1, 2):
        assert not limiter.acquire(pace(PLACE), key(number), urgency(number))
    await asyncio.sleep(1.1)
    assert limiter.acquire(pace(PLACE), key(1), urgency(1))
    await asyncio.sleep(9)
    assert enqueued == [key(1)]
    limiter.finished(pace(PLACE), key(1), accepted=True)
    await asyncio.sleep(0.05)
    assert enqueued == [key(1), key(2)]


async def test_failures_of_messages_in_flight_together_count_once(enqueued):
    """Ten of them at once would make the pause ten times as long as it was meant."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(2, 300.0))
    for number in range(8):
        assert limiter.acquire(pace(PLACE, 0), key(number), urgency(number))
    await asyncio.sleep(5)
    for number in range(8):
        limiter.back_off(pace(PLACE, 0), key(number), None)
        limiter.finished(pace(PLACE, 0), key(number), accepted=False)
    assert not limiter.acquire(pace(PLACE, 0), key(9), urgency(9))
    await asyncio.sleep(2.1)
    assert enqueued == [key(9)]


async def test_a_change_in_one_namespace_tries_no_channel_of_others(enqueued):
    """The mail server is not the tenant's, and a tenant may change its policy as often as it likes."""
    limiter = ChannelRateLimiter(enqueued, backoff=Backoff(60, 300.0))
    limiter.back_off(pace(PLACE), of("team"), None)
    assert not limiter.acquire(pace(PLACE), of("team", 1), urgency(1))
    assert not limiter.acquire(pace(PLACE), of("other", 2), urgency(2))
    limiter.retry_now({of("team", 1).key})
    await asyncio.sleep(1)
    assert enqueued == []


async def test_two_destinations_of_one_item_are_two_messages(limiter, enqueued):
    """A letter to the technical and one to the business contact: one domain rests, the other does not."""
    limiter.back_off(pace(PLACE, destination="full.example"), key(0), None, of_part=True)
    assert not limiter.acquire(pace(PLACE, destination="full.example"), key(1), urgency(1))
    assert limiter.acquire(pace(PLACE, destination="quick.example"), key(1), urgency(1))


async def test_what_waits_is_counted_by_receiver(limiter):
    """The first element of the limit key is the type of the channel."""
    mail = ("Email", "smtp.example", 587)
    assert limiter.acquire(pace(mail, 60), key(0), urgency(0))
    for number in (1, 2):
        assert not limiter.acquire(pace(mail, 60), key(number), urgency(number))
        await asyncio.sleep(10)
    assert (limiter.waiting_for("Email"), limiter.oldest_wait("Email")) == (2, pytest.approx(20))
    assert (limiter.waiting_for("Slack"), limiter.oldest_wait("Slack")) == (0, 0)


async def test_a_message_whose_turn_comes_while_the_limiter_looks_does_not_wait_for_longer(limiter, enqueued) -> None:
    """The clock passes the end of the interval between two of its readings; the next look must not be in a minute."""
    loop, place = asyncio.get_running_loop(), pace(PLACE, 1)
    assert limiter.acquire(place, key(1), urgency(1))
    ready = loop.time() + 1
    assert not limiter.acquire(place, key(2), urgency(2))
    assert not limiter.acquire(place, key(3), urgency(3))
    moments = iter([ready - 1e-6, *[ready + 1e-6] * 100])
    loop.time = lambda: next(moments)
    limiter.finished(place, key(1), accepted=False)
    del loop.time
    await asyncio.sleep(1.1)
    assert enqueued == [key(2)]
