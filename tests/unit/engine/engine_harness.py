"""The engine's own parts, put together as app.py does; around them stand-ins for what is outside.

    whole = Whole()
    whole.policy(TEAM)
    whole.hand_out("nhs", days=14)
    async with whole.running():
        await whole.quiet()
    assert whole.slack.told == [("nhs",)]

A consumer has the name of its object, so that every message says which certificate it is about.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

from clientcert.alerting.digests import Digests
from clientcert.alerting.dispatcher import NotificationDispatcher
from clientcert.alerting.grouping import AlertGroups
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cache.client_lists import ClientLists
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.controllers.certificate.contact_lookup import Contacts, UserLookup
from clientcert.controllers.certificate.observe import Observer
from clientcert.controllers.certificate.reconciler import CertificateReconciler
from clientcert.controllers.certificate_policy import write_policy_status
from clientcert.kube.client import KubeClient
from clientcert.kube.events import EventRecorder
from clientcert.lifecycle.contacts import Resolution
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.spec import ObjectKey, SecretKeyRef, SecretSource
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.notifiers.consumer_contact import ContactNotifier
from clientcert.notifiers.interface import Notifier
from clientcert.notifiers.kubernetes_event import EventNotifier
from clientcert.sources.interface import Content
from clientcert.workqueue.scheduler import CLOCK_JUMP_SECONDS, LONGEST_SLEEP_SECONDS, ROUNDING, Scheduler
from tests.builders import CREATED, DAY, HOUR, NOW
from tests.unit.engine.fakes import ApiServer, Post, Secrets, Slack, Users
from tools.certificates import CertificateAuthority, make_private_key

TEAM = {"name": "team", "type": "Slack", "slack": {"channel": "#team"}}
CONSUMER = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}
"""Channels, as a policy declares them."""
NAMESPACE = "integration"
_STEP = timedelta(seconds=CLOCK_JUMP_SECONDS - 5)
_AUTHORITY, _KEY = CertificateAuthority.create("Integration CA"), make_private_key("ec")


class Clock:
    """Goes on with the event loop's; `set_on` is for waits of days."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began, self._ahead = self._loop.time(), timedelta()

    def __call__(self) -> datetime:
        return NOW + timedelta(seconds=self._loop.time() - self._began) + self._ahead

    def set_on(self, by: timedelta) -> None:
        self._ahead += by


class EngineHarness:
    """All certificates of an operator, and all that is done about them."""

    def __init__(
        self,
        users: UserLookup | None = None,
        *,
        own: Channel | None = None,
    ) -> None:
        """`own` is the operator's own channel."""
        self.clock, self.api, self.secrets, self.metrics = Clock(), ApiServer(), Secrets(), Metrics()
        self.slack, self.post, self.direct = Slack(), Post("mail"), Post("Slack users", only_the_first=True)
        client, loop_budget = cast("KubeClient", self.api), LoopBudget()
        events = EventRecorder(client, self.clock)
        notifiers: dict[str, Notifier] = {
            "Slack": self.slack,
            "Email": ContactNotifier(self.post, self.direct),
            "Event": EventNotifier(events),
        }
        self.pacer = ChannelRateLimiter(self._wake)
        self.gathering = AlertGroups(self._wake)
        self.store = ObjectCache(self._wake, self.pacer.mended, own)
        self.client_lists = ClientLists(self.api.get, self.store.client_list_changed)
        digests = Digests(self.store, client, notifiers, self.gathering, self.clock, loop_budget)
        self.reconciler = CertificateReconciler(
            self.store,
            Observer({SecretSource: self.secrets}, _no_password, self.clock, self.metrics, loop_budget),
            Contacts(self.client_lists, users or Users(Resolution("Nobody", "")), self._wake),
            NotificationDispatcher(
                notifiers, own, self.pacer, digests, lambda _: True, self.clock, self.metrics, loop_budget
            ),
            events,
            client,
            self.clock,
            self.metrics,
            loop_budget,
        )
        self.looks: list[str] = []
        """The name of each certificate that was looked at, as often as it was."""
        self.comes_back: dict[str, datetime | None] = {}
        """When each of them is looked at again, as its last look has said."""
        self.scheduler = Scheduler(self._look, self.store.urgency, self.clock, self.store.clock_was_set, self.metrics)

    @property
    def speaks(self) -> bool:
        """Whether somebody has been chosen to send for others."""
        return any(group.speaker for group in self.gathering._groups.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        working = asyncio.create_task(self.scheduler.run())
        try:
            yield
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def quiet(self) -> None:
        """Until nobody is looked at, and nobody waits for others."""
        still, loop = 0, asyncio.get_running_loop()
        limit = loop.time() + 600
        while still < 4:
            busy = self.scheduler.depth or self.gathering.waiting or self.pacer.waiting
            still = 0 if busy else still + 1
            assert loop.time() < limit, f"busy with {busy}: {self.looks[-5:]}"
            await asyncio.sleep(0.02)

    async def later(self, by: timedelta) -> None:
        """What falls due by then is done."""
        self.clock.set_on(by + ROUNDING)
        await asyncio.sleep(LONGEST_SLEEP_SECONDS + 0.05)  # by then the scheduler has looked at the clock
        await self.quiet()

    async def passes(self, by: timedelta) -> None:
        """The same without a clock that was set: minutes pass, or a few hours."""
        await asyncio.sleep(by.total_seconds())

    async def hours_pass(self, hours: float) -> None:
        """The same in steps, each too short for the scheduler to take it for a clock that was set."""
        for _ in range(1 + int(hours * HOUR / _STEP)):
            self.clock.set_on(_STEP)
            await asyncio.sleep(LONGEST_SLEEP_SECONDS)

    async def compare(self) -> None:
        """What the engine does with each policy from time to time."""
        for key in tuple(self.store.policies):
            await write_policy_status(self.store, cast("KubeClient", self.api), key, self.clock())

    def policy(
        self, *channels: Mapping[str, Any], namespace: str = NAMESPACE, contacts: Any = None, **alerts: Any
    ) -> None:
        """The policy that all certificates of a namespace have, from now on."""
        key = ObjectKey(namespace, "team")
        before = self.store.policies.get(key)
        spec = {"alerts": {"channels": list(channels), **alerts}, "contacts": contacts or {}}
        metadata = self._metadata(key, before.generation + 1 if before else 1)
        self.store.upsert_policy({"metadata": metadata, "spec": spec})

    def hand_out(self, name: str, *, days: float, namespace: str = NAMESPACE, **spec: Any) -> None:
        """A certificate that has so many days and an hour left is declared, or declared anew."""
        self.put(name, days=days)
        self.declare(name, namespace=namespace, **spec)

    def declare(self, name: str, *, namespace: str = NAMESPACE, **spec: Any) -> None:
        key = ObjectKey(namespace, name)
        before = self.store.certificates.get(key)
        self._applied(key, before.generation + 1 if before else 1, spec, self._last_status(key) if before else {})

    def find_again(self, name: str, **spec: Any) -> None:
        """As a process that starts finds it: what was known of it is in its status, and nowhere else."""
        key = ObjectKey(NAMESPACE, name)
        generation = self.store.certificates[key].generation
        self.store.remove_certificate(key)
        self._applied(key, generation, spec, self._last_status(key))

    def _last_status(self, key: ObjectKey) -> Mapping[str, Any]:
        path = CLIENT_CERTIFICATE.status(*key)
        return next((content for to, content in reversed(self.api.statuses) if to == path), {})

    def _applied(self, key: ObjectKey, generation: int, spec: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        plain = {
            "consumer": key.name,
            "environment": "prod",
            "contact": {"technical": {"email": f"jo@{key.name}.example"}},
            "source": {"type": "Secret", "secret": {"name": key.name}},
            "policyRef": {"name": "team"},
        }
        body = {"metadata": self._metadata(key, generation), "spec": {**plain, **spec}, "status": status}
        self.store.upsert_certificate(body)

    def put(self, name: str, *, days: float) -> None:
        """A new certificate into the Secret, which its watch tells of."""
        self.api.version += 1
        version, ends = str(self.api.version), self.clock() + days * DAY + HOUR
        issued = _AUTHORITY.issue(name, CREATED, ends, private_key=_KEY)
        self.secrets.held[name] = Content(issued.certificate_pem, f"sha256:{version}", version)
        for key in tuple(self.store.certificates):
            self.store.secret_changed(key.namespace, name, version)

    def delete(self, name: str, *, namespace: str = NAMESPACE) -> None:
        """As its watch says it."""
        key = ObjectKey(namespace, name)
        assert self.store.remove_certificate(key, f"uid-{namespace}-{name}")
        self.scheduler.forget(key)

    def record(self, name: str, *, namespace: str = NAMESPACE) -> CertificateRecord:
        return self.store.certificates[ObjectKey(namespace, name)]

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason, as they were last written."""
        found = self.record(name).recorded.condition(kind) or Condition(kind, "", "")
        return found.status, found.reason

    def written(self, name: str, kind: str) -> list[tuple[str, str]]:
        """Status and reason of each status that was written, in order."""
        entries = [status["conditions"] for path, status in self.api.statuses if f"/{name}/" in path]
        return [(each["status"], each["reason"]) for entry in entries for each in entry if each["type"] == kind]

    async def _look(self, key: ObjectKey) -> datetime | None:
        self.looks.append(key.name)
        self.comes_back[key.name] = await self.reconciler.reconcile(key)
        return self.comes_back[key.name]

    def _wake(self, key: ObjectKey) -> None:
        self.scheduler.wake(key)

    def _metadata(self, key: ObjectKey, generation: int) -> dict[str, Any]:
        self.api.version += 1
        return {
            "namespace": key.namespace,
            "name": key.name,
            "uid": f"uid-{key.namespace}-{key.name}",
            "resourceVersion": str(self.api.version),
            "generation": generation,
            "creationTimestamp": f"{CREATED:%Y-%m-%dT%H:%M:%SZ}",
        }


async def until(holds: Callable[[], object], seconds: float = 600.0) -> None:
    """Wait for it; fails when it does not become true in time."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


def once(told: list[tuple[str, ...]]) -> list[str]:
    """All who were spoken of, in alphabetical order, as often as they were."""
    return sorted(consumer for consumers in told for consumer in consumers)


async def _no_password(_namespace: str, _ref: SecretKeyRef) -> str:
    raise AssertionError("no source here has one")
