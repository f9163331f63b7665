"""The queries of the dashboard and the rules of x509-certificate-exporter.

Source: github.com/enix/x509-certificate-exporter (MIT), its chart of version 4: the dashboard, number 13922 of
grafana.com, as of commit 69b3a39, and the rules as of commit 52e9c2e. Those that were renamed since, SourceErrors and
SourceErrorsSustained, are of its chart 4.2.0-rc.1, as github.com/sighupio/module-monitoring (BSD 3-Clause) has rendered
it in katalog/x509-exporter/deploy.yaml, commit 866d703; X509ExporterReadErrors before them had two expressions. The
queries are written anew here, for the same metrics, labels and functions, with the dashboard's usual values in place
of its variables.
"""

_ERRORS = "increase(x509_source_errors_total[15m])"
_TRANSPORT_ERRORS = "increase(x509_kube_transport_errors_total[15m]) > 5"
_SECRETS, _FILES = '{secret_name!=""}', '{filepath!=""}'


def _days_left(selector: str = "") -> str:
    return f"(x509_cert_not_after{selector} - time()) / 86400"


def _validity(selector: str) -> str:
    return f"(x509_cert_not_after{selector} - x509_cert_not_before) / 86400"


DASHBOARD = {
    "Total Certificates": "count(x509_cert_not_after)",
    "Expired": f"sum({_days_left()} < bool 0)",
    "Expiring within 7 days": f"sum(0 < {_days_left()} < bool 7)",
    "Expiring within 28 days": f"sum(0 < {_days_left()} < bool 28)",
    "Media: Secret": f"count(x509_cert_not_after{_SECRETS})",
    "Media: File": 'count(x509_cert_not_after{embedded_key="",filepath!=""})',
    "Exporters": "count(x509_read_errors)",
    "Exporter Errors": "sum(x509_read_errors)",
    "Kubernetes Secrets": f"sort({_days_left(_SECRETS)} < 180)",
    "Host Files": f"sort({_days_left(_FILES)} < 180)",
    "Top Issuers": "topk(10, sort_desc(count by (issuer_CN) (x509_cert_not_after)))",
    "Top Namespaces": 'topk(10, sort_desc(count by (secret_namespace) (x509_cert_not_after{secret_namespace!=""})))',
    "Top Instances": f"topk(10, sort_desc(count by (instance) (x509_cert_not_after{_FILES})))",
    "Secrets: Shortest Validity": f"bottomk(10, {_validity(_SECRETS)})",
    "Host Paths: Shortest Validity": f"bottomk(10, {_validity(_FILES)})",
    "Secrets: Longest Validity": f"topk(10, {_validity(_SECRETS)})",
    "Host Paths: Longest Validity": f"topk(10, {_validity(_FILES)})",
    "Exporters with Errors": "sum(x509_read_errors > bool 0)",
    "Error Rate": "sum(rate(x509_read_errors[15m]))",
    "Top Exporters by Error Rate": "topk(10, rate(x509_read_errors[6h]))",
    "Top Exporters by Cumulative Errors": "topk(10, x509_read_errors)",
}

RULES = {
    "X509ExporterReadErrors": f"{_ERRORS} > 0",
    "X509ExporterReadErrors of chart 4.1": "delta(x509_read_errors[15m]) > 0",
    "SourceErrors": f"sum without (reason) ({_ERRORS}) > 5",
    "SourceErrorsSustained": f"sum without (reason) ({_ERRORS}) > 5",
    "SourceDown": "x509_source_up == 0",
    "CertificateRenewal": "x509_cert_not_after - time() < 28 * 86400",
    "CertificateExpiration": "x509_cert_not_after - time() < 14 * 86400",
}

NO_DATA = {
    "Media: Kubeconfig": (
        'count(x509_cert_not_after{embedded_key!="",filepath!=""})',
        "No source is a kubeconfig.",
    ),
    "KubeTransportErrors": (
        _TRANSPORT_ERRORS,
        "clientcert_namespace_up says whether the API server answers; ClientCertNamespaceDown is the rule.",
    ),
    "KubeTransportErrorsSustained": (_TRANSPORT_ERRORS, "The same."),
    "KeystorePassphraseFailures": (
        'increase({__name__=~"x509_(jks|pkcs12)_passphrase_failures_total"}[15m]) > 0',
        "They are in x509_source_errors_total, with the reason PasswordIncorrect.",
    ),
    "CertificateError": (
        "x509_cert_error > 0",
        "x509_source_up is 0; the exporter has this series only on request. ClientCertSourceUnreadable is the rule.",
    ),
    "CertificateNotYetValid": (
        "x509_cert_not_before - time() > 0",
        "A certificate is accepted when it becomes valid, so none of the series is about one that is not.",
    ),
    "CertificateCollision": (
        "increase(x509_cert_collision_dropped_total[1h]) > 0",
        "Nothing is dropped: objects with the same source and certificate have one series.",
    ),
    "CRLNeedsRefresh": (
        "x509_crl_next_update - time() < 7 * 86400 and x509_crl_stale == 0",
        "No CRL is read. ClientCertCRLNotRenewed is the rule about those that the operator signs.",
    ),
    "CRLStale": ("x509_crl_stale > 0", "The same."),
}
"""Those without data, each with the reason."""
