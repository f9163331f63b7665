"""One record an object: what the API server last said of it, and what was seen and sent since."""

from dataclasses import dataclass
from datetime import datetime

from clientcert.errors import ClientCertError, Reason
from clientcert.kube.events import EventSpec
from clientcert.lifecycle.assessment import Assessment, Observation, Problem
from clientcert.lifecycle.contacts import Recipient, Resolution, StoodIn
from clientcert.lifecycle.policy import AlertPolicy
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus, Condition, DigestRecord
from clientcert.lifecycle.spec import Bucket, CertificateSpec, ObjectKey

_PATIENCE = 3
"""So many attempts in a row may fail before a passing fault is written into a status."""


@dataclass(slots=True)
class Failure:
    """A channel that could not be told."""

    reason: Reason
    message: str
    permanent: bool
    since: datetime
    attempts: int
    strikes: int
    """How many of them failed otherwise than by being asked to wait."""
    next_try: datetime | None
    """None: as soon as the place can take a message again."""
    of_the_place: bool = False
    """It was met by another message, which this one waits behind."""

    @property
    def counts(self) -> bool:
        """Whether people should know: it will not pass by itself, or has not for a while."""
        return self.permanent or self.attempts >= _PATIENCE


@dataclass(slots=True)
class CertificateRecord:
    """One ClientCertificate."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    created: datetime
    declaration: CertificateSpec | None
    """None when the spec cannot be used; `spec_problem` says why."""
    spec_problem: Problem | None
    recorded: CertificateStatus
    status_digest: bytes
    observation: Observation | None = None
    """None until the source was read for the first time."""
    revision: str = ""
    """Of what holds the certificate, when it was last read."""
    stale: bool = True
    """The source may hold something else than what was observed."""
    read_failures: int = 0
    read_failure: Reason | None = None
    """Why the last try failed; None if it did not."""
    read_again: datetime | None = None
    sought: int = 0
    """The generation whose policy and store were looked for, in case that no watch has told of them yet."""
    assessment: Assessment | None = None
    contact: Resolution | None = None
    """Who is written to, as it was last found out."""
    recipients: tuple[Recipient, ...] = ()
    """Who was found last, if anybody was."""
    stood_in: StoodIn | None = None
    """What became of the last letter to them, as `Resolution.stood_in`."""
    sent: dict[str, ChannelStatus] | None = None
    """What was sent and is not in the status yet, by channel. The one thing that nobody else knows."""
    failing: dict[str, Failure] | None = None
    unsaid: tuple[EventSpec, ...] = ()
    """Events about changes that are already in the status, and could not be written yet."""

    @property
    def policy_key(self) -> ObjectKey:
        """Its CertificatePolicy's, whose name is empty where the spec names none."""
        return ObjectKey(self.key.namespace, self.declaration.policy if self.declaration else "")


@dataclass(slots=True)
class PolicyRecord:
    """One CertificatePolicy."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    policy: AlertPolicy
    conditions: tuple[Condition, ...]
    status_digest: bytes
    """Of all but the digests."""
    digests: tuple[DigestRecord, ...] = ()


@dataclass(slots=True)
class StoreRecord:
    """One CertificateStore."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    bucket: Bucket | None
    problem: ClientCertError | None
    conditions: tuple[Condition, ...]
    status_digest: bytes
    next_poll: datetime | None = None
    """None: at once, with credentials read anew."""
    poll_failures: int = 0
    objects: int | None = None
    """In the bucket, at the last LIST."""
