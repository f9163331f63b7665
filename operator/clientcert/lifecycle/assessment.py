"""Assesses one certificate, from its spec, the observation of its source and its recorded status."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from clientcert.errors import Reason
from clientcert.lifecycle.ends_first import name_first
from clientcert.lifecycle.phase import Phase
from clientcert.lifecycle.recorded_status import AcceptedCertificate, CertificateStatus, SourceGap
from clientcert.lifecycle.schedule import DAY, days_remaining
from clientcert.lifecycle.source_gap import TEMPORARY, TEMPORARY_ISSUER, alarm_time, is_temporary
from clientcert.lifecycle.spec import HOST, CertificateSpec
from clientcert.pki.certificate import Certificate, Expiry


class DeclaredCertificate(Protocol):
    """A ClientCertificate as the API server returned it."""

    @property
    def spec(self) -> CertificateSpec:
        """The spec; `UNUSABLE_SPEC` if it cannot be used."""

    @property
    def status(self) -> CertificateStatus:
        """The recorded status."""

    @property
    def created(self) -> datetime:
        """The creation time of the object, in UTC."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that a person must fix, with the phase that it causes."""

    phase: Phase
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of the last read of the source: a certificate, or the problem."""

    certificate: Certificate | None = None
    version: str = ""
    problem: Problem | None = None
    gap: SourceGap | None = None
    """The last gap of the source, which may be over."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The state of one certificate at `now`."""

    now: datetime
    phase: Phase
    accepted: AcceptedCertificate | None
    """The certificate that alerts are about; None if none was ever read."""
    replaced: AcceptedCertificate | None
    """The certificate that `accepted` has just replaced."""
    problem: Problem | None
    """The problem with the source or with its content."""
    source_problem: bool
    """True if the source could not be read; False if its content cannot be used."""
    expires: Expiry
    """The date that counts, from which stages are counted too, and whose date it is: that of the accepted certificate,
    or of another one in its file that ends first. If none was ever read: the creation time of the object, and no
    fingerprint."""
    fingerprints: frozenset[str]
    """Of the accepted certificate, and of the one whose date counts. A channel that was alerted about any other one is
    owed a closing message."""
    expires_soon: bool
    """True if that date is near enough for the policy to alert, or has passed."""
    acknowledged: bool = False
    """True if somebody has acknowledged this very certificate."""
    host: bool = False
    """True for a server's certificate, which is not renewed here."""
    alarm: Problem | None = None
    """The problem that the team is alerted about, at once and each day; None while a gap may be a moment's.

    The certificate cannot be used, or that is unknown. A replacement that is not valid yet is no alarm.
    """
    grace_ends: datetime | None = None
    """The time at which the gap of the source becomes an alarm; None if it is one already, or if there is none."""
    foreign: bool = False
    """True if alerts are about somebody else's certificate, the only one that was ever seen in the source."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the certificate whose date alerts are about; empty if none was ever read."""
        return self.expires.fingerprint_sha256

    @property
    def days_remaining(self) -> int | None:
        """Whole days, rounded down; None if no certificate was ever read."""
        return days_remaining(self.expires.time, self.now) if self.accepted else None

    @property
    def expired(self) -> bool:
        """True after that date: the last second of the validity period belongs to it (RFC 5280 section 4.1.2.5)."""
        return self.accepted is not None and self.expires.time < self.now

    @property
    def unread(self) -> bool:
        """True if the source could not be read just now, but the earlier state is still assumed."""
        return self.source_problem and self.problem is None

    def newly_replaced(self, recorded: CertificateStatus) -> AcceptedCertificate | None:
        """`replaced`, unless the record has it already: the same observation may be written several times."""
        return self.replaced if self.replaced == recorded.accepted else None


OF_SOMEBODY_ELSE = frozenset({Reason.IDENTITY_MISMATCH, Reason.TEMPORARY_CERTIFICATE})
"""The problems of a certificate that is not the consumer's own."""
_MISSING = frozenset({Reason.SOURCE_NOT_FOUND, Reason.STORE_NOT_FOUND, Reason.BUCKET_NOT_FOUND, Reason.KEY_MISSING})


def unread(reason: Reason, message: str, version: str = "") -> Observation:
    """The observation of a source without a readable certificate."""
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
        ends_first=certificate.ends_first,
    )


def assess(
    known: DeclaredCertificate,
    observation: Observation,
    start_days_before: int,
    now: datetime,
    grace: timedelta = timedelta(0),
) -> Assessment:
    """Compare the observation with the certificate that was accepted before.

    `start_days_before` is the number of days before the date that counts at which the policy begins to alert; `grace`
    is the time for which a source may be gone without an alarm.
    """
    spec = known.spec
    accepted, replaced, problem, foreign = _accepted(known.status.accepted, observation, now)
    expires = Expiry(known.created, "", "", "")
    if accepted is not None:
        own = (accepted.not_after, accepted.subject_dn, accepted.serial_number, accepted.fingerprint_sha256)
        expires = accepted.ends_first or Expiry(*own)
    expires_soon = accepted is not None and expires.time - now <= start_days_before * DAY
    grace_ends = _grace_ends(observation.gap, grace, now) if problem is not None else None
    is_alarm = problem is not None and problem.phase is not Phase.NOT_YET_VALID and grace_ends is None
    return Assessment(
        now=now,
        phase=_phase(accepted, expires.time, problem, now, expires_soon=expires_soon),
        accepted=accepted,
        replaced=replaced,
        problem=problem,
        source_problem=observation.certificate is None,
        expires=expires,
        fingerprints=frozenset((expires.fingerprint_sha256, accepted.fingerprint_sha256 if accepted else "")),
        expires_soon=expires_soon,
        acknowledged=accepted is not None and bool(spec.acknowledged) and _is_acknowledged(spec, accepted),
        host=spec.profile == HOST,
        alarm=problem if is_alarm else None,
        grace_ends=grace_ends,
        foreign=foreign,
    )


def _accepted(
    before: AcceptedCertificate | None, observation: Observation, now: datetime
) -> tuple[AcceptedCertificate | None, AcceptedCertificate | None, Problem | None, bool]:
    """The certificate that counts from now on, the one that it replaces, the problem of the source, and `foreign`."""
    if observation.certificate is None:
        return before, None, observation.problem, False
    seen, problem = accepted_certificate(observation.certificate), _unusable(observation.certificate, now)
    first = before is None and (problem is None or problem.reason is not Reason.TEMPORARY_CERTIFICATE)
    if first or (before is not None and before.fingerprint_sha256 == seen.fingerprint_sha256):
        if problem is not None and problem.reason is Reason.EXPIRED:
            problem = None  # the certificate itself has expired, and the phase says so
        foreign = problem is not None and problem.reason in OF_SOMEBODY_ELSE
        return (before if before == seen else seen), None, problem, foreign
    return (seen, before, None, False) if problem is None else (before, None, problem, False)


def _grace_ends(gap: SourceGap | None, grace: timedelta, now: datetime) -> datetime | None:
    """The time from which the gap is an alarm; None if it is one already, or there is no gap now."""
    if not grace or gap is None or gap.end is not None:
        return None
    alarm = alarm_time(gap, grace)
    return alarm if alarm > now else None


def _is_acknowledged(spec: CertificateSpec, accepted: AcceptedCertificate) -> bool:
    return spec.acknowledged.lstrip("0") == accepted.serial_number.lstrip("0")


def _unusable(certificate: Certificate, now: datetime) -> Problem | None:
    """The reason why this certificate could not replace another (design section 2, "replaced"); None if it could."""
    if certificate.issuer_common_name == TEMPORARY_ISSUER and is_temporary(certificate):
        look = "if that takes long, look at the CertificateRequests (kubectl get certificaterequests)"
        return Problem(Phase.INVALID, Reason.TEMPORARY_CERTIFICATE, f"the source holds {TEMPORARY}: {look}")
    if certificate.identity_mismatch:
        return Problem(Phase.INVALID, Reason.IDENTITY_MISMATCH, f"the source holds {certificate.identity_mismatch}")
    if certificate.not_before > certificate.not_after:
        return Problem(
            Phase.INVALID,
            Reason.INVALID_VALIDITY,
            "the certificate's notBefore is later than its notAfter: it was never valid; issue it again",
        )
    if certificate.not_before > now:
        return Problem(
            Phase.NOT_YET_VALID,
            Reason.NOT_YET_VALID,
            f"the certificate with serial number {certificate.serial_number:x} in the source is not valid before"
            f" {certificate.not_before:%Y-%m-%d %H:%M} UTC",
        )
    another = f"the source holds another certificate, serial number {certificate.serial_number:x}, and"
    if certificate.not_after < now:
        words = f"{another} that one has expired: put the certificate there that is in use"
        return Problem(Phase.INVALID, Reason.EXPIRED, words)
    if certificate.ends_first is not None and certificate.ends_first.time < now:
        first = name_first(certificate.ends_first, certificate.subject_dn)
        words = f"{another} {first} in the same file has expired: put the new chain there"
        return Problem(Phase.INVALID, Reason.EXPIRED, words)
    return None


def _phase(
    accepted: AcceptedCertificate | None,
    expires: datetime,
    problem: Problem | None,
    now: datetime,
    *,
    expires_soon: bool,
) -> Phase:
    if accepted is None:
        return problem.phase if problem else Phase.PENDING
    if expires < now and accepted.not_before <= accepted.not_after:
        return Phase.EXPIRED
    if problem is not None:
        return problem.phase
    return Phase.EXPIRING_SOON if expires_soon else Phase.VALID
