"""The composition root: settings → adapters → engine → handlers. Only here are the clock and the environment read."""

import gc
import logging
import socket
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial

import uvloop

from clientcert.alerting.digests import Digests
from clientcert.alerting.dispatcher import EVENT, NotificationDispatcher
from clientcert.alerting.grouping import AlertGroups
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.api.policy import default_channel
from clientcert.cache.api_recovery import ApiRecovery
from clientcert.cache.client_lists import ClientLists
from clientcert.cache.informers import watch_certificates, watch_secrets
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.resync import Resync
from clientcert.controllers.certificate.contact_lookup import Contacts
from clientcert.controllers.certificate.observe import Observer
from clientcert.controllers.certificate.reconciler import CertificateReconciler
from clientcert.controllers.certificate_store import StorePoller
from clientcert.controllers.engine import Engine
from clientcert.errors import Reason
from clientcert.handlers.watching import build_registry
from clientcert.health import STANDSTILL_SECONDS, HealthServer
from clientcert.heartbeat import Heartbeat
from clientcert.kube.client import KubeClient, Object
from clientcert.kube.events import EventRecorder
from clientcert.kube.kubeconfig import load_connection, own_namespace
from clientcert.kube.leader_election import AlwaysLeader, LeaderElector, Leadership
from clientcert.lifecycle.policy import Channel
from clientcert.lifecycle.spec import Bucket, ObjectKey, S3Source, SecretKeyRef, SecretSource
from clientcert.logs import configure_logging
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.network.egress import EgressPolicy
from clientcert.notifiers.apprise import AppriseNotifier, load_apprise
from clientcert.notifiers.consumer_contact import ContactNotifier
from clientcert.notifiers.email.notifier import EmailNotifier
from clientcert.notifiers.email.smtp import MailServer
from clientcert.notifiers.http.alertmanager import AlertmanagerNotifier
from clientcert.notifiers.http.webhook import WebhookNotifier
from clientcert.notifiers.interface import Notifier
from clientcert.notifiers.kubernetes_event import EventNotifier
from clientcert.notifiers.slack.channel import OwnSlack, SlackNotifier
from clientcert.notifiers.slack.direct_message import SlackDirectNotifier
from clientcert.notifiers.slack.tokens import SlackTokens
from clientcert.notifiers.slack.user_directory import SlackUsers
from clientcert.settings import Settings
from clientcert.sources.s3 import S3Reader
from clientcert.sources.secret import SecretReader
from clientcert.supervisor import Supervisor
from clientcert.workqueue.scheduler import Scheduler

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
    async with AsyncExitStack() as stack:
        parts = _Parts(settings, clock, stack)
        engine = await parts.engine()
        supervisor = Supervisor(
            engine,
            parts.certificate_watches,
            parts.secret_watches,
            partial(build_registry, engine, parts.client),
            parts.metrics,
        )
        health = HealthServer(
            engine.store,
            parts.metrics,
            engine.standing,
            lambda: supervisor.is_ready,
            lambda: parts.leadership.is_leader,
            x509=settings.x509_metrics,
        )
        heartbeat = (
            Heartbeat(
                settings.heartbeat_url,
                parts.egress,
                lambda: parts.leadership.is_leader and supervisor.is_ready and engine.standing() < STANDSTILL_SECONDS,
                on_call=lambda outcome: parts.metrics.heartbeats.labels(outcome).inc(),
            )
            if settings.heartbeat_url
            else None
        )
        await supervisor.run(health, settings.host, settings.port, settings.resync.total_seconds(), heartbeat)


class _Parts:
    """Everything that there is one of, wired together. What must be closed is given to the stack."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime], stack: AsyncExitStack) -> None:
        self._settings = settings
        self._clock = clock
        self._stack = stack
        self.metrics = Metrics()
        self.client = _client(settings)
        stack.push_async_callback(self.client.close)
        self.leadership = _leadership(settings, self.client, clock)
        self._loop_budget = LoopBudget()
        self.egress = EgressPolicy(settings.allowed_hosts)
        self._secrets = SecretReader(self._get_secret)
        self._pacer = ChannelRateLimiter(wake=self._wake)
        self._gathering = AlertGroups(wake=self._wake)
        self.store = ObjectCache(self._wake, self._pacer.mended, _default_channel(settings))
        self._client_lists = ClientLists(self.client.get, self.store.client_list_changed)
        self._buckets = S3Reader(
            partial(_bucket_of, self.store),
            self._secrets,
            self.egress,
            settings.identity_buckets,
            loop_budget=self._loop_budget,
        )
        stack.push_async_callback(self._buckets.close)
        namespaces = settings.namespaces or ("",)
        self.certificate_watches = {
            each: watch_certificates(self.client, each, self.store, self._forget, self._loop_budget, self._ask)
            for each in namespaces
        }
        self.secret_watches = {
            each: watch_secrets(self.client, each, self.store, self._loop_budget, self._ask) for each in namespaces
        }
        self._resync = Resync(
            self.store, self.client, self.secret_watches, self._try_again, self.leadership, clock, self.metrics
        )
        self._outage = ApiRecovery(partial(self._resync.count, namespaces[0]), self._try_again)
        self.client.on_outage = self._outage.begins

    async def engine(self) -> Engine:
        """The engine, once: its notifiers are opened here."""
        reconciler = await self._reconciler()
        urgency, clock_was_set = self.store.urgency, self.store.clock_was_set
        self._scheduler = Scheduler(reconciler.reconcile, urgency, self._clock, clock_was_set, self.metrics)
        _show(self.metrics, self.leadership, self._scheduler, self._pacer, self._gathering)
        return Engine(
            self.store,
            self._scheduler,
            StorePoller(self.store, self._buckets, self.client, self._clock, self.metrics),
            self._resync,
            self._outage,
            self._buckets,
            self._client_lists,
            self.leadership,
            self.client,
            self._clock,
        )

    async def _reconciler(self) -> CertificateReconciler:
        events = EventRecorder(self.client, self._clock)
        users, notifiers = await self._channels(events)
        return CertificateReconciler(
            self.store,
            Observer(
                {SecretSource: self._secrets, S3Source: self._buckets},
                partial(_secret_text, self._secrets, Reason.PASSWORD_NOT_FOUND),
                self._clock,
                self.metrics,
                self._loop_budget,
            ),
            Contacts(self._client_lists, users, self._wake),
            NotificationDispatcher(
                notifiers,
                self.store.default_channel,
                self._pacer,
                Digests(self.store, self.client, notifiers, self._gathering, self._clock, self._loop_budget),
                self.leadership.allows,
                self._clock,
                self.metrics,
                self._loop_budget,
            ),
            events,
            self.client,
            self._clock,
            self.metrics,
            self._loop_budget,
        )

    async def _channels(self, events: EventRecorder) -> tuple[SlackUsers, dict[str, Notifier]]:
        """Who is looked up, and how each type of channel is told."""
        settings, egress, enter = self._settings, self.egress, self._stack.enter_async_context
        text = partial(_secret_text, self._secrets, Reason.TOKEN_NOT_FOUND)
        own = OwnSlack(settings.slack_channel, settings.slack_token, settings.slack_webhook_url)
        tokens = SlackTokens(settings.slack_token, settings.slack_namespaces, text)
        direct = SlackDirectNotifier(tokens, self._slack_token_ref, settings.slack_api_url, egress)
        return await enter(SlackUsers(tokens, settings.slack_api_url, egress)), {
            "Slack": await enter(SlackNotifier(own, settings.slack_api_url, text, egress)),
            "Email": ContactNotifier(EmailNotifier(_mail_server(settings)), await enter(direct)),
            "Webhook": await enter(WebhookNotifier(text, egress, _utc_now)),
            "Alertmanager": await enter(AlertmanagerNotifier(text, egress, _utc_now)),
            "Apprise": AppriseNotifier(text, egress, load_apprise),
            EVENT: EventNotifier(events),
        }

    def _slack_token_ref(self, key: ObjectKey) -> SecretKeyRef | None:
        """Of the policy of a certificate: with what its contacts are written to."""
        record = self.store.certificates.get(key)
        found = self.store.policies.get(record.policy_key) if record else None
        return found.policy.contacts.slack_token_ref if found else None

    # What is made early calls what is made late: nobody calls any of it before the engine runs.

    def _wake(self, key: ObjectKey) -> None:
        self._scheduler.wake(key)

    def _forget(self, key: ObjectKey) -> None:
        self._scheduler.forget(key)
        self._gathering.judged(key)
        self._pacer.pass_on(key)

    def _ask(self, namespace: str) -> None:
        self._resync.ask(namespace)

    def _try_again(self, namespace: str = "", *, refused: bool = False) -> None:
        self.store.try_again(namespace, refused=refused)
        self._scheduler.try_again(refused=refused)

    async def _get_secret(self, namespace: str, name: str) -> Object:
        """No older than what the watch has told: then the API server has it in memory, and asks etcd for nothing."""
        watch = self.secret_watches.get(namespace) or self.secret_watches[""]
        version = f"?resourceVersion={watch.version}" if watch.established.is_set() else ""
        return await self.client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}{version}")


def _client(settings: Settings) -> KubeClient:
    return KubeClient(
        partial(
            load_connection,
            cluster_host=settings.cluster_host,
            cluster_port=settings.cluster_port,
            kubeconfig=settings.kubeconfig,
            context=settings.context,
        )
    )


def _leadership(settings: Settings, client: KubeClient, clock: Callable[[], datetime]) -> Leadership:
    if not settings.leader_election:
        return AlwaysLeader()
    # A pod's name comes back after a restart; another process must never take itself for the holder.
    identity = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    return LeaderElector(client, settings.lease_namespace or own_namespace() or DEFAULT_NAMESPACE, identity, clock)


def _mail_server(settings: Settings) -> MailServer | None:
    if not settings.smtp_host:
        return None
    return MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_username,
        settings.smtp_password,
        settings.smtp_from,
        settings.smtp_tls,
        settings.mail_domains,
        settings.mail_namespaces,
    )


def _show(
    metrics: Metrics, leadership: Leadership, scheduler: Scheduler, pacer: ChannelRateLimiter, gathering: AlertGroups
) -> None:
    metrics.leader.set_function(lambda: leadership.is_leader)
    metrics.queue_depth.set_function(lambda: scheduler.depth)
    metrics.notifications_waiting.labels("rate").set_function(lambda: pacer.waiting)
    metrics.notifications_waiting.labels("digest").set_function(lambda: gathering.waiting)
    metrics.notifications_waiting.labels("outage").set_function(lambda: pacer.waiting_for_recovery)


async def _secret_text(secrets: SecretReader, reason: Reason, namespace: str, ref: SecretKeyRef) -> str:
    return await secrets.read_secret_text(namespace, ref, missing=reason)


def _bucket_of(store: ObjectCache, namespace: str, name: str) -> Bucket | None:
    record = store.stores.get(ObjectKey(namespace, name))
    return record.bucket if record else None


def _default_channel(settings: Settings) -> Channel | None:
    if settings.slack_token or settings.slack_webhook_url:
        return default_channel(settings.slack_channel)
    return None
