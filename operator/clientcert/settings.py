"""All settings, read once at the start. Nothing else looks at the environment.

Flags win over variables. Secrets come from variables or files (`…_FILE`) and never from flags, where `ps` shows them.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from clientcert.errors import SettingsError

PREFIX = "CLIENTCERT_"
SLACK_API_URL = "https://slack.com/api/"
_SECRETS = frozenset({"slack_token", "slack_webhook_url", "smtp_username", "smtp_password", "heartbeat_url"})
"""These may also come from a file."""
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class Settings:
    """What `clientcert run` was told."""

    namespaces: tuple[str, ...] = ()
    """Empty: all namespaces."""
    context: str = ""
    """Of the kubeconfig; empty: the current one, or the pod's ServiceAccount."""
    kubeconfig: str = ""
    """Paths as KUBECONFIG has them."""
    cluster_host: str = ""
    """The API server as a pod sees it; empty outside of one."""
    cluster_port: str = "443"
    host: str = "0.0.0.0"  # noqa: S104 - health and metrics are asked for from outside the pod
    port: int = 8080
    log_format: str = "json"
    log_level: str = "info"
    leader_election: bool = True
    lease_namespace: str = ""
    """Where the Lease is; empty: the pod's own namespace."""
    resync: timedelta = timedelta(minutes=10)
    """How often the keys in memory are compared with those of the API server."""
    clock_offset: timedelta = timedelta(0)
    x509_metrics: bool = True
    """Whether the `x509_cert_*` series are exposed; not where x509-certificate-exporter reads the same Secrets."""
    slack_token: str = field(default="", repr=False)
    slack_webhook_url: str = field(default="", repr=False)
    slack_channel: str = ""
    slack_api_url: str = SLACK_API_URL
    slack_namespaces: frozenset[str] = frozenset()
    """Whose consumers' contacts the operator's own token may look up and write to; none unless they are named."""
    smtp_host: str = ""
    """Empty: there is no mail."""
    smtp_port: int = 587
    smtp_username: str = ""
    smtp_password: str = field(default="", repr=False)
    smtp_from: str = ""
    smtp_tls: Literal["starttls", "implicit", "none"] = "starttls"
    mail_domains: frozenset[str] = frozenset()
    """The only domains that a mail goes to; empty: any."""
    mail_namespaces: frozenset[str] = frozenset()
    """The only namespaces that mails are sent for; empty: any."""
    heartbeat_url: str = field(default="", repr=False)
    """Called while all is well; empty: nothing is."""
    allowed_hosts: frozenset[str] = frozenset()
    """`host` or `host:port`: the only hosts without a public address that an object may name."""
    identity_buckets: tuple[str, ...] = ()
    """`namespace=bucket/prefix`: what the pod's own identity may be used for."""

    def __post_init__(self) -> None:
        if self.slack_token and self.slack_webhook_url:
            raise SettingsError("set CLIENTCERT_SLACK_TOKEN or CLIENTCERT_SLACK_WEBHOOK_URL, not both")
        if self.slack_token and not self.slack_channel:
            raise SettingsError(
                "CLIENTCERT_SLACK_TOKEN is set, so CLIENTCERT_SLACK_CHANNEL must be: the default channel"
            )
        self._check_mail()
        if self.log_format not in {"json", "text"}:
            raise SettingsError("--log-format is json or text")
        for entry in self.identity_buckets:
            if "=" not in entry:
                raise SettingsError(f"CLIENTCERT_IDENTITY_BUCKETS: {entry!r} is not namespace=bucket/prefix")

    def _check_mail(self) -> None:
        """A login may be there before the host is: it comes from a Secret of its own."""
        if self.smtp_host and not self.smtp_from:
            raise SettingsError("CLIENTCERT_SMTP_HOST is set, so CLIENTCERT_SMTP_FROM must be: who the mails are from")
        if self.smtp_from and not self.smtp_host:
            raise SettingsError("CLIENTCERT_SMTP_FROM is set, so CLIENTCERT_SMTP_HOST must be: the mail server")
        if self.smtp_host and self.smtp_password and not self.smtp_username:
            raise SettingsError(
                "CLIENTCERT_SMTP_PASSWORD is set, so CLIENTCERT_SMTP_USERNAME must be: who logs in to the mail server"
            )
        if self.smtp_tls not in {"starttls", "implicit", "none"}:
            raise SettingsError("CLIENTCERT_SMTP_TLS is starttls, implicit or none")


def load_settings(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment, and over them each flag that was given (is not None).

    Raises SettingsError with the name of the variable that cannot be used.
    """
    known = {item.name for item in fields(Settings)}
    readers: dict[str, Callable[[str], Any]] = {
        "namespaces": _words,
        "port": _port,
        "resync": _duration,
        "clock_offset": _duration,
        "x509_metrics": _switch,
        "leader_election": _switch,
        "allowed_hosts": lambda text: frozenset(_words(text)),
        "identity_buckets": _words,
        "slack_namespaces": _namespaces,
        "smtp_port": _port,
        "mail_domains": _domains,
        "mail_namespaces": _namespaces,
    }
    names = {
        "namespaces": f"{PREFIX}NAMESPACE",
        "kubeconfig": "KUBECONFIG",
        "cluster_host": "KUBERNETES_SERVICE_HOST",
        "cluster_port": "KUBERNETES_SERVICE_PORT",
    }
    values: dict[str, Any] = {}
    for name in known:
        variable = names.get(name, PREFIX + name.upper())
        text = _secret(environment, variable) if name in _SECRETS else environment.get(variable)
        if text:
            try:
                values[name] = readers.get(name, str)(text.strip())
            except ValueError as error:
                raise SettingsError(f"{variable} cannot be used: {error}") from error
    values.update({name: value for name, value in flags.items() if value not in (None, ())})
    return Settings(**values)


def parse_duration(text: str) -> timedelta:
    """A Go duration such as 90s, 10m or -24h; raises ValueError."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    unit = units.get(text[-1:])
    if unit is None:
        raise ValueError(f"{text!r} is no duration like 90s, 10m or 24h")
    return timedelta(seconds=float(text[:-1]) * unit)


_duration = parse_duration


def _secret(environment: Mapping[str, str], variable: str) -> str | None:
    path = environment.get(f"{variable}_FILE")
    if not path:
        return environment.get(variable)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}_FILE cannot be read: {type(error).__name__}") from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _namespaces(text: str) -> frozenset[str]:
    """What is no name of a namespace would serve none, and nobody would know why."""
    for word in _words(text):
        if not _NAMESPACE.fullmatch(word):
            raise ValueError(f"{word!r} is no name of a namespace: write names, separated by commas")
    return frozenset(_words(text))


def _domains(text: str) -> frozenset[str]:
    """As an address may have them (api/client_list.py). What is none may be somebody's address, and is not repeated."""
    words = [word.lower() for word in _words(text)]
    for number, word in enumerate(words, start=1):
        if not _DOMAIN.fullmatch(word):
            raise ValueError(
                f"entry {number} of {len(words)} is no domain: write domains such as nhs.example, separated by commas,"
                " without @ or *"
            )
    return frozenset(words)


def _switch(text: str) -> bool:
    switches = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in switches:
        raise ValueError("say true or false")
    return switches[text.lower()]
