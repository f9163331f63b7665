"""The hold of a restored ClientCertificate, which is created without its status: Kubernetes has it written afterwards.

In between, the operator would take it for a new one, and repeat every alert.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from clientcert.api.kinds import GROUP
from clientcert.pki.der import shifted

RESTORED = f"{GROUP}/restored"
"""The annotation that `clientcert restore` sets: the time of the backup."""
BY_VELERO = "velero.io/restore-name"
"""The label that Velero sets on what it restores. It writes statuses afterwards, too, if it is told to."""
HOLD = timedelta(minutes=30)
"""The longest hold, counted from the creation: an object that exists cannot be kept silent by the annotation."""


def held_until(metadata: Mapping[str, Any], status: Mapping[str, Any], created: datetime) -> datetime | None:
    """The time until which nothing is done about the object; None if it is not held. Any status ends the hold.

    A test alert does not count: it is written on its own.
    """
    is_restored = RESTORED in (metadata.get("annotations") or {}) or BY_VELERO in (metadata.get("labels") or {})
    return shifted(created, HOLD) if is_restored and not status.keys() - {"test"} else None
