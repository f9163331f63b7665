"""Who is due at once is told in one message; who is due alone waits for nobody for long."""

import asyncio
from datetime import datetime

from clientcert.alerting.grouping import AlertGroups
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import DAY, NOW

PLACE = "team"
SETTLE = 0.1


def key(number: int) -> ObjectKey:
    return ObjectKey("integration", f"c{number:03d}")


class Looks:
    """Plays the scheduler: whoever is woken asks again whether it may go."""

    def __init__(self, few: int = 3, longest: float = 60.0) -> None:
        self.gathering = AlertGroups(self.wake, settle=SETTLE, longest=longest)
        self.few = few
        self.until: dict[ObjectKey, datetime] = {}
        self.sent: list[tuple[ObjectKey, ...]] = []
        self.told: set[ObjectKey] = set()

    def look(self, who: ObjectKey, until: datetime = NOW) -> None:
        self.until.setdefault(who, until)
        self.gathering.judged(who, frozenset({PLACE}))
        if who in self.told:
            self.gathering.judged(who)
        elif self.gathering.may_go(PLACE, who, self.until[who], self.few):
            keys = self.gathering.take(PLACE, who)
            self.sent.append(keys)
            self.told.update(keys)
            self.gathering.done(PLACE, who)

    def wake(self, who: ObjectKey) -> None:
        asyncio.get_running_loop().call_soon(self.look, who)


async def test_many_are_one_message_and_the_most_urgent_sends_it() -> None:
    looks = Looks()
    for number in range(10):
        looks.look(key(number), NOW - number * DAY)
    assert looks.sent == []
    await asyncio.sleep(3 * SETTLE)
    assert looks.sent == [tuple(key(number) for number in reversed(range(10)))]
    assert looks.gathering.waiting == 0


async def test_a_few_are_messages_of_their_own() -> None:
    looks = Looks()
    for number in range(3):
        looks.look(key(number))
    await asyncio.sleep(3 * SETTLE)
    assert sorted(looks.sent) == [(key(number),) for number in range(3)]


async def test_one_before_many_does_not_make_them_single() -> None:
    """Who turned out to be few need not gather again; others do."""
    gathering = AlertGroups(lambda _: None, settle=SETTLE)
    assert not gathering.may_go(PLACE, key(0), NOW, 3)
    await asyncio.sleep(2 * SETTLE)
    assert gathering.may_go(PLACE, key(0), NOW, 3)
    assert not any(gathering.may_go(PLACE, key(number), NOW, 3) for number in range(1, 9))
    assert gathering.may_go(PLACE, key(0), NOW, 3)


async def test_who_comes_while_others_still_come_is_in_the_same_message() -> None:
    """Each that joins has the group wait a little longer."""
    looks = Looks()
    for number in range(10):
        looks.look(key(number))
        await asyncio.sleep(SETTLE / 2)
    assert looks.sent == []
    await asyncio.sleep(2 * SETTLE)
    assert [len(keys) for keys in looks.sent] == [10]


async def test_nobody_waits_for_ever_for_those_who_still_come() -> None:
    looks = Looks(longest=3 * SETTLE)
    for number in range(12):
        looks.look(key(number))
        await asyncio.sleep(SETTLE / 2)
    assert looks.sent
    await asyncio.sleep(4 * SETTLE)
    assert sorted(each for keys in looks.sent for each in keys) == [key(number) for number in range(12)]


async def test_who_comes_before_the_message_is_sent_is_in_it() -> None:
    """The one who speaks may have to wait for the place."""
    gathering = AlertGroups(lambda _: None, settle=SETTLE)
    for number in range(5):
        gathering.may_go(PLACE, key(number), NOW, 3)
    await asyncio.sleep(2 * SETTLE)
    assert not gathering.may_go(PLACE, key(7), NOW + DAY, 3)
    assert gathering.may_go(PLACE, key(0), NOW, 3)
    assert gathering.take(PLACE, key(0)) == (*(key(number) for number in range(5)), key(7))


async def test_another_speaks_when_the_first_is_owed_nothing_any_more() -> None:
    """Its certificate was replaced, or it is gone; the others are told all the same, and it is not spoken of."""
    woken: list[ObjectKey] = []
    gathering = AlertGroups(woken.append, settle=SETTLE)
    for number in range(6):
        gathering.may_go(PLACE, key(number), NOW + number * DAY, 3)
    await asyncio.sleep(2 * SETTLE)
    assert woken == [key(0)]
    gathering.judged(key(0))
    gathering.judged(key(3))
    assert woken == [key(0), key(1)]
    assert gathering.may_go(PLACE, key(1), NOW, 3)
    assert gathering.take(PLACE, key(1)) == (key(1), key(2), key(4), key(5))


async def test_nothing_is_left_of_a_group_that_nobody_wants() -> None:
    gathering = AlertGroups(lambda _: None, settle=SETTLE)
    for number in range(6):
        gathering.may_go(PLACE, key(number), NOW, 3)
    await asyncio.sleep(2 * SETTLE)
    for number in range(6):
        gathering.judged(key(number))
    assert gathering.waiting == 0
    assert not gathering.may_go(PLACE, key(1), NOW, 3)


async def test_nobody_is_waited_for_for_ever() -> None:
    """Whoever does not speak in its turn, for whatever reason, is not the only one who may."""
    woken: list[ObjectKey] = []
    gathering = AlertGroups(woken.append, settle=SETTLE, turn=SETTLE)
    for number in range(5):
        gathering.may_go(PLACE, key(number), NOW + number * DAY, 3)
    async with asyncio.timeout(5):
        while len(woken) < 2:
            await asyncio.sleep(SETTLE / 5)
    assert woken[:2] == [key(0), key(1)]
    assert gathering.may_go(PLACE, woken[-1], NOW, 3)
    assert not gathering.may_go(PLACE, woken[-2], NOW, 3)


async def test_what_is_being_sent_is_not_sent_by_another() -> None:
    """Who is looked at meanwhile waits until it is known what has become of it; who comes new is in the next one."""
    woken: list[ObjectKey] = []
    gathering = AlertGroups(woken.append, settle=SETTLE)
    for number in range(5):
        gathering.may_go(PLACE, key(number), NOW, 3)
    await asyncio.sleep(2 * SETTLE)
    assert gathering.take(PLACE, key(0)) == tuple(key(number) for number in range(5))
    gathering.judged(key(1))
    assert [gathering.may_go(PLACE, key(number), NOW, 3) for number in (0, 1, 2, 9)] == [False] * 4
    assert gathering.take(PLACE, key(2)) == (key(2),)
    woken.clear()
    gathering.done(PLACE, key(0))
    assert set(woken) == {key(1), key(2), key(3), key(4), key(9)}
    assert gathering.waiting == 0


async def test_what_is_being_sent_is_waited_for_whatever_is_wanted_meanwhile() -> None:
    """A channel is taken out of a policy and put back: nobody gathers anew before that message is through."""
    woken: list[ObjectKey] = []
    gathering = AlertGroups(woken.append, settle=SETTLE)
    for number in range(5):
        gathering.may_go(PLACE, key(number), NOW, 3)
    await asyncio.sleep(2 * SETTLE)
    gathering.take(PLACE, key(0))
    for number in range(5):
        gathering.judged(key(number))
    woken.clear()
    assert [gathering.may_go(PLACE, key(number), NOW, 3) for number in range(5)] == [False] * 5
    await asyncio.sleep(3 * SETTLE)
    assert woken == []
    gathering.done(PLACE, key(0))
    assert set(woken) == {key(1), key(2), key(3), key(4)}
