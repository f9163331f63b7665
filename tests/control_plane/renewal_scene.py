"""A team with a CA of its own, a policy that renews with it, and one consumer whose certificate ends soon.

The cluster's administrator asks and approves; what each of the people may do is shown in tests/deploy and by
test_seed_000.py.
"""

from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from tests.control_plane.team import DAY, Team
from tests.control_plane.waiting import eventually, until
from tests.scenarios import Manifest
from tools.certificates import CertificateAuthority, Issued, PrivateKey, make_private_key

ADMIN = "admin"
CA_SECRET, POLICY = "client-ca", "renewing"
LABEL = {"clientcert.dev/issuer": "allowed"}
MERGE_PATCH = "application/merge-patch+json"
PATIENCE = 60.0
"""A request that waits for something outside is looked at again after five seconds, and then more seldom."""


@dataclass
class RenewalScene:
    """The certificates of the team, and its requests."""

    team: Team
    authority: CertificateAuthority
    old: Issued
    """The consumer's certificate, in the source."""
    name: str = "nhs"
    """Of the consumer, and of its ClientCertificate."""

    @classmethod
    def of(cls, team: Team) -> "RenewalScene":
        """Only a CA, and a certificate that it has issued."""
        return cls.with_ca(team, CertificateAuthority.create("Client CA"))

    @classmethod
    def with_ca(cls, team: Team, authority: CertificateAuthority, name: str = "nhs") -> "RenewalScene":
        """A certificate of this CA, which no object declares yet."""
        began, consumer = team.began, team.consumer(name)
        old = authority.issue(consumer, began - 345 * DAY, began + 20 * DAY, organization="NHS")
        return cls(team, authority, old, name)

    def install(self, *, labels: dict[str, str] | None = None, **renewal: Any) -> None:
        """Apply the CA, the policy and the certificate; `renewal` are more fields of `spec.renewal`."""
        self.apply_ca(LABEL if labels is None else labels)
        self.apply_policy(**renewal)
        self.declare(POLICY)

    def declare(self, policy: str) -> None:
        """Put the certificate into its Secret, and declare it."""
        self.team.put(self.name, self.old)
        self.team.declare(self.name, policyRef={"name": policy})
        eventually(lambda: self.team.serial(self.name), self.old.serial_number_hex)

    def apply_ca(self, labels: dict[str, str]) -> None:
        pair = self.authority.identity
        content = {"tls.crt": pair.certificate_pem.decode(), "tls.key": pair.private_key_pem.decode()}
        metadata = {"name": CA_SECRET, "labels": labels}
        self.team.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": content})

    def apply_policy(self, policy: str = POLICY, **renewal: Any) -> None:
        issuer = {"type": "CASecret", "caSecret": {"name": CA_SECRET}}
        metadata = {"name": policy}
        spec = {"renewal": {"issuer": issuer} | renewal}
        kind = {"apiVersion": "clientcert.dev/v1alpha1", "kind": "CertificatePolicy"}
        self.team.apply({**kind, "metadata": metadata, "spec": spec})

    # Asking.

    def ask(self, name: str = "asked", **spec: Any) -> str:
        """Create a request about the consumer's certificate; returns its name."""
        usual = {
            "certificateRef": {"name": self.name},
            "serialNumber": self.old.serial_number_hex,
            "requestedBy": ADMIN,
        }
        kind = {"apiVersion": "clientcert.dev/v1alpha1", "kind": "CertificateRenewal"}
        manifest = {**kind, "metadata": {"name": name}, "spec": usual | spec}
        self.team.api.request("POST", self.team.path("CertificateRenewal"), manifest)
        return name

    def csr(self, private_key: PrivateKey | None = None, subject: x509.Name | None = None) -> str:
        """A CSR for the consumer's subject, unless it is given, by a new key, unless that is."""
        wanted = subject if subject is not None else self.old.certificate.subject
        return sign_csr(x509.CertificateSigningRequestBuilder().subject_name(wanted), private_key)

    def subject(self, *attributes: x509.NameAttribute) -> x509.Name:
        """A name of these attributes, one to an RDN."""
        return x509.Name(attributes)

    @property
    def common_name(self) -> str:
        [found] = self.old.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(found.value)

    def approve(self, name: str, **fields: Any) -> Manifest:
        """Approve the request as its status shows it; `fields` are others to pin."""
        until(lambda: self.state(name) == "AwaitingApproval" or self.status(name).get("checks"), seconds=PATIENCE)
        eventually(lambda: self.state(name), "AwaitingApproval")
        status = self.status(name)
        pinned = {"keyHash": status["keyHash"], "recipientHash": status.get("recipientHash", "")}
        approval = {"decision": "Approve", "by": ADMIN} | pinned | fields
        path = self.team.path("CertificateRenewal", name)
        patched: Manifest = self.team.api.request(
            "PATCH", path, {"spec": {"approval": approval}}, content_type=MERGE_PATCH
        )
        return patched

    def hand_over(self, name: str) -> None:
        """Say that the consumer has what was issued."""
        path = self.team.path("CertificateRenewal", name)
        said = {"spec": {"handedOver": {"by": ADMIN}}}
        self.team.api.request("PATCH", path, said, content_type=MERGE_PATCH)

    # Seeing.

    def status(self, name: str) -> Manifest:
        return self.team.status(name, "CertificateRenewal")

    def state(self, name: str) -> str:
        return str(self.status(name).get("state", ""))

    def refusal(self, name: str) -> tuple[str, str]:
        """Wait until it is refused; returns the check that decided, and the reason."""
        eventually(lambda: self.state(name), "Refused")
        check = next(each["name"] for each in self.status(name)["checks"] if not each["passed"])
        return check, self.team.condition(name, "Accepted", "CertificateRenewal")[1]

    def waits(self, name: str, waits_for: str, condition: str, reason: str) -> None:
        """Wait until it waits for this, and see that nothing was signed."""

        def found() -> tuple[str, str]:
            waiting = str(self.status(name).get("waitsFor", ""))
            return waiting, self.team.condition(name, condition, "CertificateRenewal")[1]

        eventually(found, (waits_for, reason))
        self.nothing_signed(name)

    def nothing_signed(self, name: str) -> None:
        """Neither recorded nor in the source."""
        assert not {"certificate", "ciphertext", "issuance"} & self.status(name).keys()
        assert self.team.serial(self.name) == self.old.serial_number_hex

    def issued(self, name: str) -> x509.Certificate:
        """Wait until it is signed; returns the certificate."""
        pem = until(lambda: str(self.status(name).get("certificate", "")), seconds=PATIENCE)
        return x509.load_pem_x509_certificate(pem.encode())


def sign_csr(builder: x509.CertificateSigningRequestBuilder, private_key: PrivateKey | None = None) -> str:
    """As PEM, by a new key unless one is given."""
    return builder.sign(private_key or make_private_key("ec"), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def public_key_pem(private_key: PrivateKey | None = None) -> str:
    """The public half, of a new EC key unless one is given."""
    found = private_key or ec.generate_private_key(ec.SECP256R1())
    return found.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
