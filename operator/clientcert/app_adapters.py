"""Everything that communicates with the outside, made from the settings for the composition root (`app.py`)."""

import socket
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from clientcert.api.policy import default_channel
from clientcert.cache.informers import Informers, Watches
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.renewals import RENEWAL
from clientcert.errors import Reason
from clientcert.kube.client import KubeClient
from clientcert.kube.decoding import Object
from clientcert.kube.events import EventRecorder
from clientcert.kube.kubeconfig import load_connection, own_namespace
from clientcert.kube.labelled_secrets import LabelledSecrets
from clientcert.kube.leader_election import LeaderElector
from clientcert.kube.leadership import AlwaysLeader, Leadership
from clientcert.lifecycle.policy import EVENT, Channel
from clientcert.lifecycle.spec import SecretKeyRef
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
from clientcert.notifiers.interface import Notifier
from clientcert.notifiers.kubernetes_event import EventNotifier
from clientcert.notifiers.slack.channel import OwnSlack, SlackNotifier
from clientcert.notifiers.slack.direct_message import SlackDirectNotifier
from clientcert.notifiers.slack.tokens import SlackTokens
from clientcert.notifiers.slack.user_directory import SlackUsers
from clientcert.own_secrets import OwnSecrets
from clientcert.settings import Settings
from clientcert.sources.s3 import S3Reader
from clientcert.sources.secret import SecretReader
from clientcert.workqueue.work_queue import WorkQueue

DEFAULT_NAMESPACE = "clientcert-system"
"""Namespace of the Lease if the operator runs outside of a pod and the settings name none."""
_RENEWALS_AT_ONCE = 16
"""Enough to keep an API server busy with the ten calls of each. With more, every alert waits behind their calls."""


@dataclass(frozen=True)
class Outside:
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
    real_clock: Callable[[], datetime]
    """For signatures and times that a receiver compares with its own clock; no offset moves it."""
    metrics: Metrics
    loop_budget: LoopBudget
    byte_budgets: tuple[ByteBudget, ...]


def outside(
    settings: Settings, clock: Callable[[], datetime], real_clock: Callable[[], datetime], stack: AsyncExitStack
) -> Outside:
    """Create the clients, caches and readers. The stack closes those that need it."""
    loop_budget, own_secrets = LoopBudget(), OwnSecrets(settings)
    egress = EgressPolicy(settings.allowed_hosts, proxy=Proxy(own_secrets.of("proxy"), settings.no_proxy))
    # The server of a tenant's bucket may stall, and must not hold up the API server's answers.
    api_budget, bucket_budget = byte_budgets = ByteBudget(API_BUDGET_BYTES), ByteBudget()
    client = _client(settings, api_budget, loop_budget, observe_only=settings.observe_only)
    stack.push_async_callback(client.close)
    # A client of its own: no other call delays the renewal of the Lease, nor does an answer that waits for its turn.
    elector = _client(settings, ByteBudget(), LoopBudget())
    stack.push_async_callback(elector.close)
    queue = WorkQueue(clock, limits={RENEWAL: _RENEWALS_AT_ONCE})
    cache = ObjectCache(queue, default_channel_of(settings))
    namespaces = settings.namespaces or ("",)
    watches = {each: Watches.of(client, each, cache, loop_budget) for each in namespaces}
    informers = Informers(cache, watches, loop_budget)
    secrets = SecretReader(partial(get_secret, client, watches))
    buckets = S3Reader(
        cache.bucket, secrets, egress, settings.identity_buckets, loop_budget=loop_budget, byte_budget=bucket_budget
    )
    stack.push_async_callback(buckets.close)
    return Outside(
        client=client,
        leadership=_leadership(settings, elector, clock),
        egress=egress,
        own_secrets=own_secrets,
        queue=queue,
        cache=cache,
        informers=informers,
        secrets=secrets,
        buckets=buckets,
        labelled_secrets=LabelledSecrets(partial(get_secret, client, watches), client, settings.role("write-secrets")),
        clock=clock,
        real_clock=real_clock,
        metrics=Metrics(),
        loop_budget=loop_budget,
        byte_budgets=byte_budgets,
    )


async def channels(
    settings: Settings, parts: Outside, events: EventRecorder, stack: AsyncExitStack
) -> tuple[SlackUsers, dict[str, Notifier]]:
    """The user directory, and a notifier for each type of channel; none if the operator only observes."""
    egress, enter = parts.egress, stack.enter_async_context
    text = partial(_token, parts.secrets)
    own_token = parts.own_secrets.of("slack_token")
    own = OwnSlack(settings.slack_channel, own_token, parts.own_secrets.of("slack_webhook_url"))
    tokens = SlackTokens(own_token, settings.slack_namespaces, text)
    direct = SlackDirectNotifier(tokens, parts.cache.slack_token_ref, settings.slack_api_url, egress)
    users = await enter(SlackUsers(tokens, settings.slack_api_url, egress))
    notifiers: dict[str, Notifier] = {
        "Slack": await enter(SlackNotifier(own, settings.slack_api_url, text, egress)),
        "Email": ContactNotifier(EmailNotifier(_mail_server(settings, parts.own_secrets)), await enter(direct)),
        "Webhook": await enter(WebhookNotifier(text, egress, parts.real_clock)),
        "Alertmanager": await enter(AlertmanagerNotifier(text, egress, parts.real_clock)),
        "Apprise": AppriseNotifier(text, egress, load_apprise),
        EVENT: EventNotifier(events),
    }
    return users, {} if settings.observe_only else notifiers


async def get_secret(client: KubeClient, watches: Mapping[str, Watches], namespace: str, name: str) -> Object:
    """Get a Secret, no older than the last change that the watch has seen.

    The API server answers from memory, without etcd.
    """
    watch = (watches.get(namespace) or watches[""]).secrets
    is_known = watch.established.is_set() and watch.object_version
    version = f"?resourceVersion={watch.object_version}" if is_known else ""
    return await client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}{version}")


def _client(
    settings: Settings, byte_budget: ByteBudget, loop_budget: LoopBudget, *, observe_only: bool = False
) -> KubeClient:
    return KubeClient(
        partial(
            load_connection,
            cluster_host=settings.cluster_host,
            cluster_port=settings.cluster_port,
            kubeconfig=settings.kubeconfig,
            context=settings.context,
        ),
        budget=byte_budget,
        loop_budget=loop_budget,
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


def default_channel_of(settings: Settings) -> Channel | None:
    """The operator's own channel; None if the settings name none."""
    if settings.slack_token or settings.slack_webhook_url:
        return default_channel(settings.slack_channel)
    return None
