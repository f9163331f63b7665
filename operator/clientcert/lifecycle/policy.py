"""The alert settings of a CertificatePolicy, and the defaults without a policy."""

from dataclasses import dataclass, field
from datetime import UTC, time, timedelta, tzinfo
from enum import StrEnum

from clientcert.lifecycle.spec import SecretKeyRef

DEFAULT_MESSAGE = "The certificate for {name} in {environment} will expire within the next {duration} days"
DEFAULT_GRACE = timedelta(minutes=2)
EVENT = "Event"
"""The type of the channel that every certificate has."""
EVENTS_CHANNEL = "events"
"""The name of the channel that every certificate has: Kubernetes Events. No policy may use it."""


class Group(StrEnum):
    """The condition for combining many alerts of one channel into one message."""

    NEVER = "Never"
    AUTO = "Auto"
    BATCH = "Batch"
    POLICY = "Policy"


class Role(StrEnum):
    """The role of a recipient."""

    TECHNICAL = "technical contact"
    BUSINESS = "business contact"
    REQUESTER = "requester"
    SLACK = "Slack user"
    AUTHORITY = "registration authority"
    """An address that `spec.renewal.notify` of a policy names; never a contact of the consumer."""
    TESTER = "recipient of the test"
    """The address that a test alert goes to; never a contact of the consumer."""


@dataclass(frozen=True, slots=True)
class SendAt:
    """The time of day at which messages to people are sent."""

    time_of_day: time
    timezone: tzinfo = UTC
    weekdays_only: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """The times at which one channel is due, in days before notAfter."""

    start_days_before: int = 30
    every_days: int = 1
    """Ignored if `on_days` lists the days."""
    on_days: tuple[int, ...] = ()
    after_expiry_every_days: int = 1
    after_expiry_for_days: int | None = None
    """None: until the certificate is replaced."""
    send_at: SendAt | None = None
    """None: at the exact moment, whole days before notAfter."""


@dataclass(frozen=True, slots=True)
class SlackAddress:
    """A destination in Slack: a channel with a bot token, or an incoming webhook, which determines the channel."""

    channel: str = ""
    token_ref: SecretKeyRef | None = None
    """None: the operator's own token, which serves only the operator's own channel."""
    webhook_ref: SecretKeyRef | None = None


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """The consumer's contact: by mail, or by a direct message in Slack if the contact is a user there."""

    sender: str = ""
    """The signature: a person or a team; empty: the team that the certificate names as its owner."""
    system: str = ""
    """The system that the certificate gives access to, e.g. "Integration API"; empty: "our system"."""
    reply_to: str = ""
    """One plain address; empty: answers go to the operator's own From address."""
    subject: str = ""
    """A template with the fields of `message`; empty: the default one."""
    body: str = ""
    """The same, in paragraphs; empty: the default letter, which contains every step."""
    role: Role | None = None
    """Send only to a contact of this role; None: to the first known contact, with the others as fallback recipients."""


@dataclass(frozen=True, slots=True)
class UrlAddress:
    """The URL of a webhook, of an Alertmanager, or in the notation of Apprise. It may be a secret itself."""

    url_ref: SecretKeyRef
    signing_ref: SecretKeyRef | None = None
    """For a webhook: the keys that sign its calls, as in Standard Webhooks."""
    authorization_ref: SecretKeyRef | None = None
    """For a webhook or an Alertmanager: the value of the header Authorization (RFC 9110 section 11.6.2)."""


Address = SlackAddress | EmailAddress | UrlAddress


@dataclass(frozen=True, slots=True)
class Channel:
    """One destination of alerts."""

    name: str
    type: str
    """`Slack`, `Email`, `Webhook`, `Alertmanager`, `Apprise` or `Event`; any other fails when it is due."""
    schedule: Schedule
    address: Address | None = None
    escalate_after: int | None = None
    """Days from the first alert to the escalation, unless somebody has acknowledged it; None: this is no escalation."""
    escalation: bool = field(init=False)
    """True for a channel that is used only if the alerts of the other channels had no effect."""
    to_consumer: bool = field(init=False)
    """True for a channel to the consumer's contact, who can renew but cannot repair our sources."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "escalation", self.escalate_after is not None)
        object.__setattr__(self, "to_consumer", isinstance(self.address, EmailAddress))


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """The settings for finding the contact of a consumer."""

    directory: str = ""
    """The ConfigMap with the client list; empty: none."""
    internal_environments: frozenset[str] = frozenset()
    """Environments whose contacts are users of our own Slack."""
    slack_token_ref: SecretKeyRef | None = None
    """The token for looking up and writing to users; None: the operator's own, if its settings allow that."""


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """The alert half of a CertificatePolicy."""

    channels: tuple[Channel, ...]
    """Never empty: it contains at least Kubernetes Events."""
    message: str = DEFAULT_MESSAGE
    group: Group = Group.AUTO
    runbook_url: str = ""
    contacts: ContactPolicy = ContactPolicy()
    start_days_before: int = 30
    """The number of days before notAfter from which a certificate expires soon: the earliest start of all channels."""
    source_grace: timedelta = DEFAULT_GRACE
    """A source that is gone or empty for less than this is no alarm."""
    problems: tuple[str, ...] = field(default=())
    """The settings that cannot be used, in words, and what is used instead."""
    remarks: tuple[str, ...] = field(default=())
    """Settings that are used, and have an effect together that few people want, in words."""
    writes_letters: bool = field(init=False)
    """True if a channel writes to consumers' contacts."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "writes_letters", any(channel.to_consumer for channel in self.channels))
