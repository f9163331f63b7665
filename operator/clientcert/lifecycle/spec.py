"""The specs of ClientCertificates and CertificateStores, in types of our own."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, NamedTuple

from clientcert.pki.identity import ANYONE, Identity

HOST = "Host"
"""The profile of a server's certificate."""


class ObjectKey(NamedTuple):
    """Namespace and name: the identity of an object of a kind at one moment."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class SecretKeyRef:
    """One key of a Secret in the object's own namespace; its value is only held while it is used."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The source is a key of a Secret."""

    kind: ClassVar[str] = "kubernetes"
    """As x509-certificate-exporter calls it."""
    name: str
    key: str
    password_ref: SecretKeyRef | None = None


@dataclass(frozen=True, slots=True)
class S3Source:
    """The source is an object in the bucket of a CertificateStore."""

    kind: ClassVar[str] = "s3"
    store: str
    key: str
    password_ref: SecretKeyRef | None = None


SourceRef = SecretSource | S3Source


@dataclass(frozen=True, slots=True)
class Person:
    """A contact's name and address. Personal: shown to the team that is alerted, never logged or put into status."""

    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """The contacts of the consumer; each may be missing."""

    technical: Person | None = None
    business: Person | None = None
    requester: Person | None = None
    slack_email: str = ""
    slack_member_id: str = ""
    lookup: tuple[str, ...] = ()
    pending: bool = False
    """True while the contact is looked up; never declared."""


@dataclass(frozen=True, slots=True)
class Silence:
    """No alerts for this exact object until that time."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """The spec of one ClientCertificate."""

    consumer: str
    environment: str
    source: SourceRef
    contact: Contact
    owner: str = ""
    profile: str = "Client"
    batch: str = ""
    identity: Identity = ANYONE
    """The names that make a certificate the consumer's own."""
    policy: str = ""
    silence: Silence | None = None
    acknowledged: str = ""
    """The serial number, in lower-case hex, of the certificate that somebody has acknowledged."""
    acknowledged_because: str = ""
    """The reason for the acknowledgement, in the words of its author."""
    vetting_date: date | None = None
    """The day on which a person last verified the consumer's identity."""


UNUSABLE_SPEC = CertificateSpec(consumer="", environment="", source=SecretSource("", ""), contact=Contact())
"""Used in place of a spec that cannot be used; its certificate has a problem of phase Invalid, and sends no alerts."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The spec of one CertificateStore."""

    name: str
    prefix: str = ""
    region: str = ""
    endpoint: str = ""
    """Empty: the AWS endpoint of the region."""
    credentials_secret: str = ""
    """Empty: the pod's own identity, where the settings allow it."""
    poll_seconds: float = 300.0
    addressing: str = "Auto"
    """`Path`: the bucket is in the path of a URL; `Virtual`: in its host name; `Auto`: as the server needs it."""
