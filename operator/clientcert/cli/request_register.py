"""The register of renewals as CSV: who asked for what, who decided, and what was issued to whom, by role."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from clientcert.cli.address_filter import hide_addresses
from clientcert.cli.cluster import Object
from clientcert.cli.report_files import guarded
from clientcert.cli.table import printable

RenewalLine = tuple[str, ...]

_FIELDS: dict[str, tuple[str, ...]] = {
    "namespace": ("metadata", "namespace"),
    "name": ("metadata", "name"),
    "certificate": ("spec", "certificateRef", "name"),
    "mode": ("spec", "mode"),
    "replacedSerialNumber": ("spec", "serialNumber"),
    "requestedTime": ("metadata", "creationTimestamp"),
    "requestedBy": ("spec", "requestedBy"),
    "decision": ("spec", "approval", "decision"),
    "decidedBy": ("spec", "approval", "by"),
    "state": ("status", "state"),
    "serialNumber": ("status", "issuance", "serialNumber"),
    "notBefore": ("status", "issuance", "notBefore"),
    "notAfter": ("status", "issuance", "notAfter"),
    "deliveredTime": ("status", "delivery", "time"),
    "deliveredTo": ("status", "delivery", "role"),
}
"""The columns, and the paths of their values."""


def renewal_line(found: Object, *, contacts: bool = False) -> RenewalLine:
    """The values of one CertificateRenewal. Names of users that are addresses are shown with `contacts` alone."""
    values = [printable(_value(found, path)) for path in _FIELDS.values()]
    return tuple(values if contacts else map(hide_addresses, values))


def renewals_csv(lines: Iterable[RenewalLine]) -> str:
    """One line for each, by namespace and name, like the register of certificates."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(_FIELDS)
    writer.writerows([*map(guarded, each)] for each in sorted(lines))
    return written.getvalue()


def _value(found: Any, path: Iterable[str]) -> str:
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return "" if found is None else str(found)
