"""Group, version and kinds of the API, the format of its timestamps, and the limits that several statuses share."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

GROUP = "clientcert.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""The name of an object (RFC 1123), whose length Kubernetes limits, too."""
LONGEST_TEXT, LONGEST_WORD = 1024, 128
"""Characters of a field of a status."""
CHANNELS = 32
"""Items of a list of channels."""
_CACHED_TIMESTAMPS = 2048


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of the API group."""

    name: str
    plural: str

    def collection(self, namespace: str = "") -> str:
        """The path of all objects in a namespace (default: in all namespaces)."""
        scope = f"namespaces/{namespace}/" if namespace else ""
        return f"/apis/{API_VERSION}/{scope}{self.plural}"

    def item(self, namespace: str, name: str) -> str:
        """The path of one object."""
        return f"/apis/{API_VERSION}/namespaces/{namespace}/{self.plural}/{name}"

    def named(self, namespace: str, name: str) -> str:
        """The path of a LIST with at most this one object; it needs no permissions beyond those of a watch."""
        return f"{self.collection(namespace)}?fieldSelector=metadata.name={name}"

    def status(self, namespace: str, name: str) -> str:
        """The path of one object's status."""
        return f"/apis/{API_VERSION}/namespaces/{namespace}/{self.plural}/{name}/status"


CLIENT_CERTIFICATE = Kind("ClientCertificate", "clientcertificates")
CERTIFICATE_POLICY = Kind("CertificatePolicy", "certificatepolicies")
CERTIFICATE_STORE = Kind("CertificateStore", "certificatestores")
CERTIFICATE_RENEWAL = Kind("CertificateRenewal", "certificaterenewals")
CERTIFICATE_REVOCATION = Kind("CertificateRevocation", "certificaterevocations")
KINDS = (CLIENT_CERTIFICATE, CERTIFICATE_POLICY, CERTIFICATE_STORE, CERTIFICATE_RENEWAL, CERTIFICATE_REVOCATION)
"""All kinds, in the order in which they are watched and shown."""


@lru_cache(maxsize=_CACHED_TIMESTAMPS)
def timestamp(moment: datetime) -> str:
    """Format as RFC 3339 in UTC with whole seconds (metav1.Time). A status has the same times in many places."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def micro_timestamp(moment: datetime) -> str:
    """Format as RFC 3339 in UTC with microseconds (metav1.MicroTime)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=_CACHED_TIMESTAMPS)
def moment(text: str | None) -> datetime | None:
    """Parse an RFC 3339 time to aware UTC; None for None and for an empty text. Raises ValueError.

    Equal texts share one datetime object while they are cached: many statuses have equal timestamps.
    """
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def moment_or_none(text: str | None) -> datetime | None:
    """Parse a time like `moment`; None for what is no time."""
    try:
        return moment(text)
    except (TypeError, ValueError, OverflowError):
        return None


def cut(text: str, longest: int) -> str:
    """At most so many characters; the last one is an ellipsis if any were left out."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
