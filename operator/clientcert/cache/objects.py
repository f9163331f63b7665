"""Records of our objects in their last known version. A record is immutable: a new one replaces it."""

from dataclasses import dataclass
from datetime import datetime

from clientcert.api.store_discovery import NOTHING, Discovery, Outcome
from clientcert.errors import ClientCertError
from clientcert.lifecycle.alert_test import AlertTest
from clientcert.lifecycle.assessment import Problem
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import CertificateStatus, Condition, DigestRecord
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.spec import Bucket, CertificateSpec, ObjectKey


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """One ClientCertificate."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    created: datetime
    spec: CertificateSpec
    """`UNUSABLE_SPEC` if it cannot be used; then `spec_problem` has the reason."""
    spec_problem: Problem | None
    status: CertificateStatus
    """Without the contact, if the spec has named another one since."""
    status_hash: bytes
    """The hash of the status without the test."""
    test: AlertTest | None = None
    discovered_by: str = ""
    """The CertificateStore whose discovery made it; empty for all others."""
    held_until: datetime | None = None
    """Nothing is done about it before this time: its status is being restored (`api/restored.py`)."""


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """One CertificatePolicy."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    policy: AlertPolicy
    renewal: RenewalPolicy | None
    """None: certificates are renewed by hand, or `renewal_problem`."""
    renewal_problem: str
    """The reason why `spec.renewal` cannot be used; empty otherwise."""
    conditions: tuple[Condition, ...]
    digests: tuple[DigestRecord, ...]
    status_hash: bytes
    """The hash of the status without the digests and the test."""
    configuration: int
    """A new number after each change of the spec or of a Secret that the policy needs."""
    test: AlertTest | None = None


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """One CertificateStore."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    bucket: Bucket | None
    problem: ClientCertError | None
    """The reason why there is no bucket."""
    conditions: tuple[Condition, ...]
    status_hash: bytes
    configuration: int
    """A new number after each change of the bucket or of the Secret with the credentials."""
    discovery: Discovery | None = None
    discovery_problem: ClientCertError | None = None
    """The reason why spec.discovery cannot be used."""
    outcome: Outcome = NOTHING
    """The result of discovery in the status."""
