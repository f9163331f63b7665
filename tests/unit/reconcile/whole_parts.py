"""The engine's own parts, put together as app.py does; around them stand-ins for what is outside: small, and obedient.

    whole = Whole()
    whole.policy(TEAM)
    whole.hand_out("nhs", days=14)
    async with whole.running():
        await whole.quiet()
    assert whole.slack.told == [("nhs",)]

A consumer has the name of its object, so that every message says which certificate it is about.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

from clientcert.errors import DeliveryError, KubeError, Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.events import EventRecorder
from clientcert.lifecycle.alerts import MessageKind
from clientcert.lifecycle.contacts import Resolution, SlackQuestion
from clientcert.lifecycle.declaration import ObjectKey, SecretKeyRef, SecretSource, SourceRef
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.recorded import Condition
from clientcert.metrics import Metrics
from clientcert.notifiers.contact import ContactNotifier
from clientcert.notifiers.digest import Digest
from clientcert.notifiers.event import EventNotifier
from clientcert.notifiers.interface import Notifier, Pace, Receipt
from clientcert.notifiers.letter import Letter
from clientcert.notifiers.message import Message
from clientcert.reconcile.certificate import CertificateReconciler
from clientcert.reconcile.contacts import Contacts, FindsUsers
from clientcert.reconcile.digests import Digests
from clientcert.reconcile.gathering import Gathering
from clientcert.reconcile.observe import Observer
from clientcert.reconcile.pacing import Pacer
from clientcert.reconcile.policies import write_policy_status
from clientcert.reconcile.records import CertificateRecord
from clientcert.reconcile.scheduler import LONGEST_SLEEP_SECONDS, ROUNDING, Scheduler
from clientcert.reconcile.store import Store
from clientcert.reconcile.tell import Teller
from clientcert.sources.interface import Content
from clientcert.turns import Turns
from tests.builders import CREATED, DAY, HOUR, NOW
from tools.certificates import CertificateAuthority, make_private_key

TEAM = {"name": "team", "type": "Slack", "slack": {"channel": "#team"}}
CONSUMER = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}
"""Channels, as a policy declares them."""
NAMESPACE = "integration"
SETTLE = 0.25
"""So long a digest waits for who else is due."""
_AUTHORITY, _KEY = CertificateAuthority.create("Integration CA"), make_private_key("ec")


class Clock:
    """Goes on by itself; `set_on` is for waits that no test can sit through."""

    def __init__(self) -> None:
        self._began, self._ahead = time.monotonic(), timedelta()

    def __call__(self) -> datetime:
        return NOW + timedelta(seconds=time.monotonic() - self._began) + self._ahead

    def set_on(self, by: timedelta) -> None:
        self._ahead += by


class ApiServer:
    """Takes every status and Event, and knows what was put into `objects`, by path."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.statuses: list[tuple[str, Mapping[str, Any]]] = []
        """Path and content of each write, in order."""
        self.refusals: dict[str, KubeError] = {}
        """By a part of method and path: what becomes of reads and writes there."""
        self.gate = open_gate()
        """Closed, it lets no answer to a GET of an object through."""
        self.version = 1000

    async def get(self, path: str) -> Any:
        self._refuse("GET", path)
        if "?" in path:
            return {"items": []}
        await self.gate.wait()
        if path not in self.objects:
            raise KubeError(Reason.NOT_FOUND, "there is no such object", status=404)
        return self.objects[path]

    async def create(self, _path: str, content: Any) -> Any:
        return content

    async def merge_patch(self, path: str, content: Any, *, metadata_only: bool = False) -> Any:
        self._refuse("PATCH", path)
        self.version += 1
        self.statuses.append((path, content["status"]))
        return {"metadata": {"resourceVersion": str(self.version)}}

    def _refuse(self, method: str, path: str) -> None:
        for call, error in self.refusals.items():
            if call in f"{method} {path}":
                raise error


class Secrets:
    """What the Secrets hold, by name; all namespaces have the same."""

    def __init__(self) -> None:
        self.held: dict[str, Content] = {}
        self.gates: dict[str, asyncio.Event] = {}

    async def read(self, _namespace: str, ref: SourceRef) -> Content:
        assert isinstance(ref, SecretSource)
        if ref.name in self.gates:
            await self.gates[ref.name].wait()
        return self.held[ref.name]


class Slack:
    """A channel of a team. `told` has one entry a message: the consumers that it speaks of."""

    def __init__(self) -> None:
        self.tries: list[tuple[str, ...]] = []
        self.told: list[tuple[str, ...]] = []
        self.texts: list[str] = []
        """Of the same messages, all that they say."""
        self.answers: Iterator[DeliveryError | None] = iter(())
        """To the next tries; to any after them it says yes."""
        self.gate = open_gate()
        """Closed, it keeps all messages on their way."""

    def pace(self, namespace: str, _channel: Channel, _kind: MessageKind) -> Pace | None:
        return Pace(("Slack", namespace), 0.002)

    async def notify(self, _channel: Channel, message: Message, _thread_ref: str = "") -> Receipt:
        return await self._take((message.about.consumer,), str(message.facts))

    async def notify_digest(self, _channel: Channel, digest: Digest) -> Receipt:
        return await self._take(tuple(line.partition(" in ")[0] for line in digest.lines), str(digest.lines))

    async def _take(self, consumers: tuple[str, ...], text: str) -> Receipt:
        self.tries.append(consumers)
        await self.gate.wait()
        error = next(self.answers, None)
        if error is not None:
            raise error
        self.told.append(consumers)
        self.texts.append(text)
        return Receipt()


class Post:
    """Takes letters: a mail server, or Slack where it writes to people. `sent` has the addresses."""

    def __init__(self, place: str, seconds: float = 0.002) -> None:
        self.tries: list[str] = []
        self.sent: list[str] = []
        self.letters: list[Letter] = []
        self.answer: Callable[[str], DeliveryError | None] = lambda _: None
        """What becomes of a letter to an address. Whoever is refused for good has the next one written to."""
        self.gate = open_gate()
        self._pace = Pace(place, seconds)

    def pace(self, _namespace: str, _channel: Channel, _kind: MessageKind) -> Pace | None:
        return self._pace

    async def notify(self, _channel: Channel, message: Message, _thread_ref: str = "") -> Receipt:
        refused: list[DeliveryError] = []
        for letter in message.letters:
            self.tries.append(letter.recipient.address)
            await self.gate.wait()
            error = self.answer(letter.recipient.address)
            if error is None:
                self.sent.append(letter.recipient.address)
                self.letters.append(letter)
                return Receipt(note="the one before was refused" if refused else "")
            if error.reason is not Reason.RECIPIENT_REFUSED:
                raise error
            refused.append(error)
        raise refused[0] if refused else DeliveryError(Reason.CONTACT_NOT_FOUND, "there is nobody to write to")


class Users:
    """Slack, as far as contacts are looked up in it: everybody is `answer`, once the gate is open."""

    def __init__(self, answer: Resolution | DeliveryError) -> None:
        self.answer = answer
        self.gate = open_gate()

    async def find(self, _namespace: str, _ref: SecretKeyRef | None, _question: SlackQuestion) -> Resolution:
        await self.gate.wait()
        if isinstance(self.answer, DeliveryError):
            raise self.answer
        return self.answer


class Whole:
    """All certificates of an operator, and all that is done about them."""

    def __init__(
        self,
        users: FindsUsers | None = None,
        mail: Notifier | None = None,
        *,
        own: Channel | None = None,
        turn: float = 60.0,
        first_rest: float = 60.0,
    ) -> None:
        """`own` is the operator's own channel.

        How long one may speak for others, and how long a place rests that failed: longer than any test waits.
        """
        self.clock, self.api, self.secrets, self.metrics = Clock(), ApiServer(), Secrets(), Metrics()
        self.slack, self.post, self.direct = Slack(), Post("mail"), Post("Slack users")
        client, turns = cast("KubeClient", self.api), Turns()
        events = EventRecorder(client, self.clock)
        notifiers: dict[str, Notifier] = {
            "Slack": self.slack,
            "Email": ContactNotifier(mail or self.post, self.direct),
            "Event": EventNotifier(events),
        }
        self.pacer = Pacer(self._wake, first_rest=first_rest)
        self.gathering = Gathering(self._wake, settle=SETTLE, turn=turn)
        self.store = Store(self._wake, self.pacer.mended, own)
        digests = Digests(self.store, client, notifiers, self.gathering, self.clock, turns)
        self.reconciler = CertificateReconciler(
            self.store,
            Observer({SecretSource: self.secrets}, _no_password, self.clock, self.metrics, turns),
            Contacts(self.api.get, users or Users(Resolution("Nobody", "")), self._wake, patience=0.05),
            Teller(notifiers, own, self.pacer, digests, lambda _: True, self.clock, self.metrics, turns),
            events,
            client,
            self.clock,
            self.metrics,
            turns,
        )
        self.looks: list[str] = []
        """The name of each certificate that was looked at, as often as it was."""
        self.scheduler = Scheduler(
            self._look, self.store.urgency, self.clock, self.store.clock_was_set, self.metrics, longest_look=60.0
        )

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
        still, limit = 0, time.monotonic() + 15
        while still < 4:
            busy = self.scheduler.depth or self.gathering.waiting or self.pacer.waiting
            still = 0 if busy else still + 1
            assert time.monotonic() < limit, f"busy with {busy}: {self.looks[-5:]}"
            await asyncio.sleep(0.02)

    async def later(self, by: timedelta) -> None:
        """What falls due by then is done."""
        self.clock.set_on(by + ROUNDING)
        await asyncio.sleep(LONGEST_SLEEP_SECONDS + 0.05)  # by then the scheduler has looked at the clock
        await self.quiet()

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
        plain = {
            "consumer": name,
            "environment": "prod",
            "contact": {"technical": {"email": f"jo@{name}.example"}},
            "source": {"type": "Secret", "secret": {"name": name}},
            "policyRef": {"name": "team"},
        }
        metadata = self._metadata(key, before.generation + 1 if before else 1)
        self.store.upsert_certificate({"metadata": metadata, "spec": plain | spec})

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
        return await self.reconciler.reconcile(key)

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


def open_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


async def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for it; fails when it does not become true in time."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


def once(told: list[tuple[str, ...]]) -> list[str]:
    """All who were spoken of, in alphabetical order, as often as they were."""
    return sorted(consumer for consumers in told for consumer in consumers)


async def _no_password(_namespace: str, _ref: SecretKeyRef) -> str:
    raise AssertionError("no source here has one")
