"""What was seen and what was sent, as the status of a ClientCertificate remembers it between two looks."""

from dataclasses import dataclass
from datetime import datetime

from clientcert.lifecycle.policy import Role
from clientcert.pki import Certificate


@dataclass(frozen=True, slots=True)
class AcceptedCertificate:
    """The certificate that alerts are about: the last one that was seen and could be the consumer's own.

    It outlives its source. When the source is deleted or overwritten with something unusable, this one's
    `not_after` still counts.
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

    @classmethod
    def of(cls, certificate: Certificate) -> "AcceptedCertificate":
        """What of a parsed certificate is worth remembering."""
        return cls(
            subject_dn=certificate.subject_dn,
            issuer_dn=certificate.issuer_dn,
            serial_number=f"{certificate.serial_number:x}",
            fingerprint_sha256=certificate.fingerprint_sha256,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            key_algorithm=certificate.key_algorithm,
            warnings=certificate.warnings,
        )


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """What one channel was last told."""

    name: str
    fingerprint_sha256: str
    """Of the certificate the channel was told about; empty when none had ever been read."""
    stage: int | None
    """Days before notAfter, negative after it; None when no alert about this certificate was sent (yet)."""
    last_sent: datetime | None
    next_time: datetime | None = None
    """When the next stage comes; for people, never read back."""
    thread_ref: str = ""
    """Where the thread of the last alert is (Slack: channel and ts); as `next_time`, never read back."""
    last_failure: datetime | None = None
    """The first failure since the last success."""
    first_sent: datetime | None = None
    """When the first alert about this certificate was sent."""
    recipient_role: Role | None = None
    """Who got the last letter; None of a channel that tells a team."""


@dataclass(frozen=True, slots=True)
class PreviousCertificate:
    """A certificate that is history."""

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


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """All that the status of a ClientCertificate says and the next decision needs."""

    accepted: AcceptedCertificate | None = None
    source_version: str = ""
    source_observed: datetime | None = None
    channels: tuple[ChannelStatus, ...] = ()
    history: tuple[PreviousCertificate, ...] = ()
    """Newest first, at most five."""
    conditions: tuple[Condition, ...] = ()

    def channel(self, name: str) -> ChannelStatus | None:
        """The record of that channel, if it was ever told anything."""
        return next((record for record in self.channels if record.name == name), None)

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, if it was ever set."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


@dataclass(frozen=True, slots=True)
class DigestRecord:
    """A digest that was sent, as the status of its CertificatePolicy remembers it."""

    channel: str
    sent_time: datetime
    keys: frozenset[bytes]
    """What it has told of: eight bytes of a hash for each notification."""
