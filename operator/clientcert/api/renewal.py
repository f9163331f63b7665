"""Parses CertificateRenewals and CertificateRevocations, and renders their statuses."""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clientcert.api.kinds import moment, timestamp
from clientcert.api.status import Status, parse_conditions, render_conditions
from clientcert.lifecycle.renewal.spec import (
    Approval,
    Decision,
    Mode,
    RenewalSpec,
    RevocationReason,
    RevocationSpec,
)
from clientcert.lifecycle.renewal.status import (
    CheckResult,
    DeliveryRecord,
    Issuance,
    NoticeRecord,
    Outcome,
    RenewalStatus,
    State,
)

NOTICES = 64
LONGEST_MESSAGE = 1024


def parse_renewal_spec(spec: Mapping[str, Any]) -> RenewalSpec:
    """Parse the spec of a CertificateRenewal, as the schema has it."""
    return RenewalSpec(
        certificate=spec["certificateRef"]["name"],
        serial_number=_serial_number(spec.get("serialNumber", "")),
        requested_by=spec["requestedBy"],
        mode=Mode(spec.get("mode", "Renew")),
        csr_pem=spec.get("csr", ""),
        public_key_pem=spec.get("publicKey", ""),
        reuse=bool(spec.get("reuse")),
        proof_pem=(spec.get("proof") or {}).get("cms", ""),
        reason=spec.get("reason", ""),
        approval=_approval(spec.get("approval")),
        handed_over_by=(spec.get("handedOver") or {}).get("by", ""),
    )


def parse_revocation_spec(spec: Mapping[str, Any]) -> RevocationSpec:
    """Parse the spec of a CertificateRevocation, as the schema has it."""
    return RevocationSpec(
        issuer_dn=spec["issuerDN"],
        serial_number=_serial_number(spec["serialNumber"]),
        consumer=spec["consumer"],
        reason=RevocationReason(spec["reason"]),
        revocation_time=_moment(spec["revocationTime"]),
        not_after=_moment(spec["notAfter"]),
        key_hash=spec.get("keyHash", ""),
    )


def render_revocation_spec(spec: RevocationSpec) -> dict[str, Any]:
    """Render it as a manifest has it."""
    found = {
        "issuerDN": spec.issuer_dn,
        "serialNumber": spec.serial_number,
        "consumer": spec.consumer,
        "reason": spec.reason.value,
        "revocationTime": timestamp(spec.revocation_time),
        "notAfter": timestamp(spec.not_after),
    }
    return found | ({"keyHash": spec.key_hash} if spec.key_hash else {})


def parse_renewal_status(status: Mapping[str, Any]) -> RenewalStatus:
    """Parse the status of a CertificateRenewal; only the operator writes it.

    Raises ValueError, KeyError or TypeError for one that this version did not write: nothing is signed for it.
    """
    return RenewalStatus(
        state=State(status.get("state", State.CHECKING)),
        key_hash=status.get("keyHash", ""),
        recipient_hash=status.get("recipientHash", ""),
        recipient_role=status.get("recipientRole", ""),
        declared_hash=sys.intern(status.get("declaredHash", "")),  # the status of the certificate has the same
        changed=tuple(status.get("changed") or ()),
        checks=tuple(map(_check, status.get("checks") or ())),
        issuance=_issuance(status.get("issuance")),
        ciphertext=status.get("ciphertext", ""),
        certificate_pem=status.get("certificate", ""),
        previous_certificate_pem=status.get("previousCertificate", ""),
        delivery=_delivery(status.get("delivery")),
        notices=tuple(NoticeRecord(each["name"], _moment(each["sentTime"])) for each in status.get("notices") or ()),
        ended=moment(status.get("endedTime")),
        conditions=parse_conditions(status),
    )


def render_renewal_status(status: RenewalStatus, generation: int, waits_for: str) -> Status:
    """Render the whole status; absent fields are null, so that a merge patch replaces the previous one completely."""
    delivery = status.delivery
    return {
        "observedGeneration": generation,
        "state": status.state.value,
        "waitsFor": waits_for or None,
        "keyHash": status.key_hash or None,
        "recipientHash": status.recipient_hash or None,
        "recipientRole": status.recipient_role or None,
        "declaredHash": status.declared_hash or None,
        "changed": list(status.changed) or None,
        "checks": [
            {
                "name": each.name,
                "passed": each.passed,
                "waits": each.outcome is Outcome.WAITS or None,
                "message": each.message[:LONGEST_MESSAGE],
            }
            for each in status.checks
        ]
        or None,
        "issuance": _render_issuance(status.issuance) if status.issuance else None,
        "ciphertext": status.ciphertext or None,
        "certificate": status.certificate_pem or None,
        "previousCertificate": status.previous_certificate_pem or None,
        "delivery": {"time": timestamp(delivery.time), "role": delivery.role, "artefact": delivery.artefact}
        if delivery
        else None,
        "notices": [{"name": each.name, "sentTime": timestamp(each.sent)} for each in status.notices[-NOTICES:]]
        or None,
        "endedTime": timestamp(status.ended) if status.ended else None,
        **render_conditions(status.conditions, generation),
    }


def _serial_number(digits: str) -> str:
    """As statuses have it: people write zeros in front."""
    return f"{int(digits, 16):x}" if digits else ""


def _approval(entry: Mapping[str, Any] | None) -> Approval | None:
    if not entry:
        return None
    return Approval(
        Decision(entry["decision"]),
        entry["by"],
        entry.get("keyHash", ""),
        entry.get("recipientHash", ""),
        entry.get("reason", ""),
        entry.get("message", ""),
    )


def _check(entry: Mapping[str, Any]) -> CheckResult:
    outcome = Outcome.PASSED if entry["passed"] else Outcome.WAITS if entry.get("waits") else Outcome.REFUSED
    return CheckResult(sys.intern(entry["name"]), outcome, entry.get("message", ""))


def _issuance(entry: Mapping[str, Any] | None) -> Issuance | None:
    if not entry:
        return None
    return Issuance(
        serial_number=_serial_number(entry.get("serialNumber", "")),
        not_before=moment(entry.get("notBefore")),
        not_after=moment(entry.get("notAfter")),
        issuer_fingerprint=entry.get("issuerFingerprint", ""),
        request_hash=entry["requestHash"],
        tbs_hash=entry.get("tbsHash", ""),
        request_pem=entry["request"],
        request_ref=(entry.get("requestRef") or {}).get("name", ""),
    )


def _render_issuance(issuance: Issuance) -> Status:
    return {
        "serialNumber": issuance.serial_number or None,
        "notBefore": timestamp(issuance.not_before) if issuance.not_before else None,
        "notAfter": timestamp(issuance.not_after) if issuance.not_after else None,
        "issuerFingerprint": issuance.issuer_fingerprint or None,
        "requestHash": issuance.request_hash,
        "tbsHash": issuance.tbs_hash or None,
        "request": issuance.request_pem,
        "requestRef": {"name": issuance.request_ref} if issuance.request_ref else None,
    }


def _delivery(entry: Mapping[str, Any] | None) -> DeliveryRecord | None:
    return DeliveryRecord(_moment(entry["time"]), entry["role"], entry.get("artefact", "")) if entry else None


def _moment(text: str) -> datetime:
    found = moment(text)
    if found is None:
        raise ValueError("a time is missing")
    return found
