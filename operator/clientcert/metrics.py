"""What the operator counts of itself. The series of each certificate are written elsewhere, from the store."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_QUICK = (0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 1, 5, 20)


class Metrics:
    """One set, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._count_messages()
        self._count_work()
        self._show_state()

    def _count_messages(self) -> None:
        self.notifications = Counter(
            "clientcert_notifications",
            "Notifications by type of channel and outcome: sent, retried (will be tried again soon) or refused.",
            ("channel_type", "outcome"),
            registry=self.registry,
        )
        self.notifications_waiting = Gauge(
            "clientcert_notifications_waiting",
            "Messages that are due and wait: for their turn in a channel (rate), for others to be due (digest), for a"
            " channel to recover (outage).",
            ("reason",),
            registry=self.registry,
        )
        self.heartbeats = Counter(
            "clientcert_heartbeats",
            "Calls of CLIENTCERT_HEARTBEAT_URL by outcome: ok or failed.",
            ("outcome",),
            registry=self.registry,
        )

    def _count_work(self) -> None:
        self.store_polls = Counter(
            "clientcert_store_polls",
            "Polls of CertificateStores by outcome: ok, or the reason why not.",
            ("outcome",),
            registry=self.registry,
        )
        self.source_errors = Counter(
            "x509_source_errors",
            "Reads of a source that gave no certificate, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self.status_writes = Counter(
            "clientcert_status_writes", "Statuses written, by kind.", ("kind",), registry=self.registry
        )
        self.reconcile_seconds = Histogram(
            "clientcert_reconcile_duration_seconds",
            "Time for one look at one certificate.",
            buckets=_QUICK,
            registry=self.registry,
        )
        self.reconcile_errors = Counter(
            "clientcert_reconcile_errors", "Looks that failed and are tried again.", registry=self.registry
        )

    def _show_state(self) -> None:
        self.namespaces_up = Gauge(
            "clientcert_namespace_up",
            "0 while the API server refuses or does not answer the lists of a namespace that is served; * is all.",
            ("namespace",),
            registry=self.registry,
        )
        self.leader = Gauge(
            "clientcert_leader", "1 while this replica leads: it alone polls, writes and sends.", registry=self.registry
        )
        self.queue_depth = Gauge(
            "clientcert_queue_depth",
            "Certificates that wait to be looked at or are just now.",
            registry=self.registry,
        )
        self.loop_stall_seconds = Gauge(
            "clientcert_event_loop_longest_stall_seconds",
            "The longest time that the event loop stood still since the start.",
            registry=self.registry,
        )
