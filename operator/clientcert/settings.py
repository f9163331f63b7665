"""All settings of the operator, read once at the start. No other of its modules reads the environment.

Flags override variables. Secrets come from variables or files (`…_FILE`) and never from flags, which `ps` shows.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import idna

from clientcert.errors import SettingsError

PREFIX = "CLIENTCERT_"
SLACK_API_URL = "https://slack.com/api/"
_SECRETS = frozenset({"slack_token", "slack_webhook_url", "smtp_username", "smtp_password", "heartbeat_url", "proxy"})
"""Settings that may also come from a file."""
_OTHER_NAMES = {
    "namespaces": f"{PREFIX}NAMESPACE",
    "kubeconfig": "KUBECONFIG",
    "cluster_host": "KUBERNETES_SERVICE_HOST",
    "cluster_port": "KUBERNETES_SERVICE_PORT",
}
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_OBJECT_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_LONGEST_INSTALLATION = 63
_FASTEST = 1000
_LONGEST_CLUSTER = 100
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of `clientcert run`."""

    namespaces: tuple[str, ...] = ()
    """Namespaces to serve; empty: all."""
    context: str = ""
    """Context of the kubeconfig; empty: the current one, or the pod's ServiceAccount."""
    kubeconfig: str = ""
    """Paths in the format of KUBECONFIG."""
    cluster_host: str = ""
    """The API server's address inside a pod; empty outside of a pod."""
    cluster_port: str = "443"
    host: str = ""
    """The address that health and metrics are served on; empty: all, of IPv4 and of IPv6."""
    port: int = 8080
    log_format: str = "json"
    log_level: str = "info"
    leader_election: bool = True
    lease_namespace: str = ""
    """Namespace of the Lease; empty: the pod's own namespace."""
    installation: str = "clientcert-operator"
    """Name of the Lease, with which also the names of the roles and of the admission policies begin."""
    resync: timedelta = timedelta(minutes=10)
    """Interval between two comparisons of the keys in memory with those of the API server."""
    clock_offset: timedelta = timedelta(0)
    observe_only: bool = False
    """Read, judge and write statuses; send, sign, deliver and write back nothing."""
    cluster: str = ""
    """The name of the cluster, for messages, webhooks and labels of alerts; empty: none is shown."""
    x509_metrics: bool = True
    """Expose the `x509_cert_*` series; set to False if x509-certificate-exporter reads the same Secrets."""
    slack_token: str = field(default="", repr=False)
    slack_webhook_url: str = field(default="", repr=False)
    slack_channel: str = ""
    slack_api_url: str = SLACK_API_URL
    slack_namespaces: frozenset[str] = frozenset()
    """Namespaces whose contacts the operator's own token may look up and message; empty: none."""
    smtp_host: str = ""
    """The mail server; empty: no mail is sent."""
    smtp_port: int = 587
    smtp_username: str = ""
    smtp_password: str = field(default="", repr=False)
    smtp_from: str = ""
    smtp_tls: Literal["starttls", "implicit", "none"] = "starttls"
    smtp_per_second: float = 5.0
    """The most mails in a second."""
    mail_domains: frozenset[str] = frozenset()
    """Domains that mail may be sent to; empty: all."""
    mail_namespaces: frozenset[str] = frozenset()
    """Namespaces that mail may be sent for; empty: all."""
    heartbeat_url: str = field(default="", repr=False)
    """URL that is called while the operator is healthy; empty: none."""
    proxy: str = field(default="", repr=False)
    """The HTTP proxy for Slack, S3, webhooks, Alertmanagers and the heartbeat; empty: none."""
    no_proxy: tuple[str, ...] = ()
    """Hosts, domains and networks that are reached without it."""
    allowed_hosts: frozenset[str] = frozenset()
    """Hosts without a public address that objects may name, each as `host` or `host:port`."""
    identity_buckets: tuple[str, ...] = ()
    """Buckets that may be read with the pod's own identity, each as `namespace=bucket/prefix`."""
    identity_write_buckets: tuple[str, ...] = ()
    """Buckets that renewed certificates may be written to with the pod's own identity, in the same form."""
    cluster_issuers: frozenset[tuple[str, str]] = frozenset()
    """Namespaces, each with a cluster-wide issuer of cert-manager that may sign for it; empty: none."""
    secret_files: Mapping[str, Path] = field(default_factory=dict, repr=False)
    """By secret setting: the file that it was read from, if it was."""

    def __post_init__(self) -> None:
        if self.slack_token and self.slack_webhook_url:
            raise SettingsError("set CLIENTCERT_SLACK_TOKEN or CLIENTCERT_SLACK_WEBHOOK_URL, not both")
        if self.slack_token and not self.slack_channel:
            raise SettingsError(
                "CLIENTCERT_SLACK_TOKEN is set, so CLIENTCERT_SLACK_CHANNEL must be: the default channel"
            )
        self._check_mail()
        if not _OBJECT_NAME.fullmatch(self.installation) or len(self.installation) > _LONGEST_INSTALLATION:
            raise SettingsError("CLIENTCERT_INSTALLATION must be a name of an object, of at most 63 characters")
        if self.log_format not in {"json", "text"}:
            raise SettingsError("--log-format must be json or text")
        for name in ("identity_buckets", "identity_write_buckets"):
            for entry in getattr(self, name):
                if "=" not in entry:
                    raise SettingsError(f"{PREFIX}{name.upper()}: {entry!r} is not namespace=bucket/prefix")

    def warnings(self) -> Iterator[str]:
        """The warnings of the log at the start: in these ways the operator does not act as people expect of it."""
        offset, observes = self.clock_offset, self.observe_only
        if offset:
            alerts = "no alert is sent" if observes else "alerts are sent as if it was true"
            yield f"REHEARSAL: the clock is moved by {offset}; {alerts}"
        if observes:
            yield "OBSERVE ONLY: nothing is sent, signed, delivered or written back (CLIENTCERT_OBSERVE_ONLY)"
        if offset and observes:
            yield "a request that ends by the moved clock stays ended: if any is real, unset CLIENTCERT_CLOCK_OFFSET"
        if self.heartbeat_url and observes:
            yield "CLIENTCERT_HEARTBEAT_URL is not called while the operator only observes"

    @property
    def name_prefix(self) -> str:
        """The prefix of the names of the roles for people, and of the admission policies."""
        return self.installation.removesuffix("-operator")

    def role(self, purpose: str) -> str:
        """The name of a ClusterRole that people bind, such as `clientcert-write-secrets`."""
        return f"{self.name_prefix}-{purpose}"

    def _check_mail(self) -> None:
        """Check the mail settings. A login without a host is valid, because it comes from a Secret of its own."""
        if self.smtp_host and not self.smtp_from:
            raise SettingsError("CLIENTCERT_SMTP_HOST is set, so CLIENTCERT_SMTP_FROM must be: the sender of the mails")
        if self.smtp_from and not self.smtp_host:
            raise SettingsError("CLIENTCERT_SMTP_FROM is set, so CLIENTCERT_SMTP_HOST must be: the mail server")
        if self.smtp_host and self.smtp_password and not self.smtp_username:
            raise SettingsError(
                "CLIENTCERT_SMTP_PASSWORD is set, so CLIENTCERT_SMTP_USERNAME must be: the user of the mail server"
            )
        if self.smtp_tls not in {"starttls", "implicit", "none"}:
            raise SettingsError("CLIENTCERT_SMTP_TLS must be starttls, implicit or none")


def load_settings(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment; each flag that is set (not None) overrides its variable.

    Raises SettingsError with the name of the invalid variable.
    """
    known = {item.name for item in fields(Settings)} - {"secret_files"}
    readers: dict[str, Callable[[str], Any]] = {
        "namespaces": _words,
        "port": _port,
        "resync": _duration,
        "clock_offset": _duration,
        "observe_only": _switch,
        "cluster": _cluster,
        "x509_metrics": _switch,
        "leader_election": _switch,
        "allowed_hosts": lambda text: frozenset(_words(text)),
        "no_proxy": _words,
        "identity_buckets": _words,
        "identity_write_buckets": _words,
        "cluster_issuers": _cluster_issuers,
        "slack_namespaces": _namespaces,
        "smtp_port": _port,
        "smtp_per_second": _rate,
        "mail_domains": _domains,
        "mail_namespaces": _namespaces,
    }
    values: dict[str, Any] = {}
    for name in known:
        variable = variable_of(name)
        text = _secret(environment, variable) if name in _SECRETS else environment.get(variable)
        if text:
            try:
                values[name] = readers.get(name, str)(text.strip())
            except ValueError as error:
                raise SettingsError(f"{variable} cannot be used: {error}") from error
    values["secret_files"] = {
        name: Path(path) for name in _SECRETS & values.keys() if (path := environment.get(f"{variable_of(name)}_FILE"))
    }
    values.update({name: value for name, value in flags.items() if value not in (None, ())})
    return Settings(**values)


def variable_of(name: str) -> str:
    """The variable of the setting with this name."""
    return _OTHER_NAMES.get(name, PREFIX + name.upper())


def read_secret_file(path: Path) -> str:
    """The secret in a file, without the line break at its end; raises OSError or UnicodeDecodeError."""
    return path.read_text(encoding="utf-8").strip()


def parse_duration(text: str) -> timedelta:
    """Parse a duration such as 90s, 10m or -24h; raises ValueError."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    unit = units.get(text[-1:])
    if unit is None:
        raise ValueError(f"{text!r} is not a duration like 90s, 10m or 24h")
    return timedelta(seconds=float(text[:-1]) * unit)


_duration = parse_duration


def _secret(environment: Mapping[str, str], variable: str) -> str | None:
    path = environment.get(f"{variable}_FILE")
    if not path:
        return environment.get(variable)
    try:
        return read_secret_file(Path(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}_FILE cannot be read: {type(error).__name__}") from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError(f"{text!r} is not a port: give a number from 1 to 65535")
    return int(text)


def _rate(text: str) -> float:
    if not 0 < (rate := float(text)) <= _FASTEST:
        raise ValueError(f"{text!r} is not a rate: give a number of mails in a second, at most {_FASTEST}")
    return rate


def _cluster(text: str) -> str:
    if not text.isprintable() or len(text) > _LONGEST_CLUSTER:
        raise ValueError(f"give a name of at most {_LONGEST_CLUSTER} printable characters")
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _namespaces(text: str) -> frozenset[str]:
    """Parse names of namespaces; an invalid name is an error, because it would match no namespace silently."""
    for word in _words(text):
        if not _NAMESPACE.fullmatch(word):
            raise ValueError(f"{word!r} is not a namespace name: write names, separated by commas")
    return frozenset(_words(text))


def _cluster_issuers(text: str) -> frozenset[tuple[str, str]]:
    """Parse `namespace=name` entries; an invalid one is an error, because it would match nothing silently."""
    for word in _words(text):
        namespace, separator, name = word.partition("=")
        if not (separator and _NAMESPACE.fullmatch(namespace) and _OBJECT_NAME.fullmatch(name)):
            raise ValueError(f"{word!r} is not namespace=name: name the ClusterIssuer that the namespace may use")
    return frozenset((word.partition("=")[0], word.partition("=")[2]) for word in _words(text))


def _domains(text: str) -> frozenset[str]:
    """Parse domains, and convert them to ASCII (RFC 5891). An error repeats no entry: it may be a person's address."""
    words = [_ascii_domain(word).lower() for word in _words(text)]
    for number, word in enumerate(words, start=1):
        if not _DOMAIN.fullmatch(word):
            raise ValueError(
                f"entry {number} of {len(words)} is not a domain: write domains such as nhs.example, separated by"
                " commas, without @ or *"
            )
    return frozenset(words)


def _ascii_domain(text: str) -> str:
    try:
        return text if text.isascii() else idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError:
        return ""


def _switch(text: str) -> bool:
    switches = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in switches:
        raise ValueError("write true or false")
    return switches[text.lower()]
