"""The interface of every issuer: one request and one response type for each verb.

The way of a certificate: `authority` says who would sign; `plan` returns the write-ahead, which the status records;
`create` signs exactly that; `poll` asks for the result of an issuer that takes its time.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from clientcert.lifecycle.renewal.policy import IssuerSettings
from clientcert.lifecycle.renewal.spec import RevocationSpec
from clientcert.lifecycle.renewal.status import Issuance
from clientcert.lifecycle.spec import SecretKeyRef


@dataclass(frozen=True, slots=True)
class AuthorityRequest:
    """The CA that signs, and the former ones whose certificates are accepted."""

    namespace: str
    settings: IssuerSettings
    trust: tuple[SecretKeyRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA that signs now, and the former ones."""

    certificate_der: bytes
    former_ders: tuple[bytes, ...]
    not_before: datetime
    not_after: datetime
    fingerprint_sha256: str
    can_sign_crl: bool
    """True if its keyUsage has cRLSign, or it has none."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """The content of a certificate that is to be signed."""

    namespace: str
    settings: IssuerSettings
    renewal: str
    """The name of the CertificateRenewal."""
    renewal_uid: str
    request_pem: str
    """The CSR, or the public key, that is certified."""
    subject_der: bytes
    """The Name, byte for byte as it goes into the certificate."""
    alternative_names_der: bytes
    """The value of the extension subjectAltName (GeneralNames); empty: none."""
    alternative_names_critical: bool
    validity_days: int
    now: datetime
    ends_after: datetime | None = None
    """The end of the certificate that is renewed, for an issuer that chooses the new one; None: any end is accepted."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """The write-ahead that the status records, and what it was made of."""

    plan: PlanRequest
    """The same as in `plan`, but for `now`."""
    issuance: Issuance


@dataclass(frozen=True, slots=True)
class PollRequest:
    """Of which request the result is asked for."""

    create: CreateRequest


@dataclass(frozen=True, slots=True)
class Issued:
    """The answer of an issuer, verified: key, subject, names, dates, and the signature by the CA."""

    certificate_pem: str
    """The certificate, then its chain without the root."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The issuer takes its time."""

    message: str
    """The cause of the wait, for a condition."""


@dataclass(frozen=True, slots=True)
class CrlRequest:
    """A CRL to be signed by the CA."""

    namespace: str
    settings: IssuerSettings
    entries: tuple[RevocationSpec, ...]
    number: int
    this_update: datetime
    next_update: datetime


class CrlSigner(Protocol):
    """An issuer whose CA key the operator has."""

    async def sign_crl(self, request: CrlRequest) -> bytes:
        """The CRL, DER. Raises IssuerError, also for a CA whose keyUsage lacks cRLSign."""


class Issuer(Protocol):
    """One type of issuer. Safe to call for many requests at once.

    Every verb raises IssuerError: `retryable` if the same call may succeed later, `IssuanceChanged` if what would be
    signed is no longer what the write-ahead says.
    """

    async def authority(self, request: AuthorityRequest) -> Authority:
        """Read the CA's certificate, and those of the former ones."""

    async def plan(self, request: PlanRequest) -> Issuance:
        """Make the write-ahead; nothing is signed, and nobody is asked."""

    async def create(self, request: CreateRequest) -> Issued | Pending:
        """Sign exactly what the write-ahead says. Calling it again is safe."""

    async def poll(self, request: PollRequest) -> Issued | Pending:
        """Ask for the result."""
