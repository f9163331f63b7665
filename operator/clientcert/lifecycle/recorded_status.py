"""The status of a ClientCertificate and of a CertificatePolicy, as values: all that survives a restart."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from clientcert.lifecycle.policy import Role


@dataclass(frozen=True, slots=True)
class AcceptedCertificate:
    """The certificate that alerts are about: the last one that was read and could be the consumer's own.

    It outlives its source: if the source is deleted or overwritten with something unusable, this `not_after` still
    counts.
    """

    subject_dn: str
    issuer_dn: str
    serial_number: str
    """Lowercase hex, as people compare it with `openssl x509 -serial`."""
    fingerprint_sha256: str
    not_before: datetime
    not_after: datetime
    key_algorithm: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FallbackRecipient:
    """The recipient who got a letter because the one before could not be reached. Roles only, no names."""

    role: Role
    message: str
    """Who could not be reached, and why: a text for people, which is never parsed."""

    def __str__(self) -> str:
        return f"{self.message}, so the {self.role} was written to"


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """The last notification of one channel."""

    name: str
    fingerprint_sha256: str
    """Of the certificate that the notification was about; empty if none had ever been read."""
    stage: int | None
    """Days before notAfter, negative after it; None if no alert about this certificate was sent (yet)."""
    last_sent: datetime | None
    next_time: datetime | None = None
    """When the next stage is due. For people: it is never read back."""
    thread_ref: str = ""
    """The thread of the last alert (Slack: channel and ts). Like `next_time`, it is never read back."""
    last_failure: datetime | None = None
    """The first failure since the last success."""
    first_sent: datetime | None = None
    """When the first alert about this certificate was sent."""
    recipient_role: Role | None = None
    """The role that got the last letter; None for a channel to a team."""
    fallback_recipient: FallbackRecipient | None = None
    """Set if the last letter did not reach the recipient it was for first."""


@dataclass(frozen=True, slots=True)
class PreviousCertificate:
    """A certificate that was replaced."""

    serial_number: str
    not_after: datetime
    replaced_time: datetime


@dataclass(frozen=True, slots=True)
class Condition:
    """A Kubernetes condition; `last_transition` is when `status` last changed."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_transition: datetime | None = None


shared_condition = lru_cache(maxsize=2048)(Condition)
"""Makes a Condition; equal ones are one object while they are cached. Thousands of statuses have the same ones."""


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """The status of a ClientCertificate, as far as a decision needs it."""

    accepted: AcceptedCertificate | None = None
    source_version: str = ""
    source_observed: datetime | None = None
    channels: tuple[ChannelStatus, ...] = ()
    history: tuple[PreviousCertificate, ...] = ()
    """Newest first, at most five."""
    conditions: tuple[Condition, ...] = ()
    phase: str = ""
    """As it was last written; for metrics and the command line."""

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None if it was never set."""
        for each in self.conditions:
            if each.type == kind:
                return each
        return None


@dataclass(frozen=True, slots=True)
class DigestRecord:
    """A digest that was sent, as the status of its CertificatePolicy records it."""

    channel: str
    sent_time: datetime
    keys: frozenset[bytes]
    """The notifications in it: `lifecycle.delivery_log.digest_key` of each."""
