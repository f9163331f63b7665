"""What is the matter with one certificate: from what was declared, seen and recorded, to one Assessment."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from clientcert.errors import Reason
from clientcert.lifecycle.recorded_status import AcceptedCertificate, CertificateStatus
from clientcert.lifecycle.schedule import DAY, days_remaining
from clientcert.lifecycle.spec import HOST, CertificateSpec
from clientcert.pki import Certificate
from clientcert.pki.names import same_name


class DeclaredCertificate(Protocol):
    """What the API server says of one ClientCertificate."""

    @property
    def spec(self) -> CertificateSpec:
        """`UNUSABLE_SPEC` if the spec cannot be used."""

    @property
    def status(self) -> CertificateStatus:
        """As it is recorded."""

    @property
    def created(self) -> datetime:
        """When the object was created, in UTC."""


class Phase(StrEnum):
    """How it stands, for people: the worst that holds, worst first."""

    EXPIRED = "Expired"
    INVALID = "Invalid"
    MISSING = "Missing"
    UNREADABLE = "Unreadable"
    NOT_YET_VALID = "NotYetValid"
    EXPIRING_SOON = "ExpiringSoon"
    VALID = "Valid"
    PENDING = "Pending"
    """Nothing has been read yet, and nothing is known to be wrong."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person must mend, with the phase that it puts the certificate into."""

    phase: Phase
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What the source held when it was last read: a certificate, or why there is none."""

    certificate: Certificate | None = None
    version: str = ""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """How one certificate stands at `now`."""

    now: datetime
    phase: Phase
    accepted: AcceptedCertificate | None
    """What alerts are about; None when nothing has ever been read."""
    replaced: AcceptedCertificate | None
    """What `accepted` has just taken the place of."""
    problem: Problem | None
    """What is wrong with the source, or with what it holds."""
    source_problem: bool
    """The problem is that nothing could be read; False: what was read cannot be used."""
    alert_from: datetime
    """What stages are counted from: notAfter, or when the object was made if no notAfter is known."""
    expires_soon: bool
    """notAfter is near enough for the policy to alert, or has passed."""
    acknowledged: bool = False
    """Somebody has said of this very certificate that they see to it."""
    host: bool = False
    """It is a server's, and not renewed here."""
    foreign: bool = False
    """What alerts are about is the only certificate that was ever seen there, and somebody else's."""

    @property
    def fingerprint(self) -> str:
        """Of the certificate that alerts are about; empty when none was ever read."""
        return self.accepted.fingerprint_sha256 if self.accepted else ""

    @property
    def days_remaining(self) -> int | None:
        """Whole days, rounded down; None when no certificate was ever read."""
        return days_remaining(self.accepted.not_after, self.now) if self.accepted else None

    @property
    def expired(self) -> bool:
        """RFC 5280 section 4.1.2.5: the last second of the validity period belongs to it."""
        return self.accepted is not None and self.accepted.not_after < self.now

    @property
    def unread(self) -> bool:
        """The source could not be read just now, and that is no reason yet to believe anything else than before."""
        return self.source_problem and self.problem is None

    def newly_replaced(self, recorded: CertificateStatus) -> AcceptedCertificate | None:
        """`replaced`, unless the record has it already: what one look has found may be written several times."""
        return self.replaced if self.replaced == recorded.accepted else None

    @property
    def alerts_daily(self) -> bool:
        """Whether it alerts each day whatever its notAfter: the certificate cannot be used, or nobody can tell."""
        return self.problem is not None and self.problem.phase is not Phase.NOT_YET_VALID


_MISSING = frozenset({Reason.SOURCE_NOT_FOUND, Reason.STORE_NOT_FOUND, Reason.BUCKET_NOT_FOUND, Reason.KEY_MISSING})


def unread(reason: Reason, message: str, version: str = "") -> Observation:
    """The observation of a source that held no certificate we could read."""
    phase = Phase.MISSING if reason in _MISSING else Phase.UNREADABLE
    return Observation(version=version, problem=Problem(phase, reason, message))


def accepted_certificate(certificate: Certificate) -> AcceptedCertificate:
    """The part of a parsed certificate that the status records."""
    return AcceptedCertificate(
        subject_dn=certificate.subject_dn,
        issuer_dn=certificate.issuer_dn,
        serial_number=f"{certificate.serial_number:x}",
        fingerprint_sha256=certificate.fingerprint_sha256,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        key_algorithm=certificate.key_algorithm,
        warnings=certificate.warnings,
    )


def assess(known: DeclaredCertificate, observation: Observation, start_days_before: int, now: datetime) -> Assessment:
    """Compare what the source holds now with what was accepted before.

    `start_days_before` is when the policy begins to alert.
    """
    spec, before = known.spec, known.status.accepted
    problem = observation.problem
    accepted, replaced, is_first = before, None, False
    if observation.certificate is not None:
        seen = accepted_certificate(observation.certificate)
        problem = _unusable(spec, observation.certificate, now)
        if before is None or before.fingerprint_sha256 == seen.fingerprint_sha256:
            accepted, is_first = (before if before == seen else seen), True
            if problem is not None and problem.reason is Reason.EXPIRED:
                problem = None  # the certificate itself has expired, and the phase says so
        elif problem is None:
            accepted, replaced = seen, before
    return Assessment(
        now=now,
        phase=_phase(accepted, problem, start_days_before, now),
        accepted=accepted,
        replaced=replaced,
        problem=problem,
        source_problem=observation.certificate is None,
        alert_from=accepted.not_after if accepted else known.created,
        expires_soon=accepted is not None and accepted.not_after - now <= start_days_before * DAY,
        acknowledged=accepted is not None and bool(spec.acknowledged) and _is_acknowledged(spec, accepted),
        host=spec.profile == HOST,
        foreign=is_first and problem is not None and problem.reason is Reason.IDENTITY_MISMATCH,
    )


def _is_acknowledged(spec: CertificateSpec, accepted: AcceptedCertificate) -> bool:
    return spec.acknowledged.lstrip("0") == accepted.serial_number.lstrip("0")


def _unusable(spec: CertificateSpec, certificate: Certificate, now: datetime) -> Problem | None:
    """Why this certificate could not take the place of another (design section 2, "replaced")."""
    if certificate.not_before > certificate.not_after:
        return Problem(
            Phase.INVALID,
            Reason.INVALID_VALIDITY,
            "the certificate's notBefore is later than its notAfter: it was never valid; issue it again",
        )
    expected = spec.common_name
    if certificate.subject_common_name != expected:
        return Problem(
            Phase.INVALID,
            Reason.IDENTITY_MISMATCH,
            f"the source holds a certificate of {certificate.subject_common_name or 'no common name'}, not of"
            f" {expected}: put the right certificate there, or correct spec.identity.commonName",
        )
    if spec.issuer_dn and not same_name(spec.issuer_dn, certificate.issuer_dn):
        return Problem(
            Phase.INVALID,
            Reason.IDENTITY_MISMATCH,
            f"the source holds a certificate issued by {certificate.issuer_dn}, not by {spec.issuer_dn}:"
            " put the right certificate there, or correct spec.identity.issuerDN",
        )
    if certificate.not_before > now:
        return Problem(
            Phase.NOT_YET_VALID,
            Reason.NOT_YET_VALID,
            f"the certificate with serial number {certificate.serial_number:x} in the source is not valid before"
            f" {certificate.not_before:%Y-%m-%d %H:%M} UTC",
        )
    if certificate.not_after < now:
        return Problem(
            Phase.INVALID,
            Reason.EXPIRED,
            f"the source holds another certificate, serial number {certificate.serial_number:x}, and that one has"
            " expired: put the certificate there that is in use",
        )
    return None


def _phase(
    accepted: AcceptedCertificate | None, problem: Problem | None, start_days_before: int, now: datetime
) -> Phase:
    if accepted is None:
        return problem.phase if problem else Phase.PENDING
    if accepted.not_after < now and accepted.not_before <= accepted.not_after:
        return Phase.EXPIRED
    if problem is not None:
        return problem.phase
    if accepted.not_after - now <= start_days_before * DAY:
        return Phase.EXPIRING_SOON
    return Phase.VALID
