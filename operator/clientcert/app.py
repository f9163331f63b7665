"""The composition root: settings → adapters → engine → handlers. Only this module creates the operator's clock."""

import logging
import socket
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import uvloop

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
from clientcert.api.policy import default_channel
from clientcert.app_renewals import Shared, issuers, reconcilers
from clientcert.cache.client_lists import ClientLists
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.informers import Informers, Watches
from clientcert.cache.missing_references import MissingReferences
from clientcert.cache.object_cache import CERTIFICATE, CERTIFICATE_TEST, ObjectCache
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
from clientcert.errors import Reason
from clientcert.health import STALLED_SECONDS, HealthServer
from clientcert.heartbeat import Heartbeat
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.kube.events import EventRecorder
from clientcert.kube.kubeconfig import load_connection, own_namespace
from clientcert.kube.labelled_secrets import LabelledSecrets
from clientcert.kube.leader_election import LeaderElector
from clientcert.kube.leadership import AlwaysLeader, Leadership
from clientcert.kube.status_writer import StatusWriter
from clientcert.lifecycle.policy import EVENT, Channel
from clientcert.lifecycle.spec import S3Source, SecretKeyRef, SecretSource
from clientcert.logs import configure_logging
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.network.byte_budget import API_BUDGET_BYTES, ByteBudget
from clientcert.network.egress import EgressPolicy
from clientcert.network.proxy import Proxy
from clientcert.notifiers.apprise import AppriseNotifier, load_apprise
from clientcert.notifiers.consumer_contact import ContactNotifier
from clientcert.notifiers.email.notifier import EmailNotifier
from clientcert.notifiers.email.smtp import MailServer
from clientcert.notifiers.http.alertmanager import AlertmanagerNotifier
from clientcert.notifiers.http.webhook import WebhookNotifier
from clientcert.notifiers.interface import DigestCapable, Notifier
from clientcert.notifiers.kubernetes_event import EventNotifier
from clientcert.notifiers.slack.channel import OwnSlack, SlackNotifier
from clientcert.notifiers.slack.direct_message import SlackDirectNotifier
from clientcert.notifiers.slack.tokens import SlackTokens
from clientcert.notifiers.slack.user_directory import SlackUsers
from clientcert.own_secrets import OwnSecrets
from clientcert.settings import Settings
from clientcert.sources.s3 import S3Reader
from clientcert.sources.secret import SecretReader
from clientcert.supervisor import Supervisor
from clientcert.workqueue.work_queue import WorkQueue

DEFAULT_NAMESPACE = "clientcert-system"
"""Namespace of the Lease if the operator runs outside of a pod and the settings name none."""

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


@dataclass(frozen=True)
class _Outside:
    """Everything that communicates with the outside, and the parts it needs; created before the engine."""

    client: KubeClient
    leadership: Leadership
    egress: EgressPolicy
    own_secrets: OwnSecrets
    queue: WorkQueue
    cache: ObjectCache
    informers: Informers
    secrets: SecretReader
    buckets: S3Reader
    labelled_secrets: LabelledSecrets
    clock: Callable[[], datetime]
    metrics: Metrics
    loop_budget: LoopBudget
    byte_budgets: tuple[ByteBudget, ...]


async def assemble(settings: Settings, clock: Callable[[], datetime], stack: AsyncExitStack) -> Parts:
    """Create every part once, each after those that it uses. The stack closes the parts that need it."""
    outside = _outside(settings, clock, stack)
    client, cache, queue, metrics = outside.client, outside.cache, outside.queue, outside.metrics
    events, statuses, outbox = EventRecorder(client, clock), StatusWriter(client, metrics), Outbox()
    users, notifiers = await _channels(settings, outside, events, stack)
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
        _default_channel(settings),
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


def _outside(settings: Settings, clock: Callable[[], datetime], stack: AsyncExitStack) -> _Outside:
    loop_budget, own_secrets = LoopBudget(), OwnSecrets(settings)
    egress = EgressPolicy(settings.allowed_hosts, proxy=Proxy(own_secrets.of("proxy"), settings.no_proxy))
    # The server of a tenant's bucket may stall, and must not hold up the API server's answers.
    api_budget, bucket_budget = byte_budgets = ByteBudget(API_BUDGET_BYTES), ByteBudget()
    client = _client(settings, api_budget, observe_only=settings.observe_only)
    stack.push_async_callback(client.close)
    # A client of its own: no other call delays the renewal of the Lease, nor does an answer that waits for memory.
    elector = _client(settings, ByteBudget())
    stack.push_async_callback(elector.close)
    queue = WorkQueue(clock)
    cache = ObjectCache(queue, _default_channel(settings))
    namespaces = settings.namespaces or ("",)
    watches = {each: Watches.of(client, each, cache, loop_budget) for each in namespaces}
    informers = Informers(cache, watches, loop_budget)
    secrets = SecretReader(partial(_get_secret, client, watches))
    buckets = S3Reader(
        cache.bucket, secrets, egress, settings.identity_buckets, loop_budget=loop_budget, byte_budget=bucket_budget
    )
    stack.push_async_callback(buckets.close)
    return _Outside(
        client=client,
        leadership=_leadership(settings, elector, clock),
        egress=egress,
        own_secrets=own_secrets,
        queue=queue,
        cache=cache,
        informers=informers,
        secrets=secrets,
        buckets=buckets,
        labelled_secrets=LabelledSecrets(partial(_get_secret, client, watches), client, settings.role("write-secrets")),
        clock=clock,
        metrics=Metrics(),
        loop_budget=loop_budget,
        byte_budgets=byte_budgets,
    )


def _source_cache(outside: _Outside) -> SourceCache:
    return SourceCache(
        outside.cache,
        {SecretSource: outside.secrets, S3Source: outside.buckets},
        outside.secrets.read_password,
        outside.clock,
        outside.metrics,
        outside.loop_budget,
    )


async def _channels(
    settings: Settings, outside: _Outside, events: EventRecorder, stack: AsyncExitStack
) -> tuple[SlackUsers, dict[str, Notifier]]:
    """The user directory, and a notifier for each type of channel; none if the operator only observes."""
    egress, enter = outside.egress, stack.enter_async_context
    text = partial(_token, outside.secrets)
    own_token = outside.own_secrets.of("slack_token")
    own = OwnSlack(settings.slack_channel, own_token, outside.own_secrets.of("slack_webhook_url"))
    tokens = SlackTokens(own_token, settings.slack_namespaces, text)
    direct = SlackDirectNotifier(tokens, outside.cache.slack_token_ref, settings.slack_api_url, egress)
    users = await enter(SlackUsers(tokens, settings.slack_api_url, egress))
    notifiers: dict[str, Notifier] = {
        "Slack": await enter(SlackNotifier(own, settings.slack_api_url, text, egress)),
        "Email": ContactNotifier(EmailNotifier(_mail_server(settings, outside.own_secrets)), await enter(direct)),
        "Webhook": await enter(WebhookNotifier(text, egress, _utc_now)),
        "Alertmanager": await enter(AlertmanagerNotifier(text, egress, _utc_now)),
        "Apprise": AppriseNotifier(text, egress, load_apprise),
        EVENT: EventNotifier(events),
    }
    return users, {} if settings.observe_only else notifiers


async def _get_secret(client: KubeClient, watches: Mapping[str, Watches], namespace: str, name: str) -> Object:
    """Get a Secret, no older than the last change that the watch has seen.

    The API server answers from memory, without etcd.
    """
    watch = (watches.get(namespace) or watches[""]).secrets
    is_known = watch.established.is_set() and watch.object_version
    version = f"?resourceVersion={watch.object_version}" if is_known else ""
    return await client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}{version}")


def _client(settings: Settings, byte_budget: ByteBudget, *, observe_only: bool = False) -> KubeClient:
    return KubeClient(
        partial(
            load_connection,
            cluster_host=settings.cluster_host,
            cluster_port=settings.cluster_port,
            kubeconfig=settings.kubeconfig,
            context=settings.context,
        ),
        budget=byte_budget,
        observe_only=observe_only,
    )


def _leadership(settings: Settings, client: KubeClient, clock: Callable[[], datetime]) -> Leadership:
    if not settings.leader_election:
        return AlwaysLeader()
    # A pod keeps its name after a restart; another process must never be taken for the holder.
    identity = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
    namespace = settings.lease_namespace or own_namespace() or DEFAULT_NAMESPACE
    return LeaderElector(client, namespace, identity, clock, settings.installation)


def _mail_server(settings: Settings, own_secrets: OwnSecrets) -> MailServer | None:
    if not settings.smtp_host:
        return None
    return MailServer(
        settings.smtp_host,
        settings.smtp_port,
        own_secrets.of("smtp_username"),
        own_secrets.of("smtp_password"),
        settings.smtp_from,
        settings.smtp_tls,
        settings.smtp_per_second,
        settings.mail_domains,
        settings.mail_namespaces,
    )


async def _token(secrets: SecretReader, namespace: str, ref: SecretKeyRef) -> str:
    return await secrets.read_secret_text(namespace, ref, missing=Reason.TOKEN_NOT_FOUND)


def _default_channel(settings: Settings) -> Channel | None:
    if settings.slack_token or settings.slack_webhook_url:
        return default_channel(settings.slack_channel)
    return None
