"""The half of the composition root for renewals and revocations."""

import secrets as randomness
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from clientcert.alerting.evaluator import Evaluator
from clientcert.alerting.notice_groups import NOTICE_GROUP, NoticeGroups
from clientcert.alerting.rate_limiter import ChannelRateLimiter
from clientcert.alerting.renewal_notices import OperatorMail, RenewalNotices
from clientcert.alerting.renewal_outbox import RenewalOutbox
from clientcert.cache.contact_lookup import ContactLookup
from clientcert.cache.informers import Informers
from clientcert.cache.object_cache import ObjectCache
from clientcert.cache.renewals import RENEWAL
from clientcert.cache.revocations import REVOCATION, REVOCATION_LISTS
from clientcert.cache.source_cache import SourceCache
from clientcert.controllers.certificate_renewal.gather import Gatherer
from clientcert.controllers.certificate_renewal.issuing import Issuing
from clientcert.controllers.certificate_renewal.notice_group import NoticeDigests
from clientcert.controllers.certificate_renewal.reconciler import RenewalReconciler
from clientcert.controllers.certificate_renewal.retention import RETENTION, Retention
from clientcert.controllers.certificate_renewal.retirement import Retirement
from clientcert.controllers.certificate_renewal.steps import Steps
from clientcert.controllers.certificate_renewal.writing import RenewalWriter
from clientcert.controllers.certificate_revocation.config_maps import ListFiles
from clientcert.controllers.certificate_revocation.crl_files import CrlFiles
from clientcert.controllers.certificate_revocation.lists import RevocationListsReconciler
from clientcert.controllers.certificate_revocation.reconciler import RevocationReconciler
from clientcert.controllers.issuer_readiness import IssuerReadiness
from clientcert.controllers.message_group import MessageGroupReconciler
from clientcert.controllers.workers import Reconciler
from clientcert.issuers.ca_secret import CaSecretSigner
from clientcert.issuers.cert_manager import CertManagerSigner
from clientcert.issuers.interface import Issuer
from clientcert.issuers.labels import SecretContent
from clientcert.kube.admission_proof import AdmissionProof
from clientcert.kube.client import KubeClient
from clientcert.kube.config_maps import OwnedConfigMaps
from clientcert.kube.labelled_secrets import LabelledSecrets
from clientcert.kube.status_writer import StatusWriter
from clientcert.lifecycle.renewal.policy import CaSecretIssuer, CertManagerIssuer
from clientcert.lifecycle.spec import S3Source, SecretSource
from clientcert.loop_budget import LoopBudget
from clientcert.metrics import Metrics
from clientcert.notifiers.interface import Notifier
from clientcert.settings import Settings
from clientcert.sources.interface import SourceWriter
from clientcert.sources.s3 import S3Reader
from clientcert.sources.s3.writer import S3Writer
from clientcert.sources.secret_writer import SecretWriter
from clientcert.workqueue.work_queue import WorkQueue


@dataclass(frozen=True, slots=True)
class Issuers:
    """The issuers, and the proof that they may sign."""

    signer: CaSecretSigner
    by_settings: Mapping[type, Issuer]
    secrets: LabelledSecrets
    admission: AdmissionProof
    readiness: IssuerReadiness


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that renewals share with alerts."""

    settings: Settings
    client: KubeClient
    queue: WorkQueue
    cache: ObjectCache
    informers: Informers
    sources: SourceCache
    buckets: S3Reader
    contacts: ContactLookup
    evaluator: Evaluator
    notifiers: Mapping[str, Notifier]
    limiter: ChannelRateLimiter
    groups: NoticeGroups
    outbox: RenewalOutbox
    statuses: StatusWriter
    may_start: Callable[[float], bool]
    clock: Callable[[], datetime]
    metrics: Metrics
    loop_budget: LoopBudget


def issuers(settings: Settings, client: KubeClient, secrets: LabelledSecrets, clock: Callable[[], datetime]) -> Issuers:
    """Create the issuers, which also the reconciler of policies asks."""
    read = partial(_content, secrets)
    signer = CaSecretSigner(read, randomness.randbits, observe_only=settings.observe_only)
    by_settings: dict[type, Issuer] = {
        CaSecretIssuer: signer,
        CertManagerIssuer: CertManagerSigner(
            client, read, settings.cluster_issuers, settings.role("request-certificates")
        ),
    }
    admission = AdmissionProof(client, settings.name_prefix)
    return Issuers(signer, by_settings, secrets, admission, IssuerReadiness(by_settings, admission, clock))


def reconcilers(shared: Shared, found: Issuers) -> dict[str, Reconciler]:
    """The reconcilers of requests and revocations, by the kind of their items."""
    settings, client, cache = shared.settings, shared.client, shared.cache
    writers: dict[type, SourceWriter] = {
        SecretSource: SecretWriter(client, settings.role("write-secrets")),
        S3Source: S3Writer(shared.buckets.calls, settings.identity_write_buckets, observe_only=settings.observe_only),
    }
    writer = RenewalWriter(cache.renewals, shared.statuses, client, observe_only=settings.observe_only)
    gatherer = Gatherer(
        cache, shared.sources, shared.contacts, shared.evaluator, found.by_settings, writers, writer, shared.clock
    )
    mail = OperatorMail(settings.smtp_from, settings.mail_namespaces) if settings.smtp_host else None
    notices = RenewalNotices(
        shared.notifiers,
        mail,
        shared.limiter,
        shared.groups,
        shared.outbox,
        shared.may_start,
        shared.clock,
        shared.metrics,
    )
    digests = NoticeDigests(
        cache.renewals, shared.groups, notices, shared.outbox, gatherer, writer, shared.clock, shared.loop_budget
    )
    steps = Steps(
        cache,
        shared.informers,
        gatherer,
        Issuing(gatherer, found.secrets),
        found.admission,
        notices,
        shared.sources,
        writers,
    )
    role = f"{settings.installation}-retirement"
    retirement = Retirement(cache, shared.sources, client, shared.clock, role, observe_only=settings.observe_only)
    return {
        RENEWAL: RenewalReconciler(
            cache, gatherer, steps, writer, notices, retirement, shared.clock, shared.loop_budget
        ),
        RETENTION: Retention(cache.renewals, retirement, shared.queue, shared.clock, shared.loop_budget),
        NOTICE_GROUP: MessageGroupReconciler(shared.groups, digests, shared.limiter, shared.clock, shared.metrics),
        **_revocation_reconcilers(shared, found),
    }


def _revocation_reconcilers(shared: Shared, found: Issuers) -> dict[str, Reconciler]:
    client, cache, queue, clock = shared.client, shared.cache, shared.queue, shared.clock
    files = ListFiles(OwnedConfigMaps(client), shared.settings.role("write-revocation-lists"))
    crls = CrlFiles(found.signer, files, found.secrets, clock)
    return {
        REVOCATION: RevocationReconciler(cache, queue, shared.statuses, client, clock),
        REVOCATION_LISTS: RevocationListsReconciler(
            cache, shared.sources, queue, found.by_settings, files, crls, clock
        ),
    }


async def _content(secrets: LabelledSecrets, namespace: str, name: str, /) -> SecretContent:
    found = await secrets.read(namespace, name)
    return SecretContent(found.labels, found.data)
