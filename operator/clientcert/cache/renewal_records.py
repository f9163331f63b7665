"""Records of CertificateRenewals and CertificateRevocations. A record is immutable: a new one replaces it.

A request is kept as a summary, also an open one: its CSR, proof and certificates may have 200 KB, which a tenant
chooses. Its reconciler reads it whole.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from clientcert.api.kinds import moment
from clientcert.api.renewal import parse_renewal_spec, parse_renewal_status, parse_revocation_spec
from clientcert.api.status import digest, parse_conditions
from clientcert.lifecycle.recorded_status import Condition
from clientcert.lifecycle.renewal.due_notices import refusing_check, retirement_announced
from clientcert.lifecycle.renewal.notices import NoticeKind
from clientcert.lifecycle.renewal.situation import RequestSummary
from clientcert.lifecycle.renewal.spec import RenewalSpec, RevocationSpec
from clientcert.lifecycle.renewal.status import (
    APPROVED,
    FINAL,
    HANDED_OVER,
    NOTIFIED,
    RETIRED,
    RenewalStatus,
    State,
)
from clientcert.lifecycle.spec import ObjectKey

KEY_DIGITS = 32
"""So many are kept of the hash of a key."""
_REFUSAL = f"{NoticeKind.REFUSED}/"


class ObjectVersion(NamedTuple):
    """One version of an object, without its spec and its status."""

    key: ObjectKey
    uid: str
    created: datetime
    resource_version: str
    generation: int
    status_hash: bytes


@dataclass(frozen=True, slots=True)
class WholeRequest:
    """Spec and status of a request, only while it is reconciled."""

    spec: RenewalSpec
    status: RenewalStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalRecord(RequestSummary):
    """One CertificateRenewal. Tens of thousands may have ended, and each takes a kilobyte at most."""

    resource_version: str
    generation: int
    certificate: str
    """The name of the ClientCertificate, in the same namespace."""
    problem: str
    """The reason why it cannot be used; empty otherwise."""
    status_hash: bytes
    notice_failed: bool = False
    """True if somebody was not told of it: the condition Notified is False."""
    certified_key: str = ""
    """The beginning of the hash of the consumer's key that it has certified, or is about to; empty: none, or the
    operator made the key."""

    @property
    def is_open(self) -> bool:
        """True if it has not come to its end."""
        return self.state not in FINAL

    @property
    def is_settled(self) -> bool:
        """True once it has ended and no message about it is due."""
        return not self.is_open and not self.waits_for

    @property
    def follows_policy(self) -> bool:
        """True if its status may change with the channels of the policy, also long after its end."""
        return not self.is_settled or self.notice_failed

    @property
    def may_retire(self) -> bool:
        """True if the policy may have the old certificate retired, now or after a change."""
        return self.state is State.DONE and self.old_serial is not None and not self.is_retired


@dataclass(frozen=True, slots=True)
class RevocationRecord:
    """One CertificateRevocation."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    spec: RevocationSpec | None
    """None if it cannot be used."""
    conditions: tuple[Condition, ...]
    status_hash: bytes


def decode_renewal(key: ObjectKey, body: dict[str, Any]) -> RenewalRecord:
    """The record of a CertificateRenewal. One that cannot be used has a problem, and nothing is signed for it."""
    metadata, content = body["metadata"], body.get("status") or {}
    problem = ""
    try:
        request = parse_request(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        request = WholeRequest(RenewalSpec("", "", ""), RenewalStatus(State.ENDED))
        problem = f"the object cannot be used: {type(error).__name__}"
    created = moment(metadata["creationTimestamp"])
    assert created is not None  # noqa: S101 - the API server sets it on every object
    version = ObjectVersion(
        key, metadata["uid"], created, metadata["resourceVersion"], metadata["generation"], digest(content)
    )
    return renewal_record(version, request.spec, request.status, content.get("waitsFor") or "", problem)


def parse_request(body: dict[str, Any]) -> WholeRequest:
    """The whole request. Raises KeyError, TypeError, ValueError or AttributeError if it cannot be used."""
    return WholeRequest(parse_renewal_spec(body["spec"]), parse_renewal_status(body.get("status") or {}))


def decode_revocation(key: ObjectKey, body: dict[str, Any]) -> RevocationRecord:
    """The record of a CertificateRevocation."""
    metadata, content = body["metadata"], body.get("status") or {}
    try:
        spec = parse_revocation_spec(body["spec"])
    except (KeyError, TypeError, ValueError, AttributeError):
        spec = None
    return RevocationRecord(
        key=key,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        generation=metadata["generation"],
        spec=spec,
        conditions=parse_conditions(content),
        status_hash=digest(content),
    )


def renewal_record(
    version: ObjectVersion, spec: RenewalSpec, status: RenewalStatus, waits_for: str, problem: str = ""
) -> RenewalRecord:
    """The record of this version of a request, which has this spec and this status."""
    delivery, new_serial = status.delivery, status.issuance.serial_number if status.issuance else ""
    decisive = refusing_check(status) or next((each for each in status.checks if not each.passed), None)
    return RenewalRecord(
        key=version.key,
        uid=version.uid,
        created=version.created,
        state=status.state,
        mode=spec.mode.value,
        waits_for=waits_for,
        old_serial=int(spec.serial_number, 16) if spec.serial_number else None,
        new_serial=int(new_serial, 16) if new_serial else None,
        delivered=delivery.time if delivery else None,
        mailed=delivery is not None and delivery.role != HANDED_OVER,
        ended=status.ended,
        declared_hash=status.declared_hash,
        has_ciphertext=bool(status.ciphertext),
        names_key=not spec.reuse,
        refusal_told=max((each.sent for each in status.notices if each.name.startswith(_REFUSAL)), default=None),
        reason=decisive.name if decisive else "",
        retirement_announced=retirement_announced(status),
        is_retired=any(each.type == RETIRED and each.status == "True" for each in status.conditions),
        resource_version=version.resource_version,
        generation=version.generation,
        certificate=spec.certificate,
        problem=problem,
        status_hash=version.status_hash,
        notice_failed=any(each.type == NOTIFIED and each.status == "False" for each in status.conditions),
        awaiting_approval_since=_awaiting_approval_since(status),
        certified_key=_certified_key(spec, status),
    )


def _certified_key(spec: RenewalSpec, status: RenewalStatus) -> str:
    is_planned = status.issuance is not None and status.state not in FINAL
    is_certified = bool(status.certificate_pem) or is_planned
    return status.key_hash[:KEY_DIGITS] if is_certified and not spec.public_key_pem else ""


def _awaiting_approval_since(status: RenewalStatus) -> datetime | None:
    condition = status.condition(APPROVED) if status.state is State.AWAITING_APPROVAL else None
    return condition.last_transition if condition else None
