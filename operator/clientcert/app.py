"""The composition root: settings → adapters → engine → handlers. Only this module creates the operator's clock."""

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import uvloop

from clientcert import app_adapters as adapters
from clientcert import app_alerts as alerts
from clientcert import app_gauges as gauges
from clientcert import garbage_collection, memory_allocator
from clientcert.alerting.alert_tests import AlertTestOutbox
from clientcert.api.installed_kinds import OPENAPI_PATH
from clientcert.app_renewals import Shared, issuers, reconcilers
from clientcert.cache.informers import Informers
from clientcert.cache.resync import Resync
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.alert_test import AlertTestParts
from clientcert.controllers.certificate_store import StorePoller
from clientcert.controllers.engine import Engine
from clientcert.controllers.recovery import Recovery
from clientcert.controllers.store_discovery.examiner import Examiner
from clientcert.controllers.store_discovery.fenced_writer import FencedWriter
from clientcert.controllers.store_discovery.making import Maker
from clientcert.controllers.store_discovery.pruning import Pruner
from clientcert.controllers.store_discovery.reconciler import STORE_DISCOVERY, StoreDiscovery
from clientcert.controllers.version_check import VersionCheck
from clientcert.controllers.workers import Reconciler, Workers
from clientcert.health import STALLED_SECONDS, HealthServer
from clientcert.heartbeat import Heartbeat
from clientcert.kube.client import KubeClient
from clientcert.logs import configure_logging
from clientcert.metrics import Metrics
from clientcert.network.egress import EgressPolicy
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
    memory_allocator.configure()
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
    parts = await alerts.alert_parts(settings, outside, stack)
    dispatcher = alerts.dispatcher_of(outside, parts)
    found = issuers(settings, outside.client, outside.labelled_secrets, clock)
    tests = alerts.alert_test_parts(settings, outside, parts, dispatcher)
    by_kind = alerts.alert_reconcilers(outside, parts, dispatcher, found.readiness)
    by_kind |= reconcilers(_shared(settings, outside, parts), found)
    by_kind |= alerts.alert_test_reconcilers(tests, parts.evaluator)
    discovery = by_kind[STORE_DISCOVERY] = _store_discovery(settings, outside, parts.sources)
    poller = StorePoller(
        outside.cache,
        parts.sources,
        outside.buckets,
        discovery,
        outside.client,
        parts.statuses,
        clock,
        outside.metrics,
        outside.loop_budget,
    )
    engine = _engine(outside, parts, by_kind, tests.outbox, poller)
    outside.metrics.observe_only.set(settings.observe_only)
    gauges.expose(outside.metrics, engine, parts.limiter, parts.every_group)
    _expose_waits(outside, parts, tests, poller)
    return Parts(
        engine,
        outside.informers,
        parts.sources,
        outside.client,
        outside.egress,
        outside.own_secrets,
        outside.metrics,
    )


def _store_discovery(settings: Settings, outside: adapters.Outside, sources: SourceCache) -> StoreDiscovery:
    cache, clock, metrics, budget = outside.cache, outside.clock, outside.metrics, outside.loop_budget
    roles = {"create": settings.role("discover-certificates"), "delete": settings.role("prune-certificates")}
    writer = FencedWriter(outside.client, outside.leadership.allows)
    maker = Maker(cache, outside.buckets, sources, writer, clock, metrics)
    examiner = Examiner(cache, maker, clock, budget)
    pruner = Pruner(cache, writer, clock, metrics, budget)
    return StoreDiscovery(cache, outside.informers, outside.queue, examiner, pruner, roles, clock, budget)


def _shared(settings: Settings, outside: adapters.Outside, parts: alerts.AlertParts) -> Shared:
    return Shared(
        settings,
        outside.client,
        outside.queue,
        outside.cache,
        outside.informers,
        parts.sources,
        outside.buckets,
        parts.contacts,
        parts.evaluator,
        parts.notifiers,
        parts.limiter,
        parts.notice_groups,
        parts.renewal_outbox,
        parts.statuses,
        outside.leadership.allows,
        outside.clock,
        outside.metrics,
        outside.loop_budget,
    )


def _engine(
    outside: adapters.Outside,
    parts: alerts.AlertParts,
    by_kind: Mapping[str, Reconciler],
    tests: AlertTestOutbox,
    poller: StorePoller,
) -> Engine:
    client, cache, queue, metrics = outside.client, outside.cache, outside.queue, outside.metrics
    outbox, renewal_outbox = parts.outbox, parts.renewal_outbox
    resync = Resync(cache, client, outside.informers, queue, metrics)
    recovery = Recovery(queue, cache, parts.sources, outbox, renewal_outbox, parts.every_group, poller)
    outboxes = (outbox, renewal_outbox, tests)
    workers = Workers(queue, by_kind, recovery, outboxes, outside.clock, metrics, loop_budget=outside.loop_budget)
    return Engine(cache, queue, workers, poller, resync, recovery, parts.lists, outside.leadership, client)


def _expose_waits(
    outside: adapters.Outside, parts: alerts.AlertParts, tests: AlertTestParts, poller: StorePoller
) -> None:
    """Show what waits in each place that namespaces share."""
    shared: dict[str, gauges.SharedPlace] = {
        "containers": parts.sources.openings,
        "name look-ups": outside.egress.foreign_lookups,
        "user look-ups": parts.users.lookups,
        "API calls": outside.client.slots,
        "S3 requests": outside.buckets.requests,
        "polls": poller.slots,
        "test alerts": tests.slots,
    }
    gauges.expose_waits(outside.metrics, parts.limiter, shared)
    gauges.expose_reads(outside.metrics, outside.byte_budgets)
