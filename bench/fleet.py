"""The issued certificates, and the objects that declare them.

They share a private key and an authority, so 10,000 of them take only seconds; each certificate has its own names,
serial number and dates. notAfter is spread over the coming year, always at about the same time of day, twelve hours
away from the start of the bench: so no days remaining changes by itself during a measurement.
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tools.certificates import CertificateAuthority, Issued, PrivateKey, make_private_key

API_VERSION = "clientcert.dev/v1alpha1"
CERTIFICATES = f"/apis/{API_VERSION}/clientcertificates"
NAMESPACES = tuple(f"consumers-{number}" for number in range(10))
TEAMS = 8
"""Teams in each namespace, each with a policy and a Slack channel of its own."""
TEAM_CHANNEL = "team"
"""The name of each team's channel in its policy, and so in statuses."""
_YEAR_DAYS = 365
_ALERT_DAYS = 30
A_YEAR = timedelta(days=_YEAR_DAYS)
_STEP_DAYS = 37
"""It has no divisor in common with the year: any sequence of certificates is spread over the whole year."""
_JITTER_SECONDS = 1_800


@dataclass(frozen=True, slots=True)
class Fleet:
    """Makes certificate and object number `index`, always for the same consumer."""

    authority: CertificateAuthority
    private_key: PrivateKey
    began: datetime

    @classmethod
    def founded(cls, began: datetime) -> "Fleet":
        return cls(CertificateAuthority.create("Integration CA"), make_private_key(), began.replace(microsecond=0))

    def certificate(self, index: int, *, years_later: int = 0) -> Issued:
        """Issue a certificate with a new serial number; `years_later` makes it a renewal, with the same key."""
        days = _days(index) + years_later * _YEAR_DAYS
        not_after = self.began + timedelta(days=days, hours=12, seconds=index % _JITTER_SECONDS)
        not_before = self.began - timedelta(days=_YEAR_DAYS)
        return self.authority.issue(consumer(index), not_before, not_after, private_key=self.private_key)

    def expiring(self, size: int) -> list[int]:
        """The certificates among the first `size` that are in their alert time, today or tomorrow."""
        return [index for index in range(size) if _days(index) <= _ALERT_DAYS + 1]

    def secret(self, index: int) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret_name(index), "namespace": namespace(index)},
            "type": "kubernetes.io/tls",
            "data": self.secret_values(self.certificate(index)),
        }

    def secret_values(self, issued: Issued) -> dict[str, str]:
        """The values that `kubectl create secret tls` writes."""
        return {"tls.crt": _base64(issued.certificate_pem), "tls.key": _base64(issued.private_key_pem)}


def team_channels() -> list[str]:
    """The Slack channels of all teams."""
    return [_channel(where, team) for where in NAMESPACES for team in range(TEAMS)]


def team_objects(token: str) -> list[tuple[str, dict[str, Any]]]:
    """The teams' policies and the token that they share, each with the path of its collection."""
    objects: list[tuple[str, dict[str, Any]]] = []
    for where in NAMESPACES:
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "slack"}, "stringData": {"token": token}}
        objects.append((f"/api/v1/namespaces/{where}/secrets", secret))
        for team in range(TEAMS):
            slack = {"channel": _channel(where, team), "tokenSecretRef": {"name": "slack", "key": "token"}}
            channels = [{"name": TEAM_CHANNEL, "type": "Slack", "slack": slack}]
            policy = {"kind": "CertificatePolicy", "apiVersion": API_VERSION, "metadata": {"name": _policy(team)}}
            path = f"/apis/{API_VERSION}/namespaces/{where}/certificatepolicies"
            objects.append((path, {**policy, "spec": {"alerts": {"channels": channels}}}))
    return objects


def policy_of(index: int) -> str:
    """The policy of the certificate's team."""
    return _policy(index // len(NAMESPACES) % TEAMS)


def _policy(team: int) -> str:
    return f"team-{team}"


def _channel(where: str, team: int) -> str:
    return f"#{where}-team-{team}"


def _days(index: int) -> int:
    return 1 + index * _STEP_DAYS % _YEAR_DAYS


def consumer(index: int) -> str:
    return f"consumer-{index:05d}"


def namespace(index: int) -> str:
    return NAMESPACES[index % len(NAMESPACES)]


def secret_name(index: int) -> str:
    return f"{consumer(index)}-client-cert"


def certificates_in(in_namespace: str) -> str:
    """The path of a namespace's ClientCertificates."""
    return f"/apis/{API_VERSION}/namespaces/{in_namespace}/clientcertificates"


def client_certificate(index: int) -> dict[str, Any]:
    """A ClientCertificate for the Secret of the same number."""
    source = {"type": "Secret", "secret": {"name": secret_name(index), "key": "tls.crt"}}
    return _declared(index, namespace(index), source)


def stored_certificate(index: int, in_namespace: str, store: str) -> dict[str, Any]:
    """A ClientCertificate for an object in a CertificateStore."""
    s3 = {"storeRef": {"name": store}, "key": f"{consumer(index)}/client.pem"}
    return _declared(index, in_namespace, {"type": "S3", "s3": s3})


def _declared(index: int, in_namespace: str, source: dict[str, Any]) -> dict[str, Any]:
    name = consumer(index)
    technical = {"name": f"Jo of {name}", "email": f"jo@{name}.example"}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClientCertificate",
        "metadata": {"name": name, "namespace": in_namespace},
        "spec": {
            "consumer": name,
            "environment": "prod",
            "owner": f"team-{index % 20}",
            "contact": {"technical": technical, "business": {"name": "Sam", "email": f"sam@{name}.example"}},
            "source": source,
        },
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
