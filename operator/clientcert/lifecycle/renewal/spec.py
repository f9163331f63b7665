"""The specs of CertificateRenewals and CertificateRevocations, in types of our own."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Mode(StrEnum):
    """The kind of a request."""

    RENEW = "Renew"
    """The certificate again, with the same key or another."""
    REISSUE = "Reissue"
    """A certificate after a new vetting: the old one is expired, revoked, refused or lost, or there is none yet."""


class Decision(StrEnum):
    """The decision of an approver."""

    APPROVE = "Approve"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Approval:
    """The decision about a request; set once, by an admission policy's rules."""

    decision: Decision
    by: str
    key_hash: str
    """The key that the approver saw: must be that of the status."""
    recipient_hash: str
    """The recipient that the approver saw."""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RenewalSpec:
    """The spec of one CertificateRenewal. All PEM texts are as the command line wrote them: normalized."""

    certificate: str
    """The name of the ClientCertificate, in the same namespace."""
    serial_number: str
    """Of the certificate to be renewed, in lower-case hex; empty for a first one, and for one that the source lost."""
    requested_by: str
    """The user of the cluster who created the request."""
    mode: Mode = Mode.RENEW
    csr_pem: str = ""
    public_key_pem: str = ""
    reuse: bool = False
    """True: the key that the last request with one brought, else that of `client.csr`, else the current one."""
    proof_pem: str = ""
    """CMS SignedData by the current key over the CSR or public key; empty: no proof."""
    reason: str = ""
    approval: Approval | None = None
    handed_over_by: str = ""
    """The user who says that the consumer has the certificate; empty: nobody yet."""

    @property
    def proves(self) -> bool:
        """True if there is a proof that the checks verify: they do not look at that of a Reissue."""
        return bool(self.proof_pem) and self.mode is Mode.RENEW


class RevocationReason(StrEnum):
    """The reasons of RFC 5280 section 5.3.1 that are used here, in Kubernetes' spelling."""

    UNSPECIFIED = "Unspecified"
    KEY_COMPROMISE = "KeyCompromise"
    AFFILIATION_CHANGED = "AffiliationChanged"
    SUPERSEDED = "Superseded"
    CESSATION_OF_OPERATION = "CessationOfOperation"
    PRIVILEGE_WITHDRAWN = "PrivilegeWithdrawn"


@dataclass(frozen=True, slots=True)
class RevocationSpec:
    """The spec of one CertificateRevocation: one serial number that must no longer be accepted. Immutable."""

    issuer_dn: str
    """RFC 4514."""
    serial_number: str
    """In lower-case hex."""
    consumer: str
    reason: RevocationReason
    revocation_time: datetime
    not_after: datetime
    """The end of the revoked certificate: until then its entry stays in CRL and list."""
    key_hash: str = field(default="")
    """SHA-256 over its SubjectPublicKeyInfo; a compromised key is never certified again."""
