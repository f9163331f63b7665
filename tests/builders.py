"""Builders of domain values with plain defaults."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from clientcert.lifecycle.assessment import Assessment, Observation, assess
from clientcert.lifecycle.contacts import Directory, DirectoryEntry, Recipient, Resolution, Role
from clientcert.lifecycle.delivery_log import DeliveryLog
from clientcert.lifecycle.evaluation import Evaluation
from clientcert.lifecycle.policy import AlertPolicy, Channel, Schedule, SlackAddress
from clientcert.lifecycle.recorded_status import CertificateStatus, ChannelStatus, ToldProblem
from clientcert.lifecycle.spec import CertificateSpec, Contact, ObjectKey, Person, SecretSource, Silence
from clientcert.pki.certificate import Certificate
from clientcert.pki.identity import Identity

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
CREATED = NOW - 100 * DAY
KEY = ObjectKey("integration", "nhs-prod")
UID = "0b5a3f3e-0001-4000-8000-000000000001"
RUNAWAY_SECONDS = 10.0
"""A limit of CPU time that nothing normal reaches; an unbounded computation would take hours."""


def certificate(
    not_after: datetime = NOW + 100 * DAY,
    *,
    serial_number: int = 0x1A2B3,
    not_before: datetime | None = None,
    common_name: str = "nhs",
    issuer_dn: str = "CN=Integration CA,O=Example",
    declared: str = "nhs",
) -> Certificate:
    """A certificate as the parser returns it; another serial number or date makes another fingerprint.

    `declared` is the common name that its ClientCertificate declares.
    """
    if not_before is None:
        not_before = min(not_after, NOW - 265 * DAY)
    facts = f"{serial_number} {not_before} {not_after} {common_name} {issuer_dn}"
    return Certificate(
        not_before=not_before,
        not_after=not_after,
        fingerprint_sha256=hashlib.sha256(facts.encode(errors="replace")).hexdigest(),
        serial_number=serial_number,
        subject_dn=f"CN={common_name}",
        issuer_dn=issuer_dn,
        subject_common_name=common_name,
        issuer_common_name="Integration CA",
        key_algorithm="RSA 2048",
        container_format="PEM",
        identity_mismatch="" if common_name == declared else another_name(common_name, declared),
    )


def another_name(common_name: str, declared: str) -> str:
    """The parser's words about a certificate with another name than the declared one."""
    return (
        f'a certificate of "{common_name}", not of "{declared}": put the right certificate there,'
        f' or set spec.identity.commonName: "{common_name}"'
    )


def usable(directory: Directory) -> dict[str, DirectoryEntry]:
    """The usable entries of a client list, by consumer."""
    return {consumer: entry for consumer, entry in directory.items() if not entry.problem}


def declaration(**changes: Any) -> CertificateSpec:
    plain = CertificateSpec(
        consumer="nhs",
        environment="prod",
        source=SecretSource("nhs-client-cert", "tls.crt"),
        contact=Contact(technical=Person("Jo Bloggs", "jo@nhs.example")),
        owner="integration-team",
        identity=Identity("nhs"),
    )
    return replace(plain, **changes)


def channel(name: str = "team", schedule: Schedule | None = None, **schedule_changes: Any) -> Channel:
    return Channel(name, "Slack", replace(schedule or Schedule(), **schedule_changes), SlackAddress("#alerts"))


def policy(*channels: Channel, **changes: Any) -> AlertPolicy:
    every = channels or (channel(),)
    starts = max(each.schedule.start_days_before for each in every)
    return replace(AlertPolicy(every, start_days_before=starts), **changes)


@dataclass(frozen=True)
class Known:
    """The API server's fields of a certificate."""

    spec: CertificateSpec
    status: CertificateStatus
    created: datetime = CREATED


def assessment(
    seen: Certificate | Observation | None,
    now: datetime = NOW,
    *,
    recorded: CertificateStatus = CertificateStatus(),  # noqa: B008 - it is frozen
    declared: CertificateSpec | None = None,
    start_days_before: int = 30,
    created: datetime = CREATED,
) -> Assessment:
    """The result of `assess` for a source with this certificate, or with an error."""
    observation = Observation(certificate=seen, version="v1") if isinstance(seen, Certificate) else seen
    known = Known(declared or declaration(), recorded, created)
    return assess(known, observation or Observation(), start_days_before, now)


def evaluation(
    found: Assessment,
    plan: AlertPolicy,
    recorded: CertificateStatus = CertificateStatus(),  # noqa: B008 - it is frozen
    silence: Silence | None = None,
    *,
    first: Role | None = None,
    spec: CertificateSpec | None = None,
    contact: Resolution | None = None,
) -> Evaluation:
    """An evaluation of a certificate whose status records every send; `first` is the first recipient of a letter."""
    if first is not None:
        contact = Resolution("", "", (Recipient(first, "jo@nhs.example"),))
    return Evaluation(
        key=KEY,
        uid=UID,
        spec=spec or declaration(silence=silence),
        status=recorded,
        policy=plan,
        assessment=found,
        log=DeliveryLog.of(UID, recorded),
        contact=contact,
    )


def notified(
    stage: int | None, about: str, *, name: str = "team", when: datetime = NOW - DAY, problem: str = ""
) -> ChannelStatus:
    """The record of a channel that was alerted about the certificate with this fingerprint, and of this problem."""
    problems = (ToldProblem(problem, when),) if problem else ()
    return ChannelStatus(name, about, stage, last_sent=when, thread_ref="C1:1.1", problems=problems)
