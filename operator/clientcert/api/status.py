"""The status of a ClientCertificate: from the API's words to the record, and back.

A rendered status names every field, the absent ones as null: as a merge patch it leaves nothing of the last one behind.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from clientcert.api.kinds import moment, timestamp
from clientcert.lifecycle.assessment import Assessment
from clientcert.lifecycle.policy import Role
from clientcert.lifecycle.recorded_status import (
    AcceptedCertificate,
    CertificateStatus,
    ChannelStatus,
    Condition,
    PreviousCertificate,
)

Status = dict[str, Any]

LONGEST_TEXT = 1024
LONGEST_NAME = 2048
LONGEST_WORD = 128
LONGEST_VALUE = 256
WARNINGS = 8
HISTORY = 5
CHANNELS = 32


def parse_status(status: Mapping[str, Any]) -> CertificateStatus:
    """What the status remembers. Whatever does not fit is taken as not remembered: it is written anew."""
    try:
        return _recorded(status)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return CertificateStatus()


def digest(status: Mapping[str, Any]) -> bytes:
    """Sixteen bytes that differ when two statuses do; null and absent are the same."""
    return hashlib.blake2b(orjson.dumps(_without_nulls(status), option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def render_status(assessment: Assessment, recorded: CertificateStatus, generation: int) -> Status:
    """The whole status. `recorded` is what shall be remembered from now on."""
    sent = [record.last_sent for record in recorded.channels if record.last_sent]
    return {
        "observedGeneration": generation,
        "phase": assessment.phase.value,
        "daysRemaining": assessment.days_remaining,
        "certificate": _certificate(recorded.accepted),
        "source": {
            "version": _cut(recorded.source_version, LONGEST_VALUE) or None,
            "observedTime": _time(recorded.source_observed),
        },
        "alerts": {
            "lastSentTime": _time(max(sent, default=None)),
            "channels": [_channel(record) for record in recorded.channels[:CHANNELS]] or None,
        },
        "history": [
            {
                "serialNumber": entry.serial_number,
                "notAfter": timestamp(entry.not_after),
                "replacedTime": timestamp(entry.replaced_time),
            }
            for entry in recorded.history[:HISTORY]
        ]
        or None,
        **render_conditions(recorded.conditions, generation),
    }


def render_conditions(conditions: Iterable[Condition], generation: int) -> Status:
    """A status that consists of conditions, as policies have it."""
    return {"conditions": [_condition(condition, generation) for condition in conditions]}


def render_minimum(status: Status) -> Status:
    """What must be remembered even if the server refuses the rest: dates, deliveries, and the phase."""
    return {name: status[name] for name in ("observedGeneration", "phase", "daysRemaining", "certificate", "alerts")}


def _certificate(accepted: AcceptedCertificate | None) -> Status | None:
    if accepted is None:
        return None
    return {
        "subjectDN": _cut(accepted.subject_dn, LONGEST_NAME) or None,
        "issuerDN": _cut(accepted.issuer_dn, LONGEST_NAME) or None,
        "serialNumber": _cut(accepted.serial_number, LONGEST_VALUE),
        "fingerprintSHA256": accepted.fingerprint_sha256,
        "notBefore": timestamp(accepted.not_before),
        "notAfter": timestamp(accepted.not_after),
        "keyAlgorithm": _cut(accepted.key_algorithm, LONGEST_WORD) or None,
        "warnings": [_cut(warning, LONGEST_VALUE) for warning in accepted.warnings[:WARNINGS]] or None,
    }


def _channel(record: ChannelStatus) -> Status:
    fields = {
        "name": _cut(record.name, LONGEST_WORD),
        "fingerprintSHA256": record.fingerprint_sha256,
        "stage": record.stage,
        "lastSentTime": _time(record.last_sent),
        "nextTime": _time(record.next_time),
        "threadRef": _cut(record.thread_ref, LONGEST_VALUE) or None,
        "lastFailureTime": _time(record.last_failure),
        "firstSentTime": _time(record.first_sent),
        "recipientRole": record.recipient_role.name.capitalize() if record.recipient_role else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _condition(condition: Condition, generation: int) -> Status:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": _cut(condition.message, LONGEST_TEXT),
        "lastTransitionTime": _time(condition.last_transition),
        "observedGeneration": generation,
    }


def _recorded(status: Mapping[str, Any]) -> CertificateStatus:
    certificate, source = status.get("certificate"), status.get("source") or {}
    alerts = status.get("alerts") or {}
    return CertificateStatus(
        accepted=_accepted(certificate) if certificate else None,
        source_version=source.get("version", ""),
        source_observed=moment(source.get("observedTime")),
        channels=tuple(_channel_record(entry) for entry in alerts.get("channels") or ()),
        history=tuple(_replaced(entry) for entry in status.get("history") or ()),
        conditions=tuple(_condition_record(entry) for entry in status.get("conditions") or ()),
    )


def _accepted(entry: Mapping[str, Any]) -> AcceptedCertificate:
    not_before, not_after = moment(entry["notBefore"]), moment(entry["notAfter"])
    if not_before is None or not_after is None:
        raise ValueError("a certificate has two dates")
    return AcceptedCertificate(
        subject_dn=entry.get("subjectDN", ""),
        issuer_dn=sys.intern(entry.get("issuerDN", "")),
        serial_number=entry["serialNumber"],
        fingerprint_sha256=entry["fingerprintSHA256"],
        not_before=not_before,
        not_after=not_after,
        key_algorithm=sys.intern(entry.get("keyAlgorithm", "")),
        warnings=tuple(entry.get("warnings") or ()),
    )


def _channel_record(entry: Mapping[str, Any]) -> ChannelStatus:
    return ChannelStatus(
        name=sys.intern(entry["name"]),
        fingerprint_sha256=entry.get("fingerprintSHA256", ""),
        stage=entry.get("stage"),
        last_sent=moment(entry.get("lastSentTime")),
        next_time=moment(entry.get("nextTime")),
        thread_ref=entry.get("threadRef", ""),
        last_failure=moment(entry.get("lastFailureTime")),
        first_sent=moment(entry.get("firstSentTime")),
        recipient_role=Role.__members__.get(entry.get("recipientRole", "").upper()),
    )


def _replaced(entry: Mapping[str, Any]) -> PreviousCertificate:
    not_after, replaced = moment(entry["notAfter"]), moment(entry["replacedTime"])
    if not_after is None or replaced is None:
        raise ValueError("history has two times")
    return PreviousCertificate(entry["serialNumber"], not_after, replaced)


def _condition_record(entry: Mapping[str, Any]) -> Condition:
    return Condition(
        type=sys.intern(entry["type"]),
        status=sys.intern(entry["status"]),
        reason=sys.intern(entry["reason"]),
        message=sys.intern(entry.get("message", "")),
        last_transition=moment(entry.get("lastTransitionTime")),
    )


def _time(value: Any) -> str | None:
    return timestamp(value) if value else None


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {name: _without_nulls(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item is not None and item not in ({}, [])}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_without_nulls(item) for item in value]
    return value
