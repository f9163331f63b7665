"""Our objects as the API server last said them. A record is never changed: a new one takes its place."""

from dataclasses import dataclass
from datetime import datetime

from clientcert.errors import ClientCertError
from clientcert.lifecycle.assessment import Problem
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import CertificateStatus, Condition, DigestRecord
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
    """`UNUSABLE_SPEC` if it cannot be used; then `spec_problem` says why."""
    spec_problem: Problem | None
    status: CertificateStatus
    """Without what it says of a contact, if the spec names another contact since."""
    status_hash: bytes


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """One CertificatePolicy."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    policy: AlertPolicy
    conditions: tuple[Condition, ...]
    digests: tuple[DigestRecord, ...]
    status_hash: bytes
    """Of all but the digests."""
    configuration: int
    """Another number after each change of the spec or of a Secret that the policy needs."""


@dataclass(frozen=True, slots=True)
class StoreRecord:
    """One CertificateStore."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    bucket: Bucket | None
    problem: ClientCertError | None
    conditions: tuple[Condition, ...]
    status_hash: bytes
    configuration: int
    """Another number after each change of the spec or of the Secret with the credentials."""
