"""A team with its own namespace: the objects that it declares, and what it can see."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.scenarios import Manifest, client_certificate, secret
from tools.certificates import CertificateAuthority, Issued
from tools.control_plane import ApiError, ControlPlane
from tools.slack_server import Posted, SlackServer

CORE, OURS = "/api/v1", "/apis/clientcert.dev/v1alpha1"
PLURALS = {
    "Secret": (CORE, "secrets"),
    "Event": (CORE, "events"),
    "ClientCertificate": (OURS, "clientcertificates"),
    "CertificatePolicy": (OURS, "certificatepolicies"),
    "CertificateStore": (OURS, "certificatestores"),
    "CertificateRenewal": (OURS, "certificaterenewals"),
    "CertificateRevocation": (OURS, "certificaterevocations"),
}
OUR_KINDS = (
    "ClientCertificate",
    "CertificatePolicy",
    "CertificateStore",
    "CertificateRenewal",
    "CertificateRevocation",
)
_DELETED_AT_ONCE = 500
DAY = timedelta(days=1)


def delete_objects(control_plane: ControlPlane, namespace: str) -> None:
    """Delete all objects of our kinds in a namespace, so that operators of later tests do not see them."""
    for kind in (*OUR_KINDS, "ClientCertificate"):  # discovery makes some until its store is gone
        left = "all"
        while left:  # in parts, for ten thousand take longer than a request may
            path = f"{_collection(kind, namespace)}?limit={_DELETED_AT_ONCE}"
            left = control_plane.api.request("DELETE", path)["metadata"].get("continue")


def _collection(kind: str, namespace: str) -> str:
    prefix, plural = PLURALS[kind]
    return f"{prefix}/namespaces/{namespace}/{plural}"


@dataclass
class Team:
    """Uses the Kubernetes API only. Its consumers have names that no other test uses; see `consumer`."""

    control_plane: ControlPlane
    namespace: str
    slack: SlackServer
    authority: CertificateAuthority
    began: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def consumer(self, name: str) -> str:
        """The full name of a consumer: the team's name for it and the namespace, because all tests share one Slack."""
        return f"{name}-{self.namespace}"

    # What it declares.

    def issue(self, name: str, *, days: float, since: timedelta = -300 * DAY, **other: Any) -> Issued:
        """A certificate for a consumer, valid from `since` to `days`, both counted from the start of the test."""
        return self.authority.issue(self.consumer(name), self.began + since, self.began + days * DAY, **other)

    def apply(self, *manifests: Manifest) -> None:
        """`kubectl apply --server-side`: create or change each object."""
        for manifest in manifests:
            path = self.path(manifest["kind"], manifest["metadata"]["name"])
            query = "?fieldManager=team&force=true&fieldValidation=Strict"
            self.api.request("PATCH", path + query, manifest, content_type="application/apply-patch+yaml")

    def put(self, name: str, issued: Issued | bytes) -> None:
        """Put a certificate into the source of the ClientCertificate of this name."""
        content = issued.certificate_pem if isinstance(issued, Issued) else issued
        self.apply(secret(f"{name}-cert", tls_crt=content))

    def declare(self, name: str, **spec: Any) -> None:
        """Create a ClientCertificate for the consumer of this name."""
        self.apply(client_certificate(name, **{"consumer": self.consumer(name)} | spec))

    def hand_out(self, name: str, *, days: float, **spec: Any) -> Issued:
        """Issue a certificate, put it into its Secret, and declare it."""
        issued = self.issue(name, days=days)
        self.put(name, issued)
        self.declare(name, **spec)
        return issued

    def renew(self, name: str, *, days: float, **other: Any) -> Issued:
        """Put a new certificate for the same consumer into its Secret."""
        issued = self.issue(name, days=days, **other)
        self.put(name, issued)
        return issued

    def delete(self, kind: str, name: str) -> None:
        """Delete an object, as `kubectl delete --wait=false` does."""
        self.api.request("DELETE", self.path(kind, name))

    def leave(self) -> None:
        """Delete everything that the team declared."""
        delete_objects(self.control_plane, self.namespace)

    # What it sees.

    @property
    def api(self) -> Any:
        """The API server, as administrator."""
        return self.control_plane.api

    def path(self, kind: str, name: str = "") -> str:
        """The path of an object, or of all objects of this kind in the namespace."""
        return _collection(kind, self.namespace) + (f"/{name}" if name else "")

    def get(self, kind: str, name: str) -> Manifest:
        """The object; {} if there is none."""
        try:
            found: Manifest = self.api.request("GET", self.path(kind, name))
        except ApiError as error:
            if error.status != 404:
                raise
            return {}
        return found

    def items(self, kind: str) -> list[Manifest]:
        """All objects of a kind."""
        found: list[Manifest] = self.api.request("GET", self.path(kind))["items"]
        return found

    def status(self, name: str, kind: str = "ClientCertificate") -> Manifest:
        """The status; {} before the first write."""
        found: Manifest = self.get(kind, name).get("status") or {}
        return found

    def phase(self, name: str) -> str:
        """The phase in `kubectl get`; empty before the first reconcile."""
        return str(self.status(name).get("phase", ""))

    def serial(self, name: str) -> str:
        """The serial number of the certificate that alerts are about."""
        return str((self.status(name).get("certificate") or {}).get("serialNumber", ""))

    def condition(self, name: str, kind: str, of: str = "ClientCertificate") -> tuple[str, str]:
        """Status and reason of the condition of this type; two empty strings if there is none."""
        found = self._condition(name, kind, of)
        return str(found.get("status", "")), str(found.get("reason", ""))

    def words(self, name: str, kind: str, of: str = "ClientCertificate") -> str:
        """The message of a condition."""
        return self._shown(str(self._condition(name, kind, of).get("message", "")))

    def _condition(self, name: str, kind: str, of: str) -> Manifest:
        conditions = self.status(name, of).get("conditions") or ()
        return next((each for each in conditions if each["type"] == kind), {})

    def channel(self, name: str, channel: str) -> Manifest:
        """The channel's record in the status; {} if there is none."""
        channels = (self.status(name).get("alerts") or {}).get("channels") or ()
        return next((each for each in channels if each["name"] == channel), {})

    def events(self, name: str) -> dict[str, str]:
        """The messages by reason, of the Events on the current ClientCertificate of this name."""
        uid = self.get("ClientCertificate", name).get("metadata", {}).get("uid")
        found = [event for event in self.items("Event") if event["involvedObject"].get("uid") == uid]
        return {event["reason"]: self._shown(event["message"]) for event in found}

    def versions(self) -> dict[tuple[str, str], str]:
        """The resourceVersions of all objects in the namespace, Events and Secrets included."""
        return {
            (kind, item["metadata"]["name"]): item["metadata"]["resourceVersion"]
            for kind in PLURALS
            for item in self.items(kind)
        }

    def messages(self, name: str, channel: str = "") -> list[Posted]:
        """The messages about this consumer in channels, oldest first, without replies in threads."""
        consumer = self.consumer(name)
        return [
            posted
            for posted in tuple(self.slack.messages)
            if f" {consumer} " in posted.text and not posted.thread_ts and channel in {"", posted.channel}
        ]

    def notified(self, name: str, channel: str = "") -> list[str]:
        """The sentences of these messages, with the team's name of the consumer."""
        return [self._shown(posted.text) for posted in self.messages(name, channel)]

    def _shown(self, text: str) -> str:
        return text.replace(f"-{self.namespace}", "").replace(self.namespace, "team")
