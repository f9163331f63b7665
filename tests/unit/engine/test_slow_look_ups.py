"""However many ask a slow place, all together wait for it as long as one would; later each is woken once."""

import asyncio
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import cast

import pytest

from clientcert.cache.client_lists import ClientLists
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.object_cache import ObjectCache
from clientcert.lifecycle.contacts import UNAVAILABLE, Recipient, Resolution, Role, SlackQuestion
from clientcert.lifecycle.policy import AlertPolicy, ContactPolicy
from clientcert.lifecycle.spec import Contact, ObjectKey, SecretKeyRef
from tests.builders import NOW, declaration
from tests.unit.engine.fakes import ApiServer, Users
from tests.unit.engine.one_record import record
from tests.unit.engine.test_contact_lookup import LETTERS

PATIENCE = 0.5
MANY = 640
NAMESPACE = "team"
TOKEN, OTHER_TOKEN = SecretKeyRef("slack", "token"), SecretKeyRef("other", "token")
FOUND = Resolution("SlackUser", "the Slack user is written to directly", (Recipient(Role.SLACK, "U012AB3CD"),))


class Slack(Users):
    """Knows some at once; the others, where it is slow, after a while and once the gate is open."""

    def __init__(self) -> None:
        super().__init__(FOUND)
        self.known: set[str] = set()
        self.slow: set[SecretKeyRef | None] = set()
        self.takes: Callable[[str], float] = lambda _: 0.0

    async def find(self, namespace: str, ref: SecretKeyRef | None, question: SlackQuestion) -> Resolution:
        if question.name not in self.known and ref in self.slow:
            await asyncio.sleep(self.takes(question.name))
            await super().find(namespace, ref, question)
            self.known.add(question.name)
        return FOUND


class Look:
    """Plays the workers, with the few workers that a namespace has."""

    def __init__(self, workers: int = 32) -> None:
        self.slack, self.api, self.woken = Slack(), ApiServer(), list[str]()
        cache = cast("ObjectCache", SimpleNamespace(enqueue=lambda key: self.woken.append(key.name)))
        self.contacts = ContactLookup(cache, ClientLists(self.api.get), self.slack, lambda: NOW, PATIENCE)
        self._workers = asyncio.Semaphore(workers)

    async def at(
        self, name: str, token: SecretKeyRef | None = TOKEN, namespace: str = NAMESPACE, *, directory: str = ""
    ) -> Resolution:
        lookup = ("Directory",) if directory else ("Slack",)
        declared = declaration(consumer=name, contact=Contact(lookup=lookup))
        policy = AlertPolicy((LETTERS,), contacts=ContactPolicy(directory=directory, slack_token_ref=token))
        async with self._workers:
            found = record(key=ObjectKey(namespace, name), spec=declared)
            await self.contacts.refresh(found, policy)
            return self.contacts.state(found, policy).resolution

    async def at_all(self, names: Iterable[str], **how: str) -> tuple[set[str], float]:
        """The reasons, and how many seconds all took together."""
        began = asyncio.get_running_loop().time()
        found = await asyncio.gather(*(self.at(name, **how) for name in names))
        return {each.reason for each in found}, asyncio.get_running_loop().time() - began


NAMES = [f"c{number:03d}" for number in range(MANY)]


@pytest.mark.parametrize("how", [{}, {"directory": "clients"}], ids=["Slack", "client list"])
async def test_all_wait_as_long_as_one(how: dict[str, str]) -> None:
    """And each is woken when it is known, once; then nobody waits."""
    look = Look()
    look.slack.slow.add(TOKEN)
    data = {name: f"technical: {{email: jo@{name}.example}}" for name in NAMES}
    look.api.objects[f"/api/v1/namespaces/{NAMESPACE}/configmaps/clients"] = {"metadata": {}, "data": data}
    gates = [look.slack.gate, look.api.gate]
    for gate in gates:
        gate.clear()
    assert await look.at_all(NAMES, **how) == ({UNAVAILABLE.reason}, pytest.approx(PATIENCE))
    assert await look.at_all(NAMES, **how) == ({UNAVAILABLE.reason}, 0.0)
    for gate in gates:
        gate.set()
    await asyncio.sleep(0.01)
    assert sorted(look.woken) == NAMES
    assert await look.at_all(NAMES, **how) == ({"TechnicalContact" if how else "SlackUser"}, 0.0)
    assert len(look.woken) == MANY


async def test_answers_of_which_each_takes_a_while() -> None:
    """None of them is slow by itself, and all after each other would be."""
    look = Look()
    look.slack.slow.add(TOKEN)
    look.slack.takes = lambda name: 0.3 + int(name[1:]) % 8 / 80
    reasons, took = await look.at_all(NAMES)
    assert reasons == {UNAVAILABLE.reason, "SlackUser"}
    assert took == pytest.approx(PATIENCE)
    await asyncio.sleep(1)
    assert await look.at_all(NAMES) == ({"SlackUser"}, 0.0)


async def test_what_is_known_needs_nobody_who_is_slow() -> None:
    """It is found at once: whoever was woken would be woken for ever otherwise."""
    look = Look()
    look.slack.slow.add(TOKEN)
    look.slack.gate.clear()
    await look.at("slow")
    look.slack.known.add("known")
    assert await look.at_all(["known"]) == ({"SlackUser"}, 0.0)
    assert look.woken == []


async def test_another_place_is_waited_for() -> None:
    """Another token, and that of the same name in another namespace; the operator's own is one for all of them."""
    look = Look()
    look.slack.slow = {TOKEN, OTHER_TOKEN, None}
    look.slack.gate.clear()
    loop = asyncio.get_running_loop()
    took = []
    for number, (token, namespace) in enumerate(
        [(TOKEN, "team"), (TOKEN, "team"), (OTHER_TOKEN, "team"), (TOKEN, "other"), (None, "team"), (None, "other")]
    ):
        began = loop.time()
        assert await look.at(f"c{number}", token, namespace) is UNAVAILABLE
        took.append(loop.time() - began)
    assert took == pytest.approx([PATIENCE, 0, PATIENCE, PATIENCE, PATIENCE, 0])


async def test_a_place_that_was_slow_is_waited_for_again() -> None:
    """Once it has answered all."""
    look = Look()
    look.slack.slow.add(TOKEN)
    look.slack.gate.clear()
    await look.at("slow")
    look.slack.gate.set()
    await asyncio.sleep(1)
    look.slack.takes = lambda _: 0.2
    assert await look.at_all(["other"]) == ({"SlackUser"}, pytest.approx(0.2))
