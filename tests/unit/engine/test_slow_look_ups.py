"""Any number of lookups together wait for a slow source as long as one would; later each is enqueued once."""

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

_NO_REQUESTS = SimpleNamespace(certificate_changed=lambda _: None)


class Slack(Users):
    """Finds some users at once; the others, with a slow token, after a delay and once the gate is open."""

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


class Lookups:
    """A fake of the workers, with the few workers that a namespace has."""

    def __init__(self, workers: int = 32) -> None:
        self.slack, self.api, self.enqueued = Slack(), ApiServer(), list[str]()
        cache = cast(
            "ObjectCache", SimpleNamespace(enqueue=lambda key: self.enqueued.append(key.name), renewals=_NO_REQUESTS)
        )
        self.contacts = ContactLookup(cache, ClientLists(self.api.get), self.slack, lambda: NOW, PATIENCE)
        self._workers = asyncio.Semaphore(workers)

    async def find(
        self, name: str, token: SecretKeyRef | None = TOKEN, namespace: str = NAMESPACE, *, directory: str = ""
    ) -> Resolution:
        lookup = ("Directory",) if directory else ("Slack",)
        declared = declaration(consumer=name, contact=Contact(lookup=lookup))
        policy = AlertPolicy((LETTERS,), contacts=ContactPolicy(directory=directory, slack_token_ref=token))
        async with self._workers:
            found = record(key=ObjectKey(namespace, name), spec=declared)
            await self.contacts.refresh(found, policy)
            return self.contacts.state(found, policy).resolution

    async def find_all(self, names: Iterable[str], **how: str) -> tuple[set[str], float]:
        """The reasons, and how many seconds all took together."""
        began = asyncio.get_running_loop().time()
        found = await asyncio.gather(*(self.find(name, **how) for name in names))
        return {each.reason for each in found}, asyncio.get_running_loop().time() - began


NAMES = [f"c{number:03d}" for number in range(MANY)]


@pytest.mark.parametrize("how", [{}, {"directory": "clients"}], ids=["Slack", "client list"])
async def test_all_lookups_wait_as_long_as_one(how: dict[str, str]) -> None:
    """Each is enqueued once when its answer is there; after that no lookup waits."""
    lookups = Lookups()
    lookups.slack.slow.add(TOKEN)
    data = {name: f"technical: {{email: jo@{name}.example}}" for name in NAMES}
    lookups.api.objects[f"/api/v1/namespaces/{NAMESPACE}/configmaps/clients"] = {"metadata": {}, "data": data}
    gates = [lookups.slack.gate, lookups.api.gate]
    for gate in gates:
        gate.clear()
    assert await lookups.find_all(NAMES, **how) == ({UNAVAILABLE.reason}, pytest.approx(PATIENCE))
    assert await lookups.find_all(NAMES, **how) == ({UNAVAILABLE.reason}, 0.0)
    for gate in gates:
        gate.set()
    await asyncio.sleep(0.01)
    assert sorted(lookups.enqueued) == NAMES
    assert await lookups.find_all(NAMES, **how) == ({"TechnicalContact" if how else "SlackUser"}, 0.0)
    assert len(lookups.enqueued) == MANY


async def test_many_moderate_answers_count_as_slow() -> None:
    """No single answer is slow, but all of them in sequence would be."""
    lookups = Lookups()
    lookups.slack.slow.add(TOKEN)
    lookups.slack.takes = lambda name: 0.3 + int(name[1:]) % 8 / 80
    reasons, took = await lookups.find_all(NAMES)
    assert reasons == {UNAVAILABLE.reason, "SlackUser"}
    assert took == pytest.approx(PATIENCE)
    await asyncio.sleep(1)
    assert await lookups.find_all(NAMES) == ({"SlackUser"}, 0.0)


async def test_a_cached_answer_does_not_wait() -> None:
    """It is found at once and not enqueued; otherwise it would be enqueued forever."""
    lookups = Lookups()
    lookups.slack.slow.add(TOKEN)
    lookups.slack.gate.clear()
    await lookups.find("slow")
    lookups.slack.known.add("known")
    assert await lookups.find_all(["known"]) == ({"SlackUser"}, 0.0)
    assert lookups.enqueued == []


async def test_each_token_is_waited_for_separately() -> None:
    """Another token, or a token of the same name in another namespace; the operator's own token is shared."""
    lookups = Lookups()
    lookups.slack.slow = {TOKEN, OTHER_TOKEN, None}
    lookups.slack.gate.clear()
    loop = asyncio.get_running_loop()
    took = []
    for number, (token, namespace) in enumerate(
        [(TOKEN, "team"), (TOKEN, "team"), (OTHER_TOKEN, "team"), (TOKEN, "other"), (None, "team"), (None, "other")]
    ):
        began = loop.time()
        assert await lookups.find(f"c{number}", token, namespace) is UNAVAILABLE
        took.append(loop.time() - began)
    assert took == pytest.approx([PATIENCE, 0, PATIENCE, PATIENCE, PATIENCE, 0])


async def test_a_recovered_token_is_waited_for_again() -> None:
    """Once it has answered everything."""
    lookups = Lookups()
    lookups.slack.slow.add(TOKEN)
    lookups.slack.gate.clear()
    await lookups.find("slow")
    lookups.slack.gate.set()
    await asyncio.sleep(1)
    lookups.slack.takes = lambda _: 0.2
    assert await lookups.find_all(["other"]) == ({"SlackUser"}, pytest.approx(0.2))
