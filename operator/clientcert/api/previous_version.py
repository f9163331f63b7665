"""The only reader of statuses that the previous version has written. The next version removes it.

Version 0.1 had no `fallbackRecipient`: the fallback recipient was only named in the message of the condition
ContactResolved. It had no `expires` either: the date of the certificate itself was the one that counts. And it had no
`problems` of a channel: each message told the problem that there was.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clientcert.errors import Reason
from clientcert.lifecycle.policy import Role
from clientcert.lifecycle.recorded_status import (
    CertificateStatus,
    Condition,
    FallbackRecipient,
    SourceGap,
    ToldProblem,
)
from clientcert.lifecycle.source_gap import GONE

_CONDITION, _REASON = "ContactResolved", "RecipientRefused"
_REASONS: dict[str, tuple[str, ...]] = {
    Reason.CREDENTIALS_INVALID: (Reason.CREDENTIALS_INVALID, Reason.CREDENTIALS_NOT_FOUND),
}
"""The reasons that this version may give for a problem with one reason of the previous version."""
_ENDINGS = {role: f", so the {role} was written to" for role in Role}


def fallback_from_condition(status: CertificateStatus) -> CertificateStatus:
    """The same status, with the fallback recipient of each channel whose last letter is described by that condition."""
    condition = status.condition(_CONDITION)
    if condition is None or condition.reason != _REASON:
        return status
    if any(each.fallback_recipient for each in status.channels):
        return status  # this version has written it
    for role, ending in _ENDINGS.items():
        if condition.message.endswith(ending):
            fallback = FallbackRecipient(role, condition.message.removesuffix(ending))
            return replace(
                status,
                channels=tuple(
                    replace(each, fallback_recipient=fallback) if each.recipient_role is role else each
                    for each in status.channels
                ),
            )
    return status


def with_own_expiry(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same status, with the certificate's own date as `expires`: an upgrade alone causes no write."""
    if not (certificate := status["certificate"]):
        return status
    own = {name: certificate.get(name) for name in ("subjectDN", "serialNumber", "fingerprintSHA256")}
    return {**status, "expires": {"time": certificate.get("notAfter"), **own}}


def problems_from_conditions(status: CertificateStatus) -> CertificateStatus:
    """The same status; a team's channel with an alert since the present problem began was told of the problem.

    The gap of a source that is gone began with the problem.
    """
    problem = _problem(status)
    if problem is None or problem.last_transition is None:
        return status
    since, reasons = problem.last_transition, _REASONS.get(problem.reason, (problem.reason,))
    return replace(
        status,
        source_gap=SourceGap(since) if problem.reason in GONE else status.source_gap,
        channels=tuple(
            replace(each, problems=tuple(ToldProblem(reason, each.last_sent) for reason in reasons))
            if each.stage is not None and each.recipient_role is None and each.last_sent and each.last_sent >= since
            else each
            for each in status.channels
        ),
    )


def _problem(status: CertificateStatus) -> Condition | None:
    """The condition of the problem that was alerted each day; None if there was none."""
    for kind in ("SourceReadable", "IdentityMatches", "Ready"):
        found = status.condition(kind)
        if found is not None and found.status == "False":
            others = status.phase == "Invalid" and found.reason in {Reason.INVALID_VALIDITY, Reason.EXPIRED}
            return found if kind != "Ready" or others else None
    return None
