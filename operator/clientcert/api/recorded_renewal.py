"""Parses and renders `status.renewal` of a ClientCertificate."""

import sys
from collections.abc import Mapping
from typing import Any

from clientcert.api.kinds import moment, timestamp
from clientcert.lifecycle.recorded_status import RecordedRenewal

_LONGEST_REASON = 128
_LONGEST_MESSAGE = 1024


def render_renewal(renewal: RecordedRenewal) -> dict[str, Any]:
    """Render it; absent fields are null."""
    request = {"name": renewal.request_name, "uid": renewal.request_uid}
    return {
        "opensTime": timestamp(renewal.opens) if renewal.opens else None,
        "closesTime": timestamp(renewal.closes) if renewal.closes else None,
        "reason": renewal.reason[:_LONGEST_REASON],
        "message": renewal.message[:_LONGEST_MESSAGE],
        "requestRef": request if renewal.request_name else None,
        "declaredHash": renewal.declared_hash or None,
    }


def parse_renewal(entry: Mapping[str, Any] | None) -> RecordedRenewal | None:
    """Parse it; None if it is absent. Raises ValueError or TypeError."""
    if not entry:
        return None
    request = entry.get("requestRef") or {}
    return RecordedRenewal(
        opens=moment(entry.get("opensTime")),
        closes=moment(entry.get("closesTime")),
        reason=sys.intern(entry.get("reason", "")),
        message=entry.get("message", ""),
        request_name=request.get("name", ""),
        request_uid=request.get("uid", ""),
        declared_hash=sys.intern(entry.get("declaredHash", "")),
    )
