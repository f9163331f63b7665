"""A team whose CertificateStore looks for the certificates of its bucket itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.control_plane.buckets import CREDENTIALS, STORE, Backup
from tests.control_plane.team import DAY
from tests.deploy.audit import OPERATOR
from tests.deploy.people import bind
from tests.scenarios import Manifest, certificate_store

CREATE, DELETE = "clientcert-discover-certificates", "clientcert-prune-certificates"
ENVIRONMENT = "prod"


@dataclass(frozen=True)
class Discovering:
    """The bucket, the CertificateStore, and the ClientCertificates of its namespace."""

    backup: Backup

    def prepare(self, *roles: str) -> None:
        """Create the bucket, and bind these roles to the operator in the namespace."""
        self.backup.client.create_bucket(self.backup.bucket)
        self.backup.give_credentials(self.backup.server.secret_key)
        self.grant(*roles)

    def grant(self, *roles: str) -> None:
        """Bind these roles to the operator in the namespace."""
        bind(self.backup.team.control_plane, self.backup.team.namespace, OPERATOR, *roles)

    def discover(self, name: str = STORE, *, poll_every: str = "24h", prefix: str = "", **fields: Any) -> None:
        """Apply the CertificateStore; the fields are those of spec.discovery."""
        where = self.backup.bucket, self.backup.proxy.endpoint, CREDENTIALS
        store = certificate_store(
            name, *where, pollEvery=poll_every, discovery={"environment": ENVIRONMENT, "limit": 1000, **fields}
        )
        store["spec"]["s3"]["prefix"] = prefix
        self.backup.team.apply(store)

    def upload(self, *names: str, days: float = 200) -> None:
        """A certificate for each of these consumers, in the folder of its name."""
        for name in names:
            now = self.backup.team.began
            issued = self.backup.team.authority.issue(name, now - 10 * DAY, now + days * DAY)
            self.backup.upload(name, issued.certificate_pem)

    def remove(self, *names: str) -> None:
        """Delete the objects of these consumers."""
        for name in names:
            self.backup.client.delete_object(self.backup.bucket, self.backup.key(name))

    @property
    def status(self) -> Mapping[str, Any]:
        """That of the CertificateStore."""
        return self.backup.team.status(STORE, "CertificateStore")

    def skipped(self) -> dict[str, int]:
        """The number of keys that were skipped, by reason."""
        return {each["reason"]: each["count"] for each in self.status.get("skipped") or ()}

    def would_create(self) -> tuple[int, list[str]]:
        """Their number, and the names of the first ones; -1 before the first pass."""
        found = self.status.get("wouldCreate") or {"count": -1}
        return found["count"], [each["name"] for each in found.get("sample") or ()]

    def says(self) -> tuple[str, str]:
        """Status and reason of the condition Discovered."""
        return self.backup.team.condition(STORE, "Discovered", of="CertificateStore")

    def words(self) -> str:
        """Its message."""
        return self.backup.team.words(STORE, "Discovered", of="CertificateStore")

    def objects(self) -> dict[str, Manifest]:
        """All ClientCertificates of the namespace, by name."""
        return {each["metadata"]["name"]: each for each in self.backup.team.items("ClientCertificate")}

    def names(self) -> set[str]:
        """Their names."""
        return set(self.objects())
