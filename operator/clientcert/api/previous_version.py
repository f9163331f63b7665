"""The only reader of statuses that the previous version has written. The next version removes it.

Version 0.1 had no `fallbackRecipient`: the fallback recipient was only named in the message of the condition
ContactResolved. It had no `expires` either: the date of the certificate itself was the one that counts.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from clientcert.lifecycle.policy import Role
from clientcert.lifecycle.recorded_status import CertificateStatus, FallbackRecipient

_CONDITION, _REASON = "ContactResolved", "RecipientRefused"
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
