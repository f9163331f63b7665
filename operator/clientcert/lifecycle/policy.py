"""How to alert: the spec of a CertificatePolicy, and what holds where there is none."""

from dataclasses import dataclass, field
from datetime import UTC, time, tzinfo

from clientcert.lifecycle.declaration import SecretKeyRef

DEFAULT_MESSAGE = "The certificate for {name} in {environment} will expire within the next {duration} days"
EVENTS_CHANNEL = "events"
"""The name of the channel that every certificate has: Kubernetes Events. No policy may use it."""


@dataclass(frozen=True, slots=True)
class SendAt:
    """The time of day at which people are told."""

    time_of_day: time
    timezone: tzinfo = UTC
    weekdays_only: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """When one channel is due, in days before notAfter."""

    start_days_before: int = 30
    every_days: int = 1
    """Ignored when `on_days` says the days themselves."""
    on_days: tuple[int, ...] = ()
    after_expiry_every_days: int = 1
    after_expiry_for_days: int | None = None
    """None: until it is replaced."""
    send_at: SendAt | None = None
    """None: at the very moment, as many whole days before notAfter."""


@dataclass(frozen=True, slots=True)
class SlackAddress:
    """Where in Slack: a channel with a bot token, or an incoming webhook that knows its own channel."""

    channel: str = ""
    token_ref: SecretKeyRef | None = None
    """None: the operator's own token, which serves only the operator's own channel."""
    webhook_ref: SecretKeyRef | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """One place that alerts go to."""

    name: str
    type: str
    """`Slack`, or `Event`; any other is a type that this version cannot serve, and says so when it is due."""
    schedule: Schedule
    slack: SlackAddress | None = None


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """The alert half of a CertificatePolicy."""

    channels: tuple[Channel, ...]
    """Never empty: Kubernetes Events at the least."""
    message: str = DEFAULT_MESSAGE
    runbook_url: str = ""
    start_days_before: int = 30
    """From here on the certificate counts as expiring soon: the earliest start of all channels."""
    problems: tuple[str, ...] = field(default=())
    """What of the policy could not be used, in words; what it would have said is replaced by the default."""
    not_acted_on: tuple[str, ...] = field(default=())
    """What of the policy this version accepts and does nothing about, in words; no alert is missed for it."""
