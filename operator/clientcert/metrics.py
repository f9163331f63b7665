"""The metrics of the operator itself. certificate_metrics.py has the series of each certificate."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_QUICK = (0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 20)


class Metrics:
    """One set of metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._add_notification_metrics()
        self._add_work_metrics()
        self._add_state_metrics()

    def _add_notification_metrics(self) -> None:
        self.notifications = Counter(
            "clientcert_notifications",
            "Notifications by type of channel and outcome: sent, retried (retried soon) or refused.",
            ("channel_type", "outcome"),
            registry=self.registry,
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
            " look-ups, user look-ups, API calls, S3 requests, polls of CertificateStores, and memory for answers.",
            ("place",),
            registry=self.registry,
        )
        self.oldest_wait = Gauge(
            "clientcert_oldest_wait_seconds",
            "How long the oldest of them has waited.",
            ("place",),
            registry=self.registry,
        )
        self.heartbeats = Counter(
            "clientcert_heartbeats",
            "Calls of CLIENTCERT_HEARTBEAT_URL by outcome: ok or failed.",
            ("outcome",),
            registry=self.registry,
        )

    def _add_work_metrics(self) -> None:
        self.store_polls = Counter(
            "clientcert_store_polls",
            "Polls of CertificateStores by outcome: ok, or the reason of the failure.",
            ("outcome",),
            registry=self.registry,
        )
        self.source_errors = Counter(
            "x509_source_errors",
            "Failed reads of a source, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self.status_writes = Counter(
            "clientcert_status_writes", "Statuses written, by kind.", ("kind",), registry=self.registry
        )
        self.reconcile_seconds = Histogram(
            "clientcert_reconcile_duration_seconds",
            "Time of one reconcile of one certificate.",
            buckets=_QUICK,
            registry=self.registry,
        )
        self.reconcile_errors = Counter(
            "clientcert_reconcile_errors", "Reconciles that failed and are retried.", registry=self.registry
        )

        self.answer_bytes = Gauge(
            "clientcert_answer_bytes",
            "Memory that is reserved for answers of the API server and of S3 until they are decoded.",
            registry=self.registry,
        )

    def _add_state_metrics(self) -> None:
        self.namespaces_up = Gauge(
            "clientcert_namespace_up",
            "0 while the API server refuses or does not answer the lists of a served namespace; * is all.",
            ("namespace",),
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
