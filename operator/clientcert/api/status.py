"""Parses and renders the status of a ClientCertificate.

A rendered status has every field, absent ones as null: as a merge patch, it replaces the previous status completely.
Values that many objects share are one object in memory: interned strings, and equal conditions and timestamps.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from clientcert.api.kinds import CHANNELS, LONGEST_TEXT, LONGEST_WORD, cut, moment, timestamp
from clientcert.api.previous_version import fallback_from_condition, problems_from_conditions, with_own_expiry
from clientcert.api.recorded_renewal import parse_renewal, render_renewal
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.policy import Role
from clientcert.lifecycle.recorded_status import (
    AcceptedCertificate,
    CertificateStatus,
    ChannelStatus,
    Condition,
    FallbackRecipient,
    PreviousCertificate,
    SourceGap,
    ToldProblem,
    shared_condition,
    shared_conditions,
)
from clientcert.pki.certificate import Expiry

Status = dict[str, Any]

LONGEST_NAME = 2048
LONGEST_VALUE = 256
WARNINGS = 8
HISTORY = 5
ESSENTIAL = ("observedGeneration", "phase", "daysRemaining", "certificate", "expires", "alerts")
"""Dates, deliveries and the phase: they are written even if the API server refuses the rest."""
_IDENTIFYING = ("subjectDN", "serialNumber", "fingerprintSHA256")
_NESTED = (dict, list)


def parse_status(status: Mapping[str, Any]) -> CertificateStatus:
    """Parse a status. An invalid one counts as empty, and is written again."""
    if not status:
        return CertificateStatus()
    try:
        return _recorded(status)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return CertificateStatus()


def digest(status: Mapping[str, Any]) -> bytes:
    """A hash of 16 bytes for comparisons of statuses; null and absent fields are equal.

    A test alert has no part in it: it is written on its own.
    """
    if "test" in status:
        status = {name: value for name, value in status.items() if name != "test"}
    if "expires" not in status and isinstance(status.get("certificate"), Mapping):
        status = with_own_expiry(status)
    return hashlib.blake2b(msgspec.json.encode(_without_nulls(status), order="sorted"), digest_size=16).digest()


def render_status(assessment: Assessment, recorded: CertificateStatus, generation: int) -> Status:
    """Render the whole status; `recorded` is the part that the operator reads back."""
    sent = [record.last_sent for record in recorded.channels if record.last_sent]
    return {
        "observedGeneration": generation,
        "phase": assessment.phase.value,
        "daysRemaining": assessment.days_remaining,
        **_certificate(recorded.accepted),
        "source": {
            "version": cut(recorded.source_version, LONGEST_VALUE) or None,
            "observedTime": timestamp(recorded.source_observed) if recorded.source_observed else None,
            "gap": _gap(recorded.source_gap) if recorded.source_gap else None,
        },
        "alerts": {
            "lastSentTime": timestamp(max(sent)) if sent else None,
            "channels": [_channel(record) for record in recorded.channels[:CHANNELS]] or None,
        },
        "renewal": render_renewal(recorded.renewal) if recorded.renewal else None,
        "history": [
            {
                "serialNumber": entry.serial_number,
                "issuerDN": cut(entry.issuer_dn, LONGEST_NAME) or None,
                "notAfter": timestamp(entry.not_after),
                "replacedTime": timestamp(entry.replaced_time),
            }
            for entry in recorded.history[:HISTORY]
        ]
        or None,
        **render_conditions(recorded.conditions, generation),
    }


def render_conditions(conditions: Iterable[Condition], generation: int) -> Status:
    """Render the conditions of a status; a policy's status has only these."""
    return {"conditions": [_condition(condition, generation) for condition in conditions]}


def parse_conditions(status: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Parse the conditions of the status of any kind. Raises KeyError or TypeError."""
    return shared_conditions(tuple([_condition_record(entry) for entry in status.get("conditions") or ()]))


def _certificate(accepted: AcceptedCertificate | None) -> Status:
    """The certificate, and the date that counts; both are null if none was ever read."""
    if accepted is None:
        return {"certificate": None, "expires": None}
    certificate = {
        "subjectDN": cut(accepted.subject_dn, LONGEST_NAME) or None,
        "issuerDN": cut(accepted.issuer_dn, LONGEST_NAME) or None,
        "serialNumber": cut(accepted.serial_number, LONGEST_VALUE),
        "fingerprintSHA256": accepted.fingerprint_sha256,
        "notBefore": timestamp(accepted.not_before),
        "notAfter": timestamp(accepted.not_after),
        "keyAlgorithm": cut(accepted.key_algorithm, LONGEST_WORD) or None,
        "warnings": [cut(warning, LONGEST_VALUE) for warning in accepted.warnings[:WARNINGS]] or None,
    }
    first = accepted.ends_first
    expires = {"time": certificate["notAfter"], **{name: certificate[name] for name in _IDENTIFYING}}
    if first is not None:
        expires = {
            "time": timestamp(first.time),
            "subjectDN": cut(first.subject_dn, LONGEST_NAME) or None,
            "serialNumber": cut(first.serial_number, LONGEST_VALUE),
            "fingerprintSHA256": first.fingerprint_sha256,
        }
    return {"certificate": certificate, "expires": expires}


def _channel(record: ChannelStatus) -> Status:
    fields = {
        "name": cut(record.name, LONGEST_WORD),
        "fingerprintSHA256": record.fingerprint_sha256,
        "stage": record.stage,
        "lastSentTime": timestamp(record.last_sent) if record.last_sent else None,
        "nextTime": timestamp(record.next_time) if record.next_time else None,
        "threadRef": cut(record.thread_ref, LONGEST_VALUE) or None,
        "lastFailureTime": timestamp(record.last_failure) if record.last_failure else None,
        "firstSentTime": timestamp(record.first_sent) if record.first_sent else None,
        "certificateFingerprintSHA256": record.leaf_fingerprint_sha256 or None,
        "recipientRole": _role(record.recipient_role) if record.recipient_role else None,
        "fallbackRecipient": _fallback_recipient(record.fallback_recipient) if record.fallback_recipient else None,
        # An empty list says that the channel was told of no problem; version 0.1 did not say.
        "problems": [{"reason": each.reason, "time": timestamp(each.time)} for each in record.problems],
        "recoveredTime": timestamp(record.recovered) if record.recovered else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _gap(gap: SourceGap) -> Status:
    return {
        "beginTime": timestamp(gap.begin),
        "endTime": timestamp(gap.end) if gap.end else None,
        "fadingSeconds": gap.fading_seconds or None,
        "keyGoneTime": timestamp(gap.key_gone) if gap.key_gone else None,
    }


def _fallback_recipient(fallback: FallbackRecipient) -> Status:
    return {"role": _role(fallback.role), "message": cut(fallback.message, LONGEST_TEXT)}


def _role(role: Role) -> str:
    return role.name.capitalize()


def _condition(condition: Condition, generation: int) -> Status:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": cut(condition.message, LONGEST_TEXT),
        "lastTransitionTime": timestamp(condition.last_transition) if condition.last_transition else None,
        "observedGeneration": generation,
    }


def _recorded(status: Mapping[str, Any]) -> CertificateStatus:
    certificate, source = status.get("certificate"), status.get("source") or {}
    alerts = status.get("alerts") or {}
    accepted = _accepted(certificate, status.get("expires") or {}) if certificate else None
    fingerprint = (accepted.ends_first or accepted).fingerprint_sha256 if accepted else ""
    parsed = CertificateStatus(
        phase=sys.intern(str(status.get("phase", ""))),
        accepted=accepted,
        source_version=source.get("version", ""),
        source_observed=moment(source.get("observedTime")),
        source_gap=_parse_gap(source.get("gap")),
        channels=tuple(_channel_record(entry, fingerprint) for entry in alerts.get("channels") or ()),
        history=tuple(_replaced(entry) for entry in status.get("history") or ()),
        renewal=parse_renewal(status.get("renewal")),
        conditions=parse_conditions(status),
    )
    if any("problems" not in entry for entry in alerts.get("channels") or ()):
        parsed = problems_from_conditions(parsed)
    return fallback_from_condition(parsed)


def _accepted(entry: Mapping[str, Any], expires: Mapping[str, Any]) -> AcceptedCertificate:
    not_before, not_after = moment(entry["notBefore"]), moment(entry["notAfter"])
    if not_before is None or not_after is None:
        raise ValueError("a certificate needs notBefore and notAfter")
    return AcceptedCertificate(
        subject_dn=entry.get("subjectDN", ""),
        issuer_dn=sys.intern(entry.get("issuerDN") or ""),
        serial_number=entry["serialNumber"],
        fingerprint_sha256=entry["fingerprintSHA256"],
        not_before=not_before,
        not_after=not_after,
        key_algorithm=sys.intern(entry.get("keyAlgorithm", "")),
        warnings=tuple(sys.intern(warning) for warning in entry.get("warnings") or ()),
        ends_first=_ends_first(expires) if expires.get("fingerprintSHA256") != entry["fingerprintSHA256"] else None,
    )


def _ends_first(expires: Mapping[str, Any]) -> Expiry | None:
    """None if the status names no certificate whose date counts: version 0.1 wrote none."""
    if (ends := moment(expires.get("time"))) is None:
        return None
    subject_dn = sys.intern(expires.get("subjectDN", ""))  # many certificates share an issuer, as its fingerprint
    fingerprint = sys.intern(expires["fingerprintSHA256"])
    return Expiry(ends, subject_dn, sys.intern(expires["serialNumber"]), fingerprint)


def _channel_record(entry: Mapping[str, Any], accepted: str) -> ChannelStatus:
    """`accepted` is the fingerprint of the accepted certificate; an equal one of the channel shares its memory."""
    fingerprint = entry.get("fingerprintSHA256", "")
    return ChannelStatus(
        name=sys.intern(entry["name"]),
        fingerprint_sha256=accepted if fingerprint == accepted else fingerprint,
        stage=entry.get("stage"),
        last_sent=moment(entry.get("lastSentTime")),
        next_time=moment(entry.get("nextTime")),
        thread_ref=entry.get("threadRef", ""),
        last_failure=moment(entry.get("lastFailureTime")),
        first_sent=moment(entry.get("firstSentTime")),
        recipient_role=parse_role(entry.get("recipientRole")),
        fallback_recipient=_parse_fallback(entry.get("fallbackRecipient")),
        leaf_fingerprint_sha256=entry.get("certificateFingerprintSHA256", ""),
        problems=tuple(_told_problem(each) for each in entry.get("problems") or ()),
        recovered=moment(entry.get("recoveredTime")),
    )


def _told_problem(entry: Mapping[str, Any]) -> ToldProblem:
    told = moment(entry["time"])
    if told is None:
        raise ValueError("a problem that was told needs a time")
    return ToldProblem(sys.intern(entry["reason"]), told)


def _parse_gap(entry: Mapping[str, Any] | None) -> SourceGap | None:
    begin = moment(entry.get("beginTime")) if entry else None
    if entry is None or begin is None:
        return None
    fading, key_gone = int(entry.get("fadingSeconds") or 0), moment(entry.get("keyGoneTime"))
    return SourceGap(begin, moment(entry.get("endTime")), fading, key_gone)


def parse_role(name: str | None) -> Role | None:
    """A role by the name that a status gives it; None for an absent or unknown one."""
    return Role.__members__.get((name or "").upper())


def _parse_fallback(entry: Mapping[str, Any] | None) -> FallbackRecipient | None:
    role = parse_role(entry.get("role")) if entry else None
    return FallbackRecipient(role, sys.intern(str(entry.get("message", "")))) if entry and role else None


def _replaced(entry: Mapping[str, Any]) -> PreviousCertificate:
    not_after, replaced = moment(entry["notAfter"]), moment(entry["replacedTime"])
    if not_after is None or replaced is None:
        raise ValueError("an entry of the history needs notAfter and replacedTime")
    return PreviousCertificate(entry["serialNumber"], not_after, replaced, sys.intern(entry.get("issuerDN") or ""))


def _condition_record(entry: Mapping[str, Any]) -> Condition:
    return shared_condition(
        sys.intern(entry["type"]),
        sys.intern(entry["status"]),
        sys.intern(entry["reason"]),
        sys.intern(entry.get("message", "")),
        moment(entry.get("lastTransitionTime")),
    )


def _without_nulls(value: Any) -> Any:
    """The value without nulls, empty objects and empty lists; it has the types of JSON alone."""
    if type(value) is list:
        return [_without_nulls(item) if type(item) in _NESTED else item for item in value]
    kept = {}
    for name, item in value.items():
        if item is None:
            continue
        if type(item) in _NESTED:
            if item and (found := _without_nulls(item)):
                kept[name] = found
        else:
            kept[name] = item
    return kept
