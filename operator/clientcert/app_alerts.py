"""The half of the composition root for alerts, and for their tests."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from clientcert import app_adapters as adapters
from clientcert.alerting.alert_test_slots import AlertTestSlots
from clientcert.alerting.alert_tests import AlertTestOutbox, AlertTestSender
from clientcert.alerting.dispatcher import NotificationDispatcher
from clientcert.alerting.evaluator import Evaluator
from clientcert.alerting.grouping import ALERT_GROUP, AlertGroups
from clientcert.alerting.notice_groups import NoticeGroups
from clientcert.alerting.outbox import Outbox
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.cache.client_lists import ClientLists
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.missing_references import MissingReferences
from clientcert.cache.object_cache import CERTIFICATE, CERTIFICATE_TEST
from clientcert.cache.policies import POLICY, POLICY_TEST
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.alert_group import AlertDigests
from clientcert.controllers.alert_test import AlertTestParts, CertificateTests, PolicyTests
from clientcert.controllers.certificate.reconciler import CertificateReconciler
from clientcert.controllers.certificate_policy import PolicyReconciler
from clientcert.controllers.issuer_readiness import IssuerReadiness
from clientcert.controllers.message_group import MessageGroupReconciler
from clientcert.controllers.workers import Reconciler
from clientcert.kube.events import EventRecorder
from clientcert.kube.status_writer import StatusWriter
from clientcert.lifecycle.spec import S3Source, SecretSource
from clientcert.notifiers.interface import DigestCapable, Notifier
from clientcert.notifiers.slack.user_directory import SlackUsers
from clientcert.settings import Settings


@dataclass(frozen=True, slots=True)
class AlertParts:
    """The parts of the way from an object to its messages; those about requests use most of them as well."""

    events: EventRecorder
    statuses: StatusWriter
    outbox: Outbox
    renewal_outbox: RenewalOutbox
    users: SlackUsers
    notifiers: Mapping[str, Notifier]
    lists: ClientLists
    sources: SourceCache
    contacts: ContactLookup
    evaluator: Evaluator
    limiter: ChannelRateLimiter
    groups: AlertGroups
    notice_groups: NoticeGroups

    @property
    def every_group(self) -> tuple[AlertGroups, NoticeGroups]:
        """The groups of all kinds."""
        return self.groups, self.notice_groups


async def alert_parts(settings: Settings, outside: adapters.Outside, stack: AsyncExitStack) -> AlertParts:
    """Create the parts, each after those that it uses. The stack closes the channels."""
    client, cache, queue, clock = outside.client, outside.cache, outside.queue, outside.clock
    events, statuses = EventRecorder(client, clock), StatusWriter(client, outside.metrics)
    outbox, renewal_outbox = Outbox(), RenewalOutbox()
    users, notifiers = await adapters.channels(settings, outside, events, stack)
    lists = ClientLists(client.get, cache.client_list_changed)
    sources, contacts = _source_cache(outside), ContactLookup(cache, lists, users, clock)
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
    digest_types = frozenset(kind for kind, each in notifiers.items() if isinstance(each, DigestCapable))
    return AlertParts(
        events,
        statuses,
        outbox,
        renewal_outbox,
        users,
        notifiers,
        lists,
        sources,
        contacts,
        evaluator,
        ChannelRateLimiter(queue),
        AlertGroups(cache, queue, digest_types),
        NoticeGroups(cache, queue, digest_types),
    )


def dispatcher_of(outside: adapters.Outside, parts: AlertParts) -> NotificationDispatcher:
    """Create the dispatcher, which alerts and their tests share."""
    allows, clock, metrics = outside.leadership.allows, outside.clock, outside.metrics
    return NotificationDispatcher(parts.notifiers, parts.limiter, parts.groups, parts.outbox, allows, clock, metrics)


def alert_reconcilers(
    outside: adapters.Outside, parts: AlertParts, dispatcher: NotificationDispatcher, readiness: IssuerReadiness
) -> dict[str, Reconciler]:
    """The reconcilers of policies, certificates and groups of alerts, by the kind of their items."""
    client, cache, clock, budget = outside.client, outside.cache, outside.clock, outside.loop_budget
    outbox, statuses, limiter = parts.outbox, parts.statuses, parts.limiter
    certificates = CertificateReconciler(
        cache,
        MissingReferences(cache, client),
        parts.sources,
        parts.contacts,
        parts.evaluator,
        dispatcher,
        outbox,
        parts.events,
        statuses,
        client,
        clock,
        budget,
    )
    policies = PolicyReconciler(
        cache, parts.every_group, limiter, outbox, parts.renewal_outbox, statuses, client, clock, budget, readiness
    )
    digests = AlertDigests(
        cache, outside.queue, parts.evaluator, parts.groups, dispatcher, outbox, policies, clock, budget
    )
    alert_groups = MessageGroupReconciler(parts.groups, digests, limiter, clock, outside.metrics)
    return {POLICY: policies, CERTIFICATE: certificates, ALERT_GROUP: alert_groups}


def alert_test_parts(
    settings: Settings, outside: adapters.Outside, parts: AlertParts, dispatcher: NotificationDispatcher
) -> AlertTestParts:
    """Create the parts that the tests of all kinds share."""
    sender = AlertTestSender(
        dispatcher,
        parts.limiter,
        outside.clock,
        has_mail_domains=bool(settings.mail_domains),
        observe_only=settings.observe_only,
    )
    slots, outbox = AlertTestSlots(outside.queue), AlertTestOutbox()
    return AlertTestParts(
        outside.cache, outside.queue, sender, slots, outbox, parts.statuses, outside.clock, settings.cluster
    )


def alert_test_reconcilers(tests: AlertTestParts, evaluator: Evaluator) -> dict[str, Reconciler]:
    """The reconcilers of tests, by the kind of their items."""
    return {CERTIFICATE_TEST: CertificateTests(tests, evaluator), POLICY_TEST: PolicyTests(tests)}


def _source_cache(outside: adapters.Outside) -> SourceCache:
    return SourceCache(
        outside.cache,
        {SecretSource: outside.secrets, S3Source: outside.buckets},
        outside.secrets.read_password,
        outside.clock,
        outside.metrics,
        outside.loop_budget,
    )
