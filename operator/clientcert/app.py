"""The composition root: settings → adapters → engine → handlers. Only here are the clock and the environment read."""

import gc
import logging
import socket
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial

import uvloop

from clientcert.api.policy import default_channel
from clientcert.egress import EgressPolicy
from clientcert.errors import Reason
from clientcert.handlers.watching import build_registry
from clientcert.health import HealthServer
from clientcert.kube.client import KubeClient
from clientcert.kube.connection import load_connection, own_namespace
from clientcert.kube.events import EventRecorder
from clientcert.kube.lease import AlwaysLeads, Leads, LeaseLeadership
from clientcert.kube.watch import SecretWatch
from clientcert.lifecycle.declaration import Bucket, ObjectKey, S3Source, SecretKeyRef, SecretSource
from clientcert.lifecycle.policy import Channel
from clientcert.logs import configure_logging
from clientcert.metrics import Metrics
from clientcert.notifiers.event import EventNotifier
from clientcert.notifiers.slack import OwnSlack, SlackNotifier
from clientcert.reconcile.api_outage import ApiOutage
from clientcert.reconcile.certificate import CertificateReconciler
from clientcert.reconcile.engine import Engine
from clientcert.reconcile.observe import Observer
from clientcert.reconcile.pacing import Pacer
from clientcert.reconcile.polling import StorePoller
from clientcert.reconcile.resync import Resync
from clientcert.reconcile.scheduler import Scheduler
from clientcert.reconcile.store import Store
from clientcert.reconcile.tell import EVENT, Teller
from clientcert.settings import Settings
from clientcert.sources.s3 import S3Reader
from clientcert.sources.secret import SecretReader
from clientcert.supervisor import Supervisor
from clientcert.turns import Turns

_COLLECTIONS = (5_000, 5, 1_000)
"""Garbage is looked for often among what is new, and hardly ever among ten thousand records: that stalls the loop."""

DEFAULT_NAMESPACE = "clientcert-system"
"""Where the Lease is when the operator runs outside of a pod and is told nothing else."""

logger = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def run(settings: Settings, clock: Callable[[], datetime] = _utc_now) -> None:
    """Run the operator until it is told to stop. `clock` is the wall clock, in any time zone."""
    configure_logging(settings.log_format, settings.log_level)
    if settings.clock_offset:
        logger.warning("REHEARSAL: the clock is moved by %s; alerts are sent as if it was true", settings.clock_offset)
    gc.set_threshold(*_COLLECTIONS)
    uvloop.run(_run(settings, lambda: clock() + settings.clock_offset))


async def _run(settings: Settings, clock: Callable[[], datetime]) -> None:
    client = KubeClient(
        partial(
            load_connection,
            cluster_host=settings.cluster_host,
            cluster_port=settings.cluster_port,
            kubeconfig=settings.kubeconfig,
            context=settings.context,
        )
    )
    metrics = Metrics()
    leadership = _leadership(settings, client, clock)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.close)
        engine, watches = await _engine(settings, client, leadership, clock, metrics, stack)
        supervisor = Supervisor(engine, watches, partial(build_registry, engine, client), metrics)
        health = HealthServer(
            engine.store,
            metrics,
            engine.standing,
            lambda: supervisor.is_ready,
            lambda: leadership.is_leader,
            x509=settings.x509_metrics,
        )
        await supervisor.run(health, settings.host, settings.port, settings.resync.total_seconds())


def _leadership(settings: Settings, client: KubeClient, clock: Callable[[], datetime]) -> Leads:
    if not settings.leader_election:
        return AlwaysLeads()
    # A pod's name comes back after a restart; another process must never take itself for the holder.
    identity = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    return LeaseLeadership(client, settings.lease_namespace or own_namespace() or DEFAULT_NAMESPACE, identity, clock)


async def _engine(
    settings: Settings,
    client: KubeClient,
    leadership: Leads,
    clock: Callable[[], datetime],
    metrics: Metrics,
    stack: AsyncExitStack,
) -> tuple[Engine, Mapping[str, SecretWatch]]:
    pacer = Pacer(wake=lambda key: scheduler.wake(key))
    store = Store(lambda key: scheduler.wake(key), pacer.mended, _default_channel(settings))
    egress = EgressPolicy(settings.allowed_hosts)
    secrets = SecretReader(lambda namespace, name: client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}"))
    turns = Turns()
    stores = S3Reader(partial(_bucket_of, store), secrets, egress, settings.identity_buckets, turns=turns)
    stack.push_async_callback(stores.close)
    slack = await stack.enter_async_context(_slack(settings, secrets, egress))
    events = EventRecorder(client, clock)
    reconciler = CertificateReconciler(
        store,
        Observer(
            {SecretSource: secrets, S3Source: stores},
            partial(_secret_text, secrets, Reason.PASSWORD_NOT_FOUND),
            clock,
            metrics,
            turns,
        ),
        Teller(
            {"Slack": slack, EVENT: EventNotifier(events)},
            store.default_channel,
            pacer,
            leadership.allows,
            clock,
            metrics,
            turns,
        ),
        events,
        client,
        clock,
        metrics,
        turns,
    )
    scheduler = Scheduler(reconciler.reconcile, store.urgency, clock, store.clock_was_set, metrics)
    _show(metrics, leadership, scheduler, pacer)
    poller = StorePoller(store, stores, client, clock, metrics)
    watches = {
        namespace: SecretWatch(
            client, namespace, store.secret_changed, store.secrets_wanted, lambda returned: resync.ask(returned)
        )
        for namespace in settings.namespaces or ("",)
    }

    def try_again(namespace: str = "", *, refused: bool = False) -> None:
        store.try_again(namespace, refused=refused)
        scheduler.try_again(refused=refused)

    resync = Resync(store, client, watches, try_again, leadership, clock, metrics)
    outage = ApiOutage(partial(resync.count, next(iter(watches))), try_again)
    client.on_outage = outage.begins
    return Engine(store, scheduler, poller, resync, outage, stores, leadership, client, clock), watches


def _slack(settings: Settings, secrets: SecretReader, egress: EgressPolicy) -> SlackNotifier:
    own = OwnSlack(settings.slack_channel, settings.slack_token, settings.slack_webhook_url)
    return SlackNotifier(own, settings.slack_api_url, partial(_secret_text, secrets, Reason.TOKEN_NOT_FOUND), egress)


def _show(metrics: Metrics, leadership: Leads, scheduler: Scheduler, pacer: Pacer) -> None:
    metrics.leader.set_function(lambda: leadership.is_leader)
    metrics.queue_depth.set_function(lambda: scheduler.depth)
    metrics.notifications_waiting.labels("rate").set_function(lambda: pacer.waiting)
    metrics.notifications_waiting.labels("outage").set_function(lambda: pacer.waiting_for_recovery)


async def _secret_text(secrets: SecretReader, reason: Reason, namespace: str, ref: SecretKeyRef) -> str:
    return await secrets.read_secret_text(namespace, ref, missing=reason)


def _bucket_of(store: Store, namespace: str, name: str) -> Bucket | None:
    record = store.stores.get(ObjectKey(namespace, name))
    return record.bucket if record else None


def _default_channel(settings: Settings) -> Channel | None:
    if settings.slack_token or settings.slack_webhook_url:
        return default_channel(settings.slack_channel)
    return None
