"""Group, version and kinds, and how times are written in them."""

from dataclasses import dataclass
from datetime import UTC, datetime

GROUP = "clientcert.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of our kinds."""

    name: str
    plural: str

    def collection(self, namespace: str = "") -> str:
        """The path of all objects in a namespace, or in all of them."""
        scope = f"namespaces/{namespace}/" if namespace else ""
        return f"/apis/{API_VERSION}/{scope}{self.plural}"

    def item(self, namespace: str, name: str) -> str:
        """The path of one object."""
        return f"{self.collection(namespace)}/{name}"

    def named(self, namespace: str, name: str) -> str:
        """The path of a list of that one object, or of none: it needs no other right than a watch does."""
        return f"{self.collection(namespace)}?fieldSelector=metadata.name={name}"

    def status(self, namespace: str, name: str) -> str:
        """The path of one object's status."""
        return f"{self.item(namespace, name)}/status"


CLIENT_CERTIFICATE = Kind("ClientCertificate", "clientcertificates")
CERTIFICATE_POLICY = Kind("CertificatePolicy", "certificatepolicies")
CERTIFICATE_STORE = Kind("CertificateStore", "certificatestores")


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds: metav1.Time."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def micro_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: metav1.MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str | None) -> datetime | None:
    """The reverse, for any RFC 3339 time; None for an absent one."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
