"""The status of a CertificateRenewal, as values: what survives a restart, and the record of who was given what."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from clientcert.lifecycle.recorded_status import Condition


class State(StrEnum):
    """The state of a request, in the order of its way."""

    CHECKING = "Checking"
    WAITING = "Waiting"
    """A check waits: the source, the issuer, or another certificate with the same serial number."""
    AWAITING_APPROVAL = "AwaitingApproval"
    APPROVED = "Approved"
    ISSUED = "Issued"
    """Signed and recorded, not with the consumer yet."""
    DELIVERED = "Delivered"
    """The consumer has it; the source has not, yet."""
    DONE = "Done"
    REFUSED = "Refused"
    DENIED = "Denied"
    ENDED = "Ended"
    """The certificate ended before a decision, or was replaced or deleted."""


FINAL = frozenset({State.DONE, State.REFUSED, State.DENIED, State.ENDED})

ACCEPTED = "Accepted"
APPROVED = "Approved"
DENIED = "Denied"
ISSUED = "Issued"
DELIVERED = "Delivered"
STORED = "Stored"
RETIRED = "Retired"
"""Of the old certificate: False since its retirement was announced, a week before or on delivery."""
NOTIFIED = "Notified"
"""True once all messages about the request that are due were sent; absent if none ever was due."""
FAILED = "Failed"


class Outcome(StrEnum):
    """The outcome of a check."""

    PASSED = "Passed"
    WAITS = "Waits"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of `status.checks`."""

    name: str
    outcome: Outcome
    message: str

    @property
    def passed(self) -> bool:
        """As the status says it."""
        return self.outcome is Outcome.PASSED


@dataclass(frozen=True, slots=True)
class Issuance:
    """The write-ahead of one signature: exactly this is signed, or nothing."""

    serial_number: str
    """In lower-case hex; empty if the issuer chooses it."""
    not_before: datetime | None
    not_after: datetime | None
    issuer_fingerprint: str
    """SHA-256 of the CA's certificate, in lower-case hex."""
    request_hash: str
    """SHA-256 over `request_pem`."""
    tbs_hash: str
    """SHA-256 over the to-be-signed bytes; empty if the issuer makes them."""
    request_pem: str
    """The CSR, or the public key, that is certified."""
    request_ref: str = ""
    """The name of the issuer's own object, if it has one."""


HANDED_OVER = "handed over"
"""In place of a role: a user has said that the consumer has it."""


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """The record of a delivery to the consumer."""

    time: datetime
    role: str
    """The role of the recipient, or `handed over`."""
    artefact: str
    """SHA-256 over what was sent, in lower-case hex."""


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """A message about this request that was sent."""

    name: str
    """The notice and its destination, such as `Receipt/contact` or `Waiting/slack`."""
    sent: datetime


@dataclass(frozen=True, slots=True)
class RenewalStatus:
    """The status of one CertificateRenewal."""

    state: State = State.CHECKING
    key_hash: str = ""
    """SHA-256, in lower-case hex, over the SubjectPublicKeyInfo that is asked for, or to encrypt to."""
    recipient_hash: str = ""
    """SHA-256 over object uid and address of the contact of record."""
    recipient_role: str = ""
    declared_hash: str = ""
    """The declaration of the certificate's spec when this request was accepted (`declaration.py`)."""
    changed: tuple[str, ...] = ()
    """The fields of the certificate's spec that changed since the last delivery or first look: approval names them."""
    checks: tuple[CheckResult, ...] = ()
    issuance: Issuance | None = None
    ciphertext: str = field(default="", repr=False)
    """The key that the operator made, encrypted to the consumer; with the extras."""
    certificate_pem: str = ""
    """The new certificate, and its chain."""
    previous_certificate_pem: str = ""
    delivery: DeliveryRecord | None = None
    notices: tuple[NoticeRecord, ...] = ()
    ended: datetime | None = None
    """The time when it came to a final state."""
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None if it was never set."""
        return next((each for each in self.conditions if each.type == kind), None)
