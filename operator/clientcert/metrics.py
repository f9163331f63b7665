"""The metrics of the operator itself. certificate_metrics.py and object_metrics.py have those of the objects.

Every counter is there at 0 from the start, for each value that its labels can have: Prometheus counts an increase only
from one scrape to a later one, so a counter that begins at 4 has none.
"""

import platform
from collections.abc import Iterable
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from clientcert import __version__
from clientcert.errors import Reason

CHANNEL_TYPES = ("Slack", "Email", "Webhook", "Alertmanager", "Apprise", "Event")
WRITTEN_KINDS = (
    "ClientCertificate",
    "CertificatePolicy",
    "CertificateStore",
    "CertificateRenewal",
    "CertificateRevocation",
)
SOURCE_KINDS = {"kubernetes": "secrets", "s3": "buckets"}
"""By the kind of a source: the name of all of these together. x509-certificate-exporter counts errors by both."""
STORE_REASONS = (
    Reason.SOURCE_NOT_FOUND,
    Reason.STORE_NOT_FOUND,
    Reason.BUCKET_NOT_FOUND,
    Reason.KEY_MISSING,
    Reason.ACCESS_DENIED,
    Reason.CREDENTIALS_INVALID,
    Reason.CREDENTIALS_NOT_FOUND,
    Reason.IDENTITY_NOT_ALLOWED,
    Reason.ENDPOINT_NOT_ALLOWED,
    Reason.SOURCE_UNAVAILABLE,
    Reason.TOO_LARGE,
    Reason.SPEC_INVALID,
)
"""The reasons for which a bucket cannot be listed."""
SOURCE_REASONS = (
    *STORE_REASONS,
    Reason.EMPTY,
    Reason.NOT_A_CERTIFICATE,
    Reason.PRIVATE_KEY_ONLY,
    Reason.UNSUPPORTED_FORMAT,
    Reason.UNSUPPORTED_ENCODING,
    Reason.INVALID_CERTIFICATE,
    Reason.NO_LEAF_CERTIFICATE,
    Reason.PASSWORD_REQUIRED,
    Reason.PASSWORD_INCORRECT,
    Reason.PASSWORD_NOT_FOUND,
    Reason.TOO_EXPENSIVE,
    Reason.INTERNAL_ERROR,
)
"""The reasons for which a source cannot be read."""
_QUICK = (0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 20)


class Metrics:
    """One set of metrics, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a setting of the library, for the whole process
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._add_notification_metrics()
        self._add_work_metrics()
        self._add_source_metrics()
        self._add_state_metrics()

    def _counter(self, name: str, words: str, **labels: Iterable[str]) -> Counter:
        """A counter that is at 0 for each combination of these values of its labels."""
        counter = Counter(name, words, tuple(labels), registry=self.registry)
        for values in product(*labels.values()) if labels else ():
            counter.labels(*values)
        return counter

    def _add_notification_metrics(self) -> None:
        self.notifications = self._counter(
            "clientcert_notifications",
            "Notifications by type of channel and outcome: sent, retried (retried soon) or refused.",
            channel_type=CHANNEL_TYPES,
            outcome=("sent", "retried", "refused"),
        )
        self.notifications_waiting = Gauge(
            "clientcert_notifications_waiting",
            "Due messages that wait: for the rate limit of a channel (rate), for the other alerts of a digest (digest),"
            " for a channel to recover (outage).",
            ("reason",),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "clientcert_waiting",
            "What waits for its turn in a place that namespaces share: a channel of this type, or containers, name"
            " look-ups, user look-ups, API calls, S3 requests, polls of CertificateStores, test alerts, and memory for"
            " answers.",
            ("place",),
            registry=self.registry,
        )
        self.oldest_wait = Gauge(
            "clientcert_oldest_wait_seconds",
            "How long the oldest of them has waited.",
            ("place",),
            registry=self.registry,
        )
        self.heartbeats = self._counter(
            "clientcert_heartbeats",
            "Calls of CLIENTCERT_HEARTBEAT_URL by outcome: ok or failed.",
            outcome=("ok", "failed"),
        )

    def _add_work_metrics(self) -> None:
        self.status_writes = self._counter("clientcert_status_writes", "Statuses written, by kind.", kind=WRITTEN_KINDS)
        self.reconcile_seconds = Histogram(
            "clientcert_reconcile_duration_seconds",
            "Time of one reconcile of one certificate.",
            buckets=_QUICK,
            registry=self.registry,
        )
        self.reconcile_errors = self._counter("clientcert_reconcile_errors", "Reconciles that failed and are retried.")
        self.answer_bytes = Gauge(
            "clientcert_answer_bytes",
            "Memory that is reserved for answers of the API server and of S3 until they are decoded.",
            registry=self.registry,
        )

    def _add_source_metrics(self) -> None:
        self.store_polls = self._counter(
            "clientcert_store_polls",
            "Polls of CertificateStores by outcome: ok, or the reason of the failure.",
            outcome=("ok", *STORE_REASONS),
        )
        self.discovery = self._counter(
            "clientcert_discovery",
            "ClientCertificates that the discovery of CertificateStores has made or deleted: created or pruned.",
            outcome=("created", "pruned"),
        )
        self.source_errors = Counter(
            "x509_source_errors",
            "Failed reads of a source, by reason.",
            ("source_kind", "source_name", "reason"),
            registry=self.registry,
        )
        for (kind, name), reason in product(SOURCE_KINDS.items(), SOURCE_REASONS):
            self.source_errors.labels(kind, name, reason)
        self.read_errors = Gauge(
            "x509_read_errors",
            "All failed reads since the start: the name before x509_source_errors_total, in Grafana dashboard 13922.",
            registry=self.registry,
        )

    def count_source_error(self, kind: str, reason: Reason) -> None:
        """Count a failed read of a source of this kind."""
        self.source_errors.labels(kind, SOURCE_KINDS[kind], reason).inc()
        self.read_errors.inc()

    def _add_state_metrics(self) -> None:
        self.build_info = Gauge(
            "clientcert_build_info",
            "1, with the versions of the operator and of Python.",
            ("version", "python_version"),
            registry=self.registry,
        )
        self.build_info.labels(__version__, platform.python_version()).set(1)
        self.version_skew = Gauge(
            "clientcert_version_skew",
            "How the version of the installed kinds, or of the replica that leads, compares with that of this replica:"
            " 0 if it is the same or not known, 1 if it is newer, -1 if it is older.",
            ("component",),
            registry=self.registry,
        )
        self.namespaces_up = Gauge(
            "clientcert_namespace_up",
            "0 while the API server refuses or does not answer the lists of a served namespace; * is all.",
            ("namespace",),
            registry=self.registry,
        )
        self.observe_only = Gauge(
            "clientcert_observe_only",
            "1 if the operator only observes (CLIENTCERT_OBSERVE_ONLY): nothing is sent, signed or delivered.",
            registry=self.registry,
        )
        self.leader = Gauge(
            "clientcert_leader",
            "1 while this replica is the leader: only the leader polls, writes and sends.",
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "clientcert_queue_depth",
            "Certificates that wait for a reconcile or are in one.",
            registry=self.registry,
        )
        self.loop_stall_seconds = Gauge(
            "clientcert_event_loop_longest_stall_seconds",
            "The longest time that the event loop was blocked since the start.",
            registry=self.registry,
        )
