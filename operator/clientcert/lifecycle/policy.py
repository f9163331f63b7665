"""How to alert: the spec of a CertificatePolicy, and what holds where there is none."""

from dataclasses import dataclass, field
from datetime import UTC, time, tzinfo
from enum import StrEnum

from clientcert.lifecycle.spec import SecretKeyRef

DEFAULT_MESSAGE = "The certificate for {name} in {environment} will expire within the next {duration} days"
EVENT = "Event"
"""The type of the channel that every certificate has."""
EVENTS_CHANNEL = "events"
"""The name of the channel that every certificate has: Kubernetes Events. No policy may use it."""


class Group(StrEnum):
    """When many alerts of one channel become one message."""

    NEVER = "Never"
    AUTO = "Auto"
    BATCH = "Batch"
    POLICY = "Policy"


class Role(StrEnum):
    """As what somebody is written to."""

    TECHNICAL = "technical contact"
    BUSINESS = "business contact"
    REQUESTER = "requester"
    SLACK = "Slack user"


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
class EmailAddress:
    """To the consumer's contact: by mail, or by a direct message in Slack where the contact is a user there."""

    sender: str = ""
    """Who signs: a person or a team; empty: the team that the certificate names as its owner."""
    system: str = ""
    """What the certificate gives access to, e.g. "Integration API"; empty: "our system"."""
    reply_to: str = ""
    """One plain address; empty: answers go to the operator's own From address."""
    subject: str = ""
    """A template with the fields of `message`; empty: the default one."""
    body: str = ""
    """The same, in paragraphs; empty: the default letter, which says every step."""
    role: Role | None = None
    """Only to a contact of this role; None: to the first one that there is, the others standing in."""


@dataclass(frozen=True, slots=True)
class UrlAddress:
    """A URL that is called: of a webhook, of an Alertmanager, or as Apprise writes it. It may be a secret itself."""

    url_ref: SecretKeyRef
    signing_ref: SecretKeyRef | None = None
    """Of a webhook: what calls are signed with, as Standard Webhooks does."""
    authorization_ref: SecretKeyRef | None = None
    """Of a webhook or an Alertmanager: the value of the header Authorization (RFC 9110 section 11.6.2)."""


Address = SlackAddress | EmailAddress | UrlAddress


@dataclass(frozen=True, slots=True)
class Channel:
    """One place that alerts go to."""

    name: str
    type: str
    """`Slack`, `Email`, `Webhook`, `Alertmanager`, `Apprise` or `Event`; any other says so when it is due."""
    schedule: Schedule
    address: Address | None = None
    escalate_after: int | None = None
    """Days from the first alert to the escalation, unless somebody has acknowledged it; None: this is no escalation."""
    escalation: bool = field(init=False)
    """True for a channel that is used only after the other channels were told without effect."""
    to_consumer: bool = field(init=False)
    """True for a channel to the consumer's contact, who can renew but cannot repair our sources."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "escalation", self.escalate_after is not None)
        object.__setattr__(self, "to_consumer", isinstance(self.address, EmailAddress))


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """How the contact behind a consumer is found."""

    directory: str = ""
    """The ConfigMap with the client list; empty: there is none."""
    internal_environments: frozenset[str] = frozenset()
    """Where the contact is a user of our own Slack."""
    slack_token_ref: SecretKeyRef | None = None
    """With which users are looked up and written to; None: the operator's own, where its settings allow that."""


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """The alert half of a CertificatePolicy."""

    channels: tuple[Channel, ...]
    """Never empty: Kubernetes Events at the least."""
    message: str = DEFAULT_MESSAGE
    group: Group = Group.AUTO
    runbook_url: str = ""
    contacts: ContactPolicy = ContactPolicy()
    start_days_before: int = 30
    """From here on the certificate counts as expiring soon: the earliest start of all channels."""
    problems: tuple[str, ...] = field(default=())
    writes_letters: bool = field(init=False)
    """True if a channel writes to consumers' contacts."""
    """What of the policy could not be used, in words; what it would have said is replaced by the default."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "writes_letters", any(channel.to_consumer for channel in self.channels))
