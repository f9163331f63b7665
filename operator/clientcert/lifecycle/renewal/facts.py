"""The input of the checks: gathered first, with all I/O, for one request at one moment."""

from dataclasses import dataclass, field
from datetime import date, datetime

from clientcert.errors import Reason
from clientcert.lifecycle.recorded_status import AcceptedCertificate
from clientcert.lifecycle.renewal.policy import RenewalPolicy
from clientcert.lifecycle.renewal.spec import Mode, RenewalSpec, RevocationReason
from clientcert.lifecycle.spec import CertificateSpec
from clientcert.pki.certificate import Certificate
from clientcert.pki.key_request import KeyRequest


@dataclass(frozen=True, slots=True)
class Current:
    """The certificate in the source, read anew for these checks."""

    certificate: Certificate
    der: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """The reason why something could not be read or done."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks of one request look at, at one moment."""

    now: datetime
    renewal: RenewalSpec
    certificate: CertificateSpec
    """The spec of the ClientCertificate."""
    policy: RenewalPolicy
    start_days_before: int
    """Days before the end at which the policy begins to alert."""
    current: Current | None
    """None: there is none (a consumer's first, or `last_known`), or it could not be read (`source_problem`)."""
    source_problem: Problem | None
    request: KeyRequest | None
    """The CSR or public key, also of `reuse`."""
    request_problem: Problem | None
    """The reason why there is none. A `client.csr` that cannot be read at the moment is waited for."""
    authority_ders: tuple[bytes, ...]
    """The CA's certificate, then those of former CAs; empty: `issuer_problem`."""
    authority_not_before: datetime | None
    authority_not_after: datetime | None
    issuer_problem: Problem | None
    """Also if the certificate of a former CA cannot be read."""
    sharing_serial: tuple[str, ...] = ()
    """Other ClientCertificates of the namespace with this serial number and issuer."""
    revoked: RevocationReason | None = None
    """The reason, if the current certificate is revoked, or the last known one."""
    revocation_time: datetime | None = None
    compromised_key: bool = False
    """True if the requested key was revoked for KeyCompromise."""
    other_consumer_with_key: str = ""
    """The consumer of another certificate with the requested key."""
    last_known: AcceptedCertificate | None = None
    """The certificate that the source has lost, where the request names none; None: it holds one, or never did."""
    last_known_key: str = ""
    """SHA-256 over its SubjectPublicKeyInfo; empty: it is not known."""
    vetting_date: date | None = None
    refused_time: datetime | None = None
    """The time when the last request to renew this certificate was refused: a Reissue needs a vetting since then."""
    current_requested: datetime | None = None
    """The time of the request that brought the current certificate, or that in its proof; None: none is known."""
    created: datetime | None = None
    """The time when the request itself was made, by the clock of the API server; None: it is being made."""
    contact_email: str = field(default="", repr=False)
    """The technical contact's, as found; empty: none is known. A lookup that may still find one is waited for."""

    @property
    def is_reissue(self) -> bool:
        """True for mode Reissue."""
        return self.renewal.mode is Mode.REISSUE

    @property
    def is_first(self) -> bool:
        """True if the request names no certificate: it is for a consumer's first, or for one that the source lost."""
        return self.is_reissue and not self.renewal.serial_number

    @property
    def ends(self) -> datetime | None:
        """The end of the current certificate, or of the last known one; None: there is neither."""
        if self.current is not None:
            return self.current.certificate.not_after
        return self.last_known.not_after if self.last_known else None

    @property
    def expired(self) -> bool:
        """True after its last second (RFC 5280 section 4.1.2.5)."""
        return self.ends is not None and self.ends < self.now

    @property
    def known_current(self) -> Current:
        """The current certificate, for rules of a check that needs it."""
        if self.current is None:
            raise ValueError("this check needs the current certificate")
        return self.current

    @property
    def known_request(self) -> KeyRequest:
        """The CSR or public key, for rules of a check that needs it."""
        if self.request is None:
            raise ValueError("this check needs the request")
        return self.request

    @property
    def current_der(self) -> bytes | None:
        """The current certificate; None if there is none."""
        return self.current.der if self.current else None

    @property
    def certifies_requested_key(self) -> bool:
        """True if the requested key goes into the certificate; False if the operator makes one and encrypts it.

        The field of the request decides, not its content: `Issuing` goes by the field, too.
        """
        return not self.renewal.public_key_pem
