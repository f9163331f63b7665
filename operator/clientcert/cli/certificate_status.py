"""Parts of the status of a ClientCertificate that several verbs read. Fields that are missing count as empty."""

from datetime import datetime
from typing import Any

from clientcert.api.kinds import moment_or_none
from clientcert.cli.cluster import Object
from clientcert.lifecycle.schedule import days_remaining

SOON_DAYS = 7
"""A certificate that ends within this many days needs attention."""
_PRINT = "fingerprintSHA256"


def status_of(found: Object) -> dict[str, Any]:
    """The status of an object; empty before the operator has looked at it."""
    return found.get("status") or {}


def conditions_of(found: Object) -> dict[str, dict[str, str]]:
    """The conditions of an object by their type, each with status, reason and message."""
    return {
        str(each["type"]): {
            "type": str(each["type"]),
            "status": str(each.get("status") or "Unknown"),
            "reason": str(each.get("reason") or ""),
            "message": str(each.get("message") or ""),
        }
        for each in status_of(found).get("conditions") or ()
        if each.get("type")
    }


def end_of(found: Object) -> datetime | None:
    """The date that counts; None if no certificate was ever read."""
    return moment_or_none((status_of(found).get("expires") or {}).get("time"))


def days_left(found: Object, now: datetime) -> int | None:
    """Whole days until the date that counts, negative after it; None if no certificate was ever read."""
    end = end_of(found)
    return None if end is None else days_remaining(end, now)


def ends_first(found: Object) -> Object | None:
    """The identity of another certificate in the same file whose date counts; None if it is the certificate's own."""
    first, own = status_of(found).get("expires") or {}, status_of(found).get("certificate") or {}
    return first if first.get(_PRINT) and own.get(_PRINT) and first[_PRINT] != own[_PRINT] else None


def open_request_name(found: Object) -> str:
    """The name of the open request for its renewal; empty if there is none."""
    renewal = status_of(found).get("renewal") or {}
    return str((renewal.get("requestRef") or {}).get("name") or "")
