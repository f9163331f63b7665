"""The fields of a request that a record keeps."""

from datetime import UTC, datetime

import pytest

from clientcert.cache.renewal_records import decode_renewal
from clientcert.lifecycle.spec import ObjectKey
from tests.builders import CREATED

SINCE = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SPEC = {
    "certificateRef": {"name": "nhs"},
    "serialNumber": "1a2b3",
    "mode": "Renew",
    "requestedBy": "sam",
    "reuse": True,
}


@pytest.mark.parametrize(
    ("state", "expected"), [("AwaitingApproval", SINCE), ("Waiting", None), ("Approved", None), ("Denied", None)]
)
def test_the_time_since_which_it_waits_for_an_approval(state: str, expected: datetime | None) -> None:
    """Not the time when it was made: its checks may have waited for days."""
    metadata = {
        "namespace": "integration",
        "name": "nhs-1",
        "uid": "u",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": CREATED.isoformat(),
    }
    condition = {"type": "Approved", "status": "False", "reason": "AwaitingApproval", "message": "it waits"}
    status = {"state": state, "conditions": [condition | {"lastTransitionTime": "2026-11-22T09:00:00Z"}]}
    record = decode_renewal(ObjectKey("integration", "nhs-1"), {"metadata": metadata, "spec": SPEC, "status": status})
    assert record.problem == ""
    assert record.awaiting_approval_since == expected
