"""A report as CSV and as JSON, for other programs."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from clientcert.api.kinds import timestamp
from clientcert.cli.report_model import WITHIN_DAYS, ContactEntry, Entry, Report

COLUMNS = (
    "namespace",
    "name",
    "consumer",
    "environment",
    "owner",
    "status",
    "days",
    "expires",
    "endsFirst",
    "serialNumber",
    "issuerDN",
    "source",
    "alerts",
    "problems",
    "nextStep",
    "silencedUntil",
    "silencedReason",
    "silencedBy",
    "contacts",
)
_BEGINS_A_FORMULA = frozenset("=+-@")
_BEGINS_A_CELL = re.compile(r"(^|[;|\"])(?=\s*+(\S))")
"""The beginning of a cell, also for a spreadsheet that separates them by `;` or `|`, and the first sign in it."""


def as_csv(report: Report) -> str:
    """One line for each certificate, as RFC 4180 says. A text that a spreadsheet would compute has a `'` before it."""
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    for each in report.entries:
        lines.writerow([guarded(value) if isinstance(value, str) else value for value in _cells(each)])
    return written.getvalue()


def as_json(report: Report, scope: dict[str, Any]) -> str:
    """One document, whose fields docs/cli.md describes; `scope` are those that say what was asked for."""
    document = {
        "time": timestamp(report.now),
        **scope,
        "counts": {
            "certificates": len(report.entries),
            "expired": report.expired,
            **{f"endWithin{days}Days": report.ends_within(days) for days in WITHIN_DAYS},
            "withoutDate": report.without_date,
            "needAttention": len(report.attention),
            "silenced": len(report.silenced),
        },
        "months": [{"month": each.name, "environments": dict(each.by_environment)} for each in report.intervals],
        "certificates": [*map(_document, report.entries)],
    }
    return json.dumps(document) + "\n"


def guarded(text: str) -> str:
    """The text, so that no spreadsheet takes it for a formula; signs of full width count as their usual forms."""

    def begun(found: re.Match[str]) -> str:
        is_formula = unicodedata.normalize("NFKC", found[2]) in _BEGINS_A_FORMULA
        return f"{found[1]}'" if is_formula else found[1]

    return _BEGINS_A_CELL.sub(begun, text)


def contact_words(found: ContactEntry) -> str:
    """A contact in a few words: name, address and role, as far as they are known."""
    address = f"<{found.address}>" if found.name and found.address else found.address
    who = " ".join(filter(None, (found.name, address)))
    return f"{who} ({found.role})" if who else found.role


def _cells(found: Entry) -> Iterator[str | int | None]:
    """The values of `COLUMNS`."""
    silenced = found.silenced
    yield from (found.namespace, found.name, found.consumer, found.environment, found.owner, found.status, found.days)
    yield from (timestamp(found.expires) if found.expires else "", found.ends_first)
    yield from (found.serial_number, found.issuer_dn, found.source, found.alerts)
    yield " ".join(each.kind for each in found.problems)
    yield found.next_step
    yield from (timestamp(silenced.until), silenced.reason, silenced.by) if silenced else ("", "", "")
    yield "; ".join(map(contact_words, found.contacts))


def _document(found: Entry) -> dict[str, Any]:
    silenced = found.silenced
    return {
        "namespace": found.namespace,
        "name": found.name,
        "consumer": found.consumer,
        "environment": found.environment,
        "owner": found.owner or None,
        "status": found.status,
        "days": found.days,
        "expires": timestamp(found.expires) if found.expires else None,
        "endsFirst": found.ends_first or None,
        "serialNumber": found.serial_number or None,
        "issuerDN": found.issuer_dn or None,
        "source": found.source,
        "alerts": found.alerts or None,
        "problems": [
            {"kind": each.kind, "reason": each.reason or None, "message": each.message or None}
            for each in found.problems
        ],
        "nextStep": found.next_step,
        "silenced": {"until": timestamp(silenced.until), "reason": silenced.reason, "by": silenced.by or None}
        if silenced
        else None,
        "contacts": [_contact(each) for each in found.contacts],
    }


def _contact(found: ContactEntry) -> dict[str, str | None]:
    address = {"address": found.address} if found.address else {}
    return {"role": found.role, "name": found.name or None, **address}
