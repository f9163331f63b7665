"""The engine's real parts, connected as app.py connects them; fakes replace the systems outside.

    harness = EngineHarness()
    harness.policy(TEAM)
    harness.hand_out("nhs", days=14)
    async with harness.running():
        await harness.until_idle()
    assert harness.slack.notified == [("nhs",)]

A consumer has the name of its object, so each message shows which certificate it is about.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from clientcert.alerting.alert_test_slots import AlertTestSlots
from clientcert.alerting.alert_tests import AlertTestOutbox, AlertTestSender
from clientcert.alerting.dispatcher import NotificationDispatcher
from clientcert.alerting.evaluator import Evaluator
from clientcert.alerting.grouping import ALERT_GROUP, AlertGroups
from clientcert.alerting.notice_groups import NoticeGroups
from clientcert.alerting.outbox import Outbox
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.api.kinds import CLIENT_CERTIFICATE
from clientcert.cache.client_lists import ClientLists
from clientcert.cache.contact_lookup import ContactLookup, UserLookup
from clientcert.cache.missing_references import MissingReferences
from clientcert.cache.object_cache import CERTIFICATE, CERTIFICATE_TEST, ObjectCache
from clientcert.cache.objects import CertificateRecord
from clientcert.cache.policies import POLICY, POLICY_TEST
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.alert_group import AlertDigests
from clientcert.controllers.alert_test import AlertTestParts, CertificateTests, PolicyTests
from clientcert.controllers.certificate.reconciler import CertificateReconciler
from clientcert.controllers.certificate.requeue import ROUNDING
from clientcert.controllers.certificate_policy import PolicyReconciler
from clientcert.controllers.certificate_store import StorePoller
from clientcert.controllers.issuer_readiness import IssuerReadiness
from clientcert.controllers.message_group import MessageGroupReconciler
from clientcert.controllers.recovery import Recovery
from clientcert.controllers.workers import CLOCK_JUMP_SECONDS, LONGEST_SLEEP_SECONDS, Reconciler, Workers
from clientcert.kube.admission_proof import AdmissionProof
from clientcert.kube.client import KubeClient
from clientcert.kube.events import EventRecorder
from clientcert.kube.status_writer import StatusWriter
from clientcert.lifecycle.contacts import Resolution
from clientcert.lifecycle.delivery_log import DeliveryFailure
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.spec import ObjectKey, S3Source, SecretKeyRef, SecretSource
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.notifiers.consumer_contact import ContactNotifier
from clientcert.notifiers.interface import Notifier
from clientcert.notifiers.kubernetes_event import EventNotifier
from clientcert.sources.interface import Content, Source
from clientcert.workqueue.work_queue import WorkQueue
from tests.builders import CREATED, DAY, HOUR, NOW
from tests.unit.engine.fakes import ApiServer, LetterChannel, Secrets, Slack, Users
from tools.certificates import CertificateAuthority, make_private_key

TEAM = {"name": "team", "type": "Slack", "slack": {"channel": "#team"}}
CONSUMER = {"name": "consumer", "type": "Email", "email": {"recipients": "Contact"}}
"""Channels, as a policy declares them."""
NAMESPACE = "integration"
_OBJECTS = "/apis/clientcert.dev/v1alpha1/namespaces"
_STEP = timedelta(seconds=CLOCK_JUMP_SECONDS - 5)
_AUTHORITY, _KEY = CertificateAuthority.create("Integration CA"), make_private_key("ec")


DIGEST_TYPES = frozenset({"Slack"})


class Clock:
    """Follows the event loop's time; `advance` jumps over days."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._began, self._ahead = self._loop.time(), timedelta()

    def __call__(self) -> datetime:
        return NOW + timedelta(seconds=self._loop.time() - self._began) + self._ahead

    def advance(self, by: timedelta) -> None:
        self._ahead += by


@dataclass(frozen=True)
class Outside:
    """The outside of one process, in place of the fakes: a simulation has several processes in one world."""

    client: KubeClient
    clock: Callable[[], datetime]
    source: Source
    notifiers: dict[str, Notifier]
    may_start: Callable[[float], bool]
    """True if work of so many seconds ends before another replica may lead."""
    readiness: IssuerReadiness | None = None
    """None: no policy has a renewal."""


class _RecordingReconciler:
    """The reconciler of certificates; records its calls and their results."""

    def __init__(self, reconciler: CertificateReconciler) -> None:
        self._reconciler = reconciler
        self.reconciled: list[str] = []
        self.due: dict[str, datetime | None] = {}

    async def reconcile(self, key: ObjectKey) -> datetime | None:
        self.reconciled.append(key.name)
        self.due[key.name] = await self._reconciler.reconcile(key)
        return self.due[key.name]

    def begin_term(self) -> None:
        self._reconciler.begin_term()

    def urgency(self, key: ObjectKey) -> float:
        return self._reconciler.urgency(key)


class EngineHarness:
    """The engine of one operator, with all its certificates."""

    def __init__(
        self,
        users: UserLookup | None = None,
        *,
        own: Channel | None = None,
        outside: Outside | None = None,
        observe_only: bool = False,
        has_mail_domains: bool = False,
        cluster: str = "",
    ) -> None:
        """`own` is the operator's own channel. With `outside` the fakes of this harness remain unused."""
        self.clock, self.api, self.secrets, self.metrics = Clock(), ApiServer(), Secrets(), Metrics()
        self.slack, self.mail, self.direct = (
            Slack(),
            LetterChannel("mail"),
            LetterChannel("Slack users", only_the_first=True),
        )
        source: Source = self.secrets
        client, budget, clock = cast("KubeClient", self.api), LoopBudget(), cast("Callable[[], datetime]", self.clock)
        if outside is not None:
            client, clock, source = outside.client, outside.clock, outside.source
        self._policies: dict[ObjectKey, Any] = {}
        self._recreated: Counter[ObjectKey] = Counter()
        self.created = CREATED
        """The creation time of all objects."""
        self.is_leader = True
        """False: another replica may lead before a message could be sent and recorded."""
        self.queue, self.outbox = WorkQueue(clock), Outbox()
        self.queue.open()
        self.cache = ObjectCache(self.queue, own)
        self.client_lists = ClientLists(self.api.get, self.cache.client_list_changed)
        held: dict[type[SecretSource | S3Source], Source] = {SecretSource: source, S3Source: source}
        self.sources = SourceCache(self.cache, held, _no_password, clock, self.metrics, budget)
        users = users or Users(Resolution("Nobody", ""))
        self.contacts = contacts = ContactLookup(self.cache, self.client_lists, users, clock)
        events, self.statuses = EventRecorder(client, clock), StatusWriter(client, self.metrics)
        statuses = self.statuses
        self.notifiers = notifiers = {
            "Slack": self.slack,
            "Email": ContactNotifier(self.mail, self.direct),
            "Event": EventNotifier(events),
        } | (outside.notifiers if outside else {})
        self.limiter, self.groups = ChannelRateLimiter(self.queue), AlertGroups(self.cache, self.queue, DIGEST_TYPES)
        self.notice_groups = NoticeGroups(self.cache, self.queue, DIGEST_TYPES)
        self.renewal_outbox, every_group = RenewalOutbox(), (self.groups, self.notice_groups)
        may_start = outside.may_start if outside else lambda _: self.is_leader
        dispatcher = NotificationDispatcher(
            notifiers, self.limiter, self.groups, self.outbox, may_start, clock, self.metrics
        )
        self.evaluator = evaluator = Evaluator(
            self.cache, self.sources, contacts, self.outbox, own, clock, cluster=cluster, observe_only=observe_only
        )
        missing = MissingReferences(self.cache, client)
        self.certificates = _RecordingReconciler(
            CertificateReconciler(
                self.cache,
                missing,
                self.sources,
                contacts,
                evaluator,
                dispatcher,
                self.outbox,
                events,
                statuses,
                client,
                clock,
                budget,
            )
        )
        ready = (outside and outside.readiness) or IssuerReadiness({}, AdmissionProof(client), clock)
        policies = PolicyReconciler(
            self.cache,
            every_group,
            self.limiter,
            self.outbox,
            self.renewal_outbox,
            statuses,
            client,
            clock,
            budget,
            ready,
        )
        digests = AlertDigests(
            self.cache, self.queue, evaluator, self.groups, dispatcher, self.outbox, policies, clock, budget
        )
        nothing = cast("Any", None)
        poller = StorePoller(self.cache, self.sources, nothing, nothing, nothing, statuses, clock, self.metrics, budget)
        self.recovery = Recovery(
            self.queue, self.cache, self.sources, self.outbox, self.renewal_outbox, every_group, poller
        )
        self.reconcilers: dict[str, Reconciler] = {
            CERTIFICATE: self.certificates,
            POLICY: policies,
            ALERT_GROUP: MessageGroupReconciler(self.groups, digests, self.limiter, clock, self.metrics),
        }
        sender = AlertTestSender(
            dispatcher, self.limiter, clock, has_mail_domains=has_mail_domains, observe_only=observe_only
        )
        slots, unrecorded = AlertTestSlots(self.queue), AlertTestOutbox()
        tests = AlertTestParts(self.cache, self.queue, sender, slots, unrecorded, statuses, clock, cluster)
        self.reconcilers |= {CERTIFICATE_TEST: CertificateTests(tests, evaluator), POLICY_TEST: PolicyTests(tests)}
        outboxes = (self.outbox, self.renewal_outbox, tests.outbox)
        self.workers = Workers(self.queue, self.reconcilers, self.recovery, outboxes, clock, self.metrics)

    @property
    def reconciled(self) -> list[str]:
        """The name of each reconciled certificate, once for each reconcile."""
        return self.certificates.reconciled

    @property
    def due(self) -> dict[str, datetime | None]:
        """When each certificate is due again, as its last reconcile returned."""
        return self.certificates.due

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        working = asyncio.create_task(self.workers.run())
        try:
            yield
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def until_idle(self) -> None:
        """Wait until the queue is empty, and nothing waits in a group or for the rate limit."""
        still, loop = 0, asyncio.get_running_loop()
        limit = loop.time() + 600
        while still < 4:
            busy = self.queue.depth or self.groups.waiting or self.limiter.waiting
            still = 0 if busy else still + 1
            assert loop.time() < limit, f"busy with {busy}: {self.reconciled[-5:]}"
            await asyncio.sleep(0.02)

    async def advance(self, by: timedelta) -> None:
        """Set the clock forward, and wait until everything that is due by then is done."""
        self.clock.advance(by + ROUNDING)
        await asyncio.sleep(LONGEST_SLEEP_SECONDS + 0.05)  # by then the scheduler has read the clock
        await self.until_idle()

    async def let_pass(self, by: timedelta) -> None:
        """Let time pass without setting the clock; for minutes, or a few hours."""
        await asyncio.sleep(by.total_seconds())

    async def let_hours_pass(self, hours: float) -> None:
        """Let hours pass in steps, each too short to count as a clock that was set."""
        for _ in range(1 + int(hours * HOUR / _STEP)):
            self.clock.advance(_STEP)
            await asyncio.sleep(LONGEST_SLEEP_SECONDS)

    async def resync_policies(self) -> None:
        """Reconcile every policy, as the periodic resync does."""
        self.cache.policies.enqueue_all()
        await self.until_idle()

    def policy(
        self,
        *channels: Mapping[str, Any],
        name: str = "team",
        namespace: str = NAMESPACE,
        contacts: Any = None,
        **alerts: Any,
    ) -> None:
        """A policy from now on; all certificates of a namespace have the one named "team" by default."""
        key = ObjectKey(namespace, name)
        before = self.cache.policies.policies.get(key)
        spec = {"alerts": {"channels": list(channels), **alerts}, "contacts": contacts or {}}
        metadata = self._metadata(key, before.generation + 1 if before else 1)
        self._policies[key] = spec
        self.cache.policies.upsert({"metadata": metadata, "spec": spec})

    def hand_out(self, name: str, *, days: float, namespace: str = NAMESPACE, **spec: Any) -> None:
        """Declare a certificate, or declare it again, with this many days and an hour left."""
        self.put(name, days=days)
        self.declare(name, namespace=namespace, **spec)

    def policy_status(self, status: Mapping[str, Any], *, namespace: str = NAMESPACE) -> None:
        """Deliver the policy's status as its watch does."""
        record = self.cache.policies.policies[ObjectKey(namespace, "team")]
        metadata = self._metadata(record.key, record.generation)
        self.cache.policies.upsert({"metadata": metadata, "spec": self._policies[record.key], "status": status})

    def declare(
        self, name: str, *, namespace: str = NAMESPACE, status: Mapping[str, Any] | None = None, **spec: Any
    ) -> None:
        """Declare or change the object; `status` defaults to the last one that was written."""
        key = ObjectKey(namespace, name)
        before = self.cache.certificates.get(key)
        if status is None:
            status = self.last_status(key) if before else {}
        self._applied(key, before.generation + 1 if before else 1, spec, status)

    def reload(self, name: str, **spec: Any) -> None:
        """Load the object as a new process does: only its status is known."""
        key = ObjectKey(NAMESPACE, name)
        generation = self.cache.certificates[key].generation
        self.cache.remove_certificate(key)
        self._applied(key, generation, spec, self.last_status(key))

    def recreate(self, name: str, **spec: Any) -> None:
        """Another object of this name, as `kubectl replace --force` makes it: another uid, and no status."""
        key = ObjectKey(NAMESPACE, name)
        self.delete(name)
        self._recreated[key] += 1
        self._applied(key, 1, spec, {})

    def last_status(self, key: ObjectKey) -> Mapping[str, Any]:
        """The last status that the API server has accepted."""
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
        self.api.objects[f"{_OBJECTS}/{key.namespace}/clientcertificates/{key.name}"] = body
        self.cache.upsert_certificate(body)

    def put(self, name: str, *, days: float) -> None:
        """Put a new certificate into the Secret; its watch reports the change."""
        issued = _AUTHORITY.issue(name, CREATED, self.clock() + days * DAY + HOUR, private_key=_KEY)
        self.put_pem(name, issued.certificate_pem)

    def put_pem(self, name: str, content: bytes) -> None:
        """Put this content into the Secret; its watch reports the change."""
        self.api.version += 1
        version = str(self.api.version)
        self.secrets.held[name] = Content(content, f"sha256:{version}", version)
        for namespace in {key.namespace for key in self.cache.certificates}:
            self.cache.secret_changed(namespace, name, version)

    def delete(self, name: str, *, namespace: str = NAMESPACE) -> None:
        """Deliver the deletion as the watch does."""
        key = ObjectKey(namespace, name)
        assert self.cache.remove_certificate(key, self._uid(key))

    def record(self, name: str, *, namespace: str = NAMESPACE) -> CertificateRecord:
        return self.cache.certificates[ObjectKey(namespace, name)]

    def failures(self, name: str, *, namespace: str = NAMESPACE) -> Mapping[str, DeliveryFailure]:
        """The failed channels, by name."""
        return self.outbox.failures(self.record(name, namespace=namespace))

    def digest_failed(self, reason: str) -> bool:
        """True if a group failed to send, for this reason."""
        return any(group.failure and group.failure.reason == reason for group in self.groups._groups.values())

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """Status and reason, as last written."""
        found = self.record(name).status.condition(kind) or Condition(kind, "", "")
        return found.status, found.reason

    def condition_in(self, namespace: str, name: str) -> tuple[str, str]:
        """AlertsDelivered in this namespace, as last written."""
        found = self.record(name, namespace=namespace).status.condition("AlertsDelivered") or Condition("", "", "")
        return found.status, found.reason

    def written(self, name: str, kind: str) -> list[tuple[str, str]]:
        """Status and reason in each status that was written, in order."""
        entries = [status["conditions"] for path, status in self.api.statuses if f"/{name}/" in path]
        return [(each["status"], each["reason"]) for entry in entries for each in entry if each["type"] == kind]

    def _uid(self, key: ObjectKey) -> str:
        first = f"uid-{key.namespace}-{key.name}"
        return f"{first}-{self._recreated[key]}" if key in self._recreated else first

    def _metadata(self, key: ObjectKey, generation: int) -> dict[str, Any]:
        self.api.version += 1
        return {
            "namespace": key.namespace,
            "name": key.name,
            "uid": self._uid(key),
            "resourceVersion": str(self.api.version),
            "generation": generation,
            "creationTimestamp": f"{self.created:%Y-%m-%dT%H:%M:%SZ}",
        }


async def until(holds: Callable[[], object], seconds: float = 600.0) -> None:
    """Wait until the condition holds; fail if it does not in time."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


def consumers_in(messages: list[tuple[str, ...]]) -> list[str]:
    """All consumers that the messages name, sorted, with repetitions."""
    return sorted(consumer for consumers in messages for consumer in consumers)


async def _no_password(_namespace: str, _ref: SecretKeyRef) -> str:
    raise AssertionError("no source here has one")
