"""The end of a CertificateRequest is the end of the renewal; the message says what to do for another attempt."""

from typing import Any

import pytest

from clientcert.errors import IssuerError, Reason
from clientcert.issuers.certificate_request import state_of

TITLE = "CertificateRequest team/nhs-prod-1"


def condition(kind: str, value: str, reason: str) -> dict[str, str]:
    return {"type": kind, "status": value, "reason": reason}


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ({"conditions": [condition("Denied", "True", "x")]}, "Have the approver allow it, and ask anew."),
        ({"conditions": [condition("Ready", "False", "Denied")]}, "Have the approver allow it, and ask anew."),
        ({"conditions": [condition("InvalidRequest", "True", "x")]}, "and ask anew with it."),
        (
            {"conditions": [condition("Ready", "False", "Failed")]},
            "Correct the issuer, and ask anew (clientcert renew).",
        ),
        ({"failureTime": "2026-11-22T09:00:00Z"}, "Correct the issuer, and ask anew (clientcert renew)."),
    ],
    ids=["denied", "denied, by Ready alone", "invalid", "failed", "failed, by its time alone"],
)
def test_another_attempt_is_another_request(status: dict[str, Any], advice: str) -> None:
    """The renewal is refused then, so to delete the CertificateRequest would change nothing."""
    with pytest.raises(IssuerError) as caught:
        state_of({"status": status}, TITLE)
    assert caught.value.reason is Reason.ISSUANCE_REFUSED
    assert caught.value.message.endswith(advice)
    assert "delete" not in caught.value.message
