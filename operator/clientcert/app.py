"""The composition root: settings → adapters → engine → handlers. Only this module creates the operator's clock."""

import logging
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import uvloop

from clientcert import app_adapters as adapters
from clientcert import app_gauges as gauges
from clientcert import garbage_collection
from clientcert.alerting.alert_test_slots import AlertTestSlots
from clientcert.alerting.alert_tests import AlertTestOutbox, AlertTestSender
from clientcert.alerting.dispatcher import NotificationDispatcher
from clientcert.alerting.evaluator import Evaluator
from clientcert.alerting.grouping import ALERT_GROUP, AlertGroups
from clientcert.alerting.notice_groups import NoticeGroups
from clientcert.alerting.outbox import Outbox
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.api.installed_kinds import OPENAPI_PATH
from clientcert.app_renewals import Shared, issuers, reconcilers
from clientcert.cache.client_lists import ClientLists
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.informers import Informers
from clientcert.cache.missing_references import MissingReferences
from clientcert.cache.object_cache import CERTIFICATE, CERTIFICATE_TEST
from clientcert.cache.policies import POLICY, POLICY_TEST
from clientcert.cache.resync import Resync
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.alert_group import AlertDigests
from clientcert.controllers.alert_test import AlertTestParts, CertificateTests, PolicyTests
from clientcert.controllers.certificate.reconciler import CertificateReconciler
from clientcert.controllers.certificate_policy import PolicyReconciler
from clientcert.controllers.certificate_store import StorePoller
from clientcert.controllers.engine import Engine
from clientcert.controllers.message_group import MessageGroupReconciler
from clientcert.controllers.recovery import Recovery
from clientcert.controllers.version_check import VersionCheck
from clientcert.controllers.workers import Reconciler, Workers
from clientcert.health import STALLED_SECONDS, HealthServer
from clientcert.heartbeat import Heartbeat
from clientcert.kube.client import KubeClient
from clientcert.kube.events import EventRecorder
from clientcert.kube.status_writer import StatusWriter
from clientcert.lifecycle.spec import S3Source, SecretSource
from clientcert.logs import configure_logging
from clientcert.metrics import Metrics
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.interface import DigestCapable
from clientcert.own_secrets import OwnSecrets
from clientcert.settings import Settings
from clientcert.supervisor import Supervisor

_SWITCH_SECONDS = 0.0005
"""A thread that renders metrics gives the interpreter lock back after this time. Each read and write of TLS releases
the lock, and the event loop may wait as long to get it again; CPython's default is 5 ms."""

logger = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def run(settings: Settings, clock: Callable[[], datetime] = _utc_now) -> None:
    """Run the operator until SIGTERM or SIGINT. `clock` is the wall clock, in any time zone."""
    configure_logging(settings.log_format, settings.log_level)
    for warning in settings.warnings():
        logger.warning("%s", warning)
    garbage_collection.configure()
    sys.setswitchinterval(_SWITCH_SECONDS)
    uvloop.run(_run(settings, lambda: clock() + settings.clock_offset))


async def _run(settings: Settings, clock: Callable[[], datetime]) -> None:
    async with AsyncExitStack() as stack:
        parts = await assemble(settings, clock, stack)
        leadership, engine, metrics = parts.engine.leadership, parts.engine, parts.metrics
        versions = VersionCheck(partial(parts.client.get, OPENAPI_PATH), lambda: leadership.leader_version, metrics)
        supervisor = Supervisor(engine, parts.informers, metrics, parts.own_secrets, versions)
        health = HealthServer(
            parts.engine.cache,
            parts.sources,
            metrics,
            engine.stalled_seconds,
            lambda: supervisor.is_ready,
            lambda: leadership.is_leader,
            clock,
            x509=settings.x509_metrics,
        )
        heartbeat = _heartbeat(settings, parts, lambda: supervisor.is_ready)
        await supervisor.run(health, settings.host, settings.port, settings.resync.total_seconds(), heartbeat)


def _heartbeat(settings: Settings, parts: "Parts", is_ready: Callable[[], bool]) -> Heartbeat | None:
    """None without a URL, and if the operator only observes.

    The settings of two clusters may have the same URL: the calls of the one would hide that the other has failed.
    """
    if not settings.heartbeat_url or settings.observe_only:
        return None
    engine, heartbeats = parts.engine, parts.metrics.heartbeats
    return Heartbeat(
        parts.own_secrets.of("heartbeat_url"),
        parts.egress,
        lambda: engine.leadership.is_leader and is_ready() and engine.stalled_seconds() < STALLED_SECONDS,
        on_call=lambda outcome: heartbeats.labels(outcome).inc(),
    )


@dataclass(frozen=True)
class Parts:
    """The parts that the process needs after assembly."""

    engine: Engine
    informers: Informers
    sources: SourceCache
    client: KubeClient
    egress: EgressPolicy
    own_secrets: OwnSecrets
    metrics: Metrics


async def assemble(settings: Settings, clock: Callable[[], datetime], stack: AsyncExitStack) -> Parts:
    """Create every part once, each after those that it uses. The stack closes the parts that need it."""
    outside = adapters.outside(settings, clock, _utc_now, stack)
    client, cache, queue, metrics = outside.client, outside.cache, outside.queue, outside.metrics
    events, statuses, outbox = EventRecorder(client, clock), StatusWriter(client, metrics), Outbox()
    users, notifiers = await adapters.channels(settings, outside, events, stack)
    lists = ClientLists(client.get, cache.client_list_changed)
    sources = _source_cache(outside)
    contacts = ContactLookup(cache, lists, users, clock)
    digest_types = frozenset(kind for kind, each in notifiers.items() if isinstance(each, DigestCapable))
    groups, notice_groups = AlertGroups(cache, queue, digest_types), NoticeGroups(cache, queue, digest_types)
    renewal_outbox, limiter, every_group = RenewalOutbox(), ChannelRateLimiter(queue), (groups, notice_groups)
    allows = outside.leadership.allows
    dispatcher = NotificationDispatcher(notifiers, limiter, groups, outbox, allows, clock, metrics)
    evaluator = Evaluator(
        cache,
        sources,
        contacts,
        outbox,
        adapters.default_channel_of(settings),
        clock,
        cluster=settings.cluster,
        observe_only=settings.observe_only,
    )
    budget = outside.loop_budget
    missing = MissingReferences(cache, client)
    certificates = CertificateReconciler(
        cache, missing, sources, contacts, evaluator, dispatcher, outbox, events, statuses, client, clock, budget
    )
    found = issuers(settings, client, outside.labelled_secrets, clock)
    policies = PolicyReconciler(
        cache, every_group, limiter, outbox, renewal_outbox, statuses, client, clock, budget, found.readiness
    )
    digests = AlertDigests(cache, queue, evaluator, groups, dispatcher, outbox, policies, clock, budget)
    shared = Shared(
        settings,
        client,
        queue,
        cache,
        outside.informers,
        sources,
        outside.buckets,
        contacts,
        evaluator,
        notifiers,
        limiter,
        notice_groups,
        renewal_outbox,
        statuses,
        allows,
        clock,
        metrics,
        budget,
    )
    alert_groups = MessageGroupReconciler(groups, digests, limiter, clock, metrics)
    by_kind: dict[str, Reconciler] = {POLICY: policies, CERTIFICATE: certificates, ALERT_GROUP: alert_groups}
    by_kind |= reconcilers(shared, found)
    tests = _alert_tests(shared, dispatcher)
    by_kind |= {CERTIFICATE_TEST: CertificateTests(tests, evaluator), POLICY_TEST: PolicyTests(tests)}
    poller = StorePoller(cache, sources, outside.buckets, client, statuses, clock, metrics, budget)
    resync = Resync(cache, client, outside.informers, queue, metrics)
    recovery = Recovery(queue, cache, sources, outbox, renewal_outbox, every_group, poller)
    workers = Workers(queue, by_kind, recovery, (outbox, renewal_outbox, tests.outbox), clock, metrics)
    engine = Engine(cache, queue, workers, poller, resync, recovery, lists, outside.leadership, client)
    metrics.observe_only.set(settings.observe_only)
    gauges.expose(metrics, engine, limiter, every_group)
    fair = {"containers": sources.openings, "name look-ups": outside.egress.foreign_lookups}
    reads = {"API calls": client.slots, "S3 requests": outside.buckets.requests, "polls": poller.slots}
    gauges.expose_waits(metrics, limiter, fair | reads | {"user look-ups": users.lookups})
    gauges.expose_reads(metrics, outside.byte_budgets)
    return Parts(engine, outside.informers, sources, client, outside.egress, outside.own_secrets, metrics)


def _alert_tests(shared: Shared, dispatcher: NotificationDispatcher) -> AlertTestParts:
    settings = shared.settings
    sender = AlertTestSender(
        dispatcher,
        shared.limiter,
        shared.clock,
        has_mail_domains=bool(settings.mail_domains),
        observe_only=settings.observe_only,
    )
    return AlertTestParts(
        shared.cache, shared.queue, sender, AlertTestSlots(), AlertTestOutbox(), shared.statuses, shared.clock
    )


def _source_cache(outside: adapters.Outside) -> SourceCache:
    return SourceCache(
        outside.cache,
        {SecretSource: outside.secrets, S3Source: outside.buckets},
        outside.secrets.read_password,
        outside.clock,
        outside.metrics,
        outside.loop_budget,
    )
