"""The status of a ClientCertificate and of a CertificatePolicy, as values: the only data that survives a restart."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from clientcert.lifecycle.policy import Role
from clientcert.pki.certificate import Expiry


@dataclass(frozen=True, slots=True)
class AcceptedCertificate:
    """The certificate that alerts are about: the last one that was read and could be the consumer's own.

    It is kept when the source is deleted or gets unusable content: its date still counts.
    """

    subject_dn: str
    issuer_dn: str
    serial_number: str
    """Lowercase hex, as people compare it with the output of `openssl x509 -serial`."""
    fingerprint_sha256: str
    not_before: datetime
    not_after: datetime
    key_algorithm: str
    warnings: tuple[str, ...] = ()
    ends_first: Expiry | None = None
    """The certificate in the same file that ends before this one, so that its date counts; None: this one's own."""


@dataclass(frozen=True, slots=True)
class FallbackRecipient:
    """The recipient who got a letter because the previous recipient could not be reached. Roles only, no names."""

    role: Role
    message: str
    """The recipient who could not be reached, and the reason: a text for people, which is never parsed."""

    def __str__(self) -> str:
        return f"{self.message}, so the {self.role} was written to"


@dataclass(frozen=True, slots=True)
class ToldProblem:
    """A problem that a channel was told of."""

    reason: str
    time: datetime


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """The last notification of one channel."""

    name: str
    fingerprint_sha256: str
    """The fingerprint of the certificate whose date the notification was about: the leaf, or the one of its chain that
    ends first. Empty if none had ever been read."""
    stage: int | None
    """Days before notAfter, negative after it; None if no alert about this certificate was sent (yet)."""
    last_sent: datetime | None
    next_time: datetime | None = None
    """The time of the next stage. For people: it is never read back."""
    thread_ref: str = ""
    """The thread of the last alert (Slack: channel and ts). Like `next_time`, it is never read back."""
    last_failure: datetime | None = None
    """The first failure since the last success."""
    first_sent: datetime | None = None
    """The time of the first alert about this certificate."""
    recipient_role: Role | None = None
    """The role of the last letter's recipient; None for a channel to a team."""
    fallback_recipient: FallbackRecipient | None = None
    """Set if the last letter did not reach its first recipient."""
    leaf_fingerprint_sha256: str = ""
    """The fingerprint of the certificate itself, if the notification was about another one that ends first."""
    problems: tuple["ToldProblem", ...] = ()
    """The problems that the channel was told of, at its last stage and since, the last one last."""
    recovered: datetime | None = None
    """The last time at which the source was seen to be fine again after these problems."""


@dataclass(frozen=True, slots=True)
class SourceGap:
    """The last time at which the source was gone or empty; in whole seconds, like every time in a status."""

    begin: datetime
    end: datetime | None = None
    """None: the source is still gone."""
    fading_seconds: int = 0
    """When this gap began, the earlier ones would have been forgotten after this time (`lifecycle/source_gap.py`)."""
    key_gone: datetime | None = None
    """The time since which the bucket is there without the object; None if it is not so, or if the bucket is gone."""


@dataclass(frozen=True, slots=True)
class PreviousCertificate:
    """A certificate that was replaced."""

    serial_number: str
    not_after: datetime
    replaced_time: datetime
    issuer_dn: str = ""
    """Empty in a status of version 0.1."""


@dataclass(frozen=True, slots=True)
class RecordedRenewal:
    """The state of the renewal of a certificate, as its status says."""

    opens: datetime | None
    closes: datetime | None
    reason: str
    message: str
    request_name: str = ""
    """The open request; empty: there is none."""
    request_uid: str = ""
    declared_hash: str = ""
    """The declaration at the last delivery or first look (`renewal/declaration.py`)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A Kubernetes condition; `last_transition` is the time of the last change of `status`."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_transition: datetime | None = None


shared_condition = lru_cache(maxsize=2048)(Condition)
"""Makes a Condition. Equal conditions share one object while it is cached: thousands of statuses have equal ones."""

shared_conditions = lru_cache(maxsize=2048)(tuple[Condition, ...])
"""Makes a tuple of conditions; equal tuples share one object while it is cached, as those of thousands of statuses."""


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """The part of a ClientCertificate's status that decisions need."""

    accepted: AcceptedCertificate | None = None
    source_version: str = ""
    source_observed: datetime | None = None
    source_gap: SourceGap | None = None
    channels: tuple[ChannelStatus, ...] = ()
    history: tuple[PreviousCertificate, ...] = ()
    """Newest first, at most five."""
    conditions: tuple[Condition, ...] = ()
    renewal: RecordedRenewal | None = None
    """None: the policy has no renewal."""
    phase: str = ""
    """The last written phase; for metrics and the command line."""

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
    """The notifications in the digest: `lifecycle.delivery_log.digest_key` of each."""
